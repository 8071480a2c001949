"""The directory of destinations: one row each. Takes plans; gives a Page."""

from __future__ import annotations

from collections.abc import Iterable

from waypost import plan as p
from waypost.authoring.docs.blocks import Code, Link, Page, Paragraph, Table, words
from waypost.authoring.docs.destination import calls


def directory(plans: Iterable[p.Plan], name: str) -> Page:
    plans = sorted(plans, key=lambda plan: (plan.title or plan.name).lower())
    return Page(
        name,
        "Destinations",
        (
            Paragraph((f"{len(plans)} destination{'s' * (len(plans) != 1)}. Each is a YAML file in specs/.",)),
            Table(
                "Destinations",
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
            ),
        ),
    )
