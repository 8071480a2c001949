"""The directory of destinations: a table for each category, one row each. Takes plans; gives a Page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from waypost import plan as p
from waypost.authoring.docs.blocks import Block, Code, Heading, Link, Page, Paragraph, Table, words
from waypost.authoring.docs.destination import calls
from waypost.compiler.read.spec_reader import CATEGORIES

TITLES = {"crm": "CRM"}
"""Categories that are not their word with a capital."""


def directory(plans: Iterable[p.Plan], name: str) -> Page:
    plans = sorted(plans, key=lambda plan: (plan.title or plan.name).lower())
    count = Paragraph((f"{len(plans)} destination{'s' * (len(plans) != 1)}. Each is a YAML file in specs/.",))
    return Page(name, "Destinations", (count, *_tables(plans)))


def _tables(plans: list[p.Plan]) -> Iterator[Block]:
    """What says no category is among the others; where none says any, there is one table without a heading."""
    if not any(plan.category for plan in plans):
        yield _table("Destinations", plans)
        return
    for category in CATEGORIES:
        held = [plan for plan in plans if (plan.category or "other") == category]
        if held:
            title = TITLES.get(category, category.capitalize())
            yield Heading(2, title)
            yield _table(title, held)


def _table(name: str, plans: list[p.Plan]) -> Table:
    return Table(
        name,
        ("Destination", "What it is for", "Calls", "Actions"),
        tuple(
            (
                (Link(plan.title or plan.name, page=plan.name),),
                (plan.description,),
                words([(Code(kind),) for kind in calls(plan)]),
                (", ".join(action.title or key for key, action in plan.actions.items()),),
            )
            for plan in plans
        ),
    )
