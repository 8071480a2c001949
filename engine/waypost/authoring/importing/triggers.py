"""A trigger as the other product takes it, said in documented FQL.

Takes a trigger's text. Gives the text that Waypost reads, with notes: what was only said differently, and what means something else here.
The other parser takes much by accident (`==`, a comma, `AND`, a word without quotes); what it does then is what the notes speak of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from waypost.authoring.importing.yaml_lines import APPROXIMATION, SAID, TODO, Note
from waypost.lang import fql, notation
from waypost.lang.errors import LangError
from waypost.lang.fql_tree import And, Call, Compare, Literal, Node, Not, Or, nodes

REPAIRS = 24


@dataclass(frozen=True)
class Trigger:
    text: str
    notes: tuple[Note, ...] = ()
    open: bool = False
    """It is a placeholder: only the author knows what sets the action off."""


def placeholder(what: str, why: str) -> Trigger:
    """A trigger that no event meets until the author writes it: the name of an event is never guessed."""
    text = f"event = {notation.json_text(f'todo: {what}')}"
    return Trigger(text, (Note(TODO, why),), open=True)


def trigger(written: str, what: str) -> Trigger:
    """`what` names the action, for the placeholder of a trigger that cannot be read."""
    if not written.strip():
        return placeholder(what, "nothing says which events set it off")
    text = " ".join(written.split())
    notes: list[Note] = []
    if text != written:
        notes.append(Note(SAID, "the trigger stands on one line"))
    text = _words(text, notes)
    for _ in range(REPAIRS):
        fault = _fault(text)
        if fault is None:
            break
        if fault.replacement is None:
            return placeholder(what, f"its trigger `{text[:80]}` cannot be read: {fault.message}")
        mended = text[: fault.start] + fault.replacement + text[fault.end :]
        notes.append(
            Note(
                APPROXIMATION,
                f"the trigger says `{text[fault.start : fault.end]}`, which is taken there by accident: here it is `{fault.replacement}`",
            )
        )
        if mended == text:
            return placeholder(what, f"its trigger `{text[:80]}` cannot be read: {fault.message}")
        text = mended
    else:
        return placeholder(what, f"its trigger `{text[:80]}` cannot be read")
    return Trigger(text, (*notes, *_meanings(text)))


_WORDS = re.compile(r""""[^"]*"|'[^']*'|\b(?:AND|OR|And|Or)\b|==|,(?![^()]*\))""")


def _words(text: str, notes: list[Note]) -> str:
    """Connecting words in lower case, `=` for `==`, `and` for a comma between conditions."""

    def mend(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] in "\"'":
            if found[0] == "'":
                notes.append(
                    Note(
                        APPROXIMATION,
                        f"the trigger says {found}: there the quotes are part of the text, and it never holds",
                    )
                )
            return found
        to = {"==": "=", ",": " and"}.get(found, found.lower())
        if found.lower() == "or":
            notes.append(Note(APPROXIMATION, f"the trigger says `{found}`: there it is read as `and`"))
        elif found.lower() == "and":
            notes.append(Note(SAID, f"the trigger says `{found}`: here it is `and`"))
        else:
            notes.append(
                Note(
                    APPROXIMATION,
                    f"the trigger says `{found}`, which is taken there by accident: here it is `{to.strip()}`",
                )
            )
        return to

    return _WORDS.sub(mend, text)


def _fault(text: str) -> LangError | None:
    try:
        tree = fql.parse(text)
    except LangError as error:
        return error
    except RecursionError:
        return LangError("syntax", "it is nested too deeply", 0, 0)
    return next(iter(fql.lint(tree)), None)


def _meanings(text: str) -> list[Note]:
    """What holds for other events here than there."""
    tree = fql.read(text)
    found = []
    if (
        any(isinstance(one, Or) and any(isinstance(inner, And) for inner in one.of) for one in nodes(tree))
        and "(" not in text
    ):
        found.append(
            "`and` and `or` on one level: there the last of these words rules them all, here `and` binds tighter"
        )
    for one in nodes(tree):
        if isinstance(one, Not) and not isinstance(one.of, Call):
            found.append("a negated group: there the `!` is lost")
        if isinstance(one, Call) and one.name == "match":
            pattern = one.args[1] if len(one.args) > 1 else None
            held = pattern.value if isinstance(pattern, Literal) and isinstance(pattern.value, str) else ""
            if not (held.startswith("*") or held.endswith("*")) or held.count("*") > 1 or set(held) & set("?["):
                found.append(f"`match` with `{held}`: there it looks at the beginning or the end alone")
        if isinstance(one, Compare) and one.sign == "!=":
            other = one.right if isinstance(one.right, Literal) else one.left
            if isinstance(other, Literal) and isinstance(other.value, bool):
                found.append(f"`!= {str(other.value).lower()}` always holds there")
            elif isinstance(other, Literal) and isinstance(other.value, (int, float)):
                found.append("`!=` a number does not hold there for what is missing or no number")
        if isinstance(one, Compare) and isinstance(one.right, Literal) and one.right.value is None:
            left = getattr(one.left, "steps", ())
            if left in (("event",), ("type",)):
                found.append('a comparison of `event` or `type` with null: there null is the text "null"')
    return [Note(APPROXIMATION, f"the trigger: {said}") for said in dict.fromkeys(found)]


def simple_event(text: str) -> dict[str, str]:
    """The fields of an event that a trigger of equalities asks for: of a choice, the first."""
    found: dict[str, str] = {}

    def meet(one: Node) -> None:
        if isinstance(one, And):
            for part in one.of:
                meet(part)
        elif isinstance(one, Or):
            meet(one.of[0])
        elif isinstance(one, Compare) and one.sign == "=" and isinstance(one.right, Literal):
            name = getattr(one.left, "steps", ())
            if isinstance(one.right.value, str) and name and all(isinstance(step, str) for step in name):
                found.setdefault(".".join(name), one.right.value)

    meet(fql.read(text))
    return found
