"""A sample event for each action, made from the paths that its mapping reads, and the tests that use them.

Takes a settled draft. Gives the text of tests.yaml: a test an action, with what its plan makes of the sample. An action with a field that has
no source gets a test that fails until it has one.
"""

from __future__ import annotations

from typing import Any

from waypost.authoring.importing.draft import ActionDraft, Draft
from waypost.authoring.importing.fields import PLACEHOLDER, Sample
from waypost.authoring.importing.triggers import simple_event
from waypost.lang import notation

TEXT = {
    "email": "ada@example.com",
    "uri": "https://shop.example.com/p/1",
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00.000Z",
    "ipv4": "203.0.113.9",
    "ipv6": "2001:db8::1",
    "uuid": "6f1f4a52-5f0c-4a53-9d0b-0a2f4f6c1b7e",
    "hostname": "shop.example.com",
}
MOST_ITEMS = 20
FIRST: dict[str, Any] = {"messageId": "m1", "userId": "u1", "timestamp": "2026-01-01T12:00:00.000Z"}


def sample_event(action: ActionDraft) -> dict[str, Any]:
    asked = simple_event(action.trigger.text)
    event: dict[str, Any] = {"type": asked.get("type", "track"), **FIRST}
    for sample in action.samples:
        if sample.steps[: len(PLACEHOLDER)] != PLACEHOLDER:
            _put(event, sample.steps, _sample(sample))
    for path, held in asked.items():
        _put(event, tuple(path.split(".")), held, again=True)
    return event


def _sample(of: Sample) -> Any:
    field = of.field
    held: Any
    if field.choices:
        held = field.choices[0]
    elif field.type == "number" or field.type == "integer":
        held = 1
    elif field.type == "boolean":
        held = True
    elif field.type == "datetime":
        held = FIRST["timestamp"]
    elif field.type == "object":
        held = {} if field.properties else {"sample": "text"}
    else:
        held = TEXT.get(field.format, of.steps[-1] if of.steps and isinstance(of.steps[-1], str) else "text")
    return [held] if of.many else held


def _put(at: Any, steps: tuple[str | int, ...], held: Any, *, again: bool = False) -> None:
    """Where nothing of another shape is in the way: the first that needs a place decides what stands there."""
    if not steps:
        return
    step, *rest = steps
    if isinstance(step, int):
        if not isinstance(at, list) or step > MOST_ITEMS:
            return
        at.extend({} for _ in range(step + 1 - len(at)))
    elif not isinstance(at, dict):
        return
    old = at[step] if isinstance(step, int) else at.get(step)
    if not rest:
        if again or old in (None, {}):
            at[step] = held
        return
    if old in (None, {}):
        at[step] = [] if isinstance(rest[0], int) else {}
    _put(at[step], tuple(rest), held, again=again)


def tests_text(draft: Draft, rows: dict[str, list[dict[str, Any]]]) -> str:
    """`rows`: action -> what becomes of its sample, as an expectation."""
    settings = notation.constant(draft.sample_settings)
    out = [
        "# Written by the import: one sample for each action. A test that is marked `todo` fails until its fields have a source.",
        *([f"settings: {settings}"] if draft.sample_settings else []),
        "tests:",
    ]
    if not any(rows.values()):
        return ""
    for action in draft.actions:
        expected = rows.get(action.name)
        if not expected:
            continue
        waits = bool(action.needed)
        name = (
            f"todo {action.name} has a source for {', '.join(action.needed)}"
            if waits
            else f"{action.name} takes its sample"
        )
        out.append(f"  - name: {notation.quoted(name)}")
        out.append(f"    event: {notation.constant(sample_event(action))}")
        out.append(f"    expect: {notation.constant(expected[0] if len(expected) == 1 else expected)}")
    return "\n".join(out) + "\n"
