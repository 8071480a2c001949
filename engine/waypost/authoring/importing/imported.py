"""One import, whole: from a destination's metadata to the files' texts and the list of what is open.

Takes a Destination and where the spec will stand. Gives an `Imported`. Never raises for what metadata may hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from waypost.authoring.importing.draft import ActionDraft, Draft, draft
from waypost.authoring.importing.metadata import Destination
from waypost.authoring.importing.samples import sample_event, tests_text
from waypost.authoring.importing.settle import Settled, settle
from waypost.authoring.importing.yaml_lines import APPROXIMATION, TODO, Note
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import values
from waypost.program.interpret import SOME_INSTANT
from waypost.program.interpret_actions import Origin, map_event
from waypost.program.settings import bind


@dataclass(frozen=True)
class Imported:
    """`tests` is the text of tests.yaml. `notes`: (line of the spec, action, what is to be said)."""

    draft: Draft
    tests: str
    settled: Settled

    @property
    def text(self) -> str:
        return self.settled.text

    @property
    def notes(self) -> tuple[tuple[int, str, Note], ...]:
        return self.settled.notes

    @property
    def open(self) -> list[tuple[int, str, Note]]:
        """What does not mean the same, and what only the author knows."""
        return [row for row in self.notes if row[2].kind in (APPROXIMATION, TODO)]


def imported(of: Destination, path: str, schema: str = "") -> Imported:
    made = draft(of)
    settled = settle(made, path, schema)
    return Imported(made, tests_text(made, _expectations(made, settled)), settled)


def _expectations(made: Draft, settled: Settled) -> dict[str, list[dict[str, Any]]]:
    """What becomes of each enabled action's sample, for its test: a delivery for each action that takes the event."""
    if settled.plan is None:
        return {}
    bound = bind(settled.plan, made.sample_settings)
    found: dict[str, list[dict[str, Any]]] = {}
    for action in made.actions:
        if action.enabled:
            line = values.encode(sample_event(action))
            origin = Origin(line, 0, line, settled.plan.name)
            results = map_event(settled.plan, bound, origin, SOME_INSTANT / 1000)
            found[action.name] = [row for one in results for row in _expected(one, action)]
    return found


def _expected(one: Mapped | Rejected | Filtered, action: ActionDraft) -> Iterator[dict[str, Any]]:
    own = one.action == action.name
    if own and action.needed:
        yield {"action": one.action, "outcome": "ok"}
    elif isinstance(one, Mapped):
        message = values.decode(one.body) if own else {}
        yield {"action": one.action, **({"message": message} if message else {})}
    elif isinstance(one, Rejected):
        row = {"action": one.action, "rejected": one.reason, "field": one.field}
        yield {key: held for key, held in row.items() if held}
    else:
        yield {"filtered": one.reason}
