"""The draft, judged by the compiler before anybody sees it: what is returned lints.

Takes a Draft. Gives its text, its plan and the notes with their lines. A finding that leaves room for judgement is excused on its line; a value
that cannot be compiled is taken out, and the import says so: rather a gap that is listed than a spec that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from waypost.authoring.importing.draft import ActionDraft, Draft, Owner, text_lines
from waypost.authoring.importing.fields import no_source
from waypost.authoring.importing.triggers import placeholder
from waypost.authoring.importing.yaml_lines import APPROXIMATION, TODO, Line, Note, Noted
from waypost.compiler.pipeline import compile_text
from waypost.compiler.report.diagnostic import Diagnostic, Report
from waypost.compiler.report.rules import JUDGEMENT
from waypost.lang import notation
from waypost.plan import Plan

ROUNDS = 60
UNUSED_SETTING = "C101"
REASONS = {UNUSED_SETTING: "for the request, which is to be filled in"}
UNWRITTEN = "todo: write its value"
REASON = "as the imported metadata has it"


Finding = tuple[Diagnostic, Owner, Line]
"""With whose line it is on, and that line of the draft."""


@dataclass(frozen=True)
class Settled:
    text: str
    plan: Plan | None
    report: Report
    notes: tuple[tuple[int, str, Note], ...]
    """(line, action, note) in order."""


def settle(draft: Draft, path: str, schema: str = "") -> Settled:
    allowed: dict[tuple[Owner, str], str] = {}
    settled, findings = _judged(draft, path, schema, allowed)
    for _ in range(ROUNDS):
        fresh = {key: code for key, code in _excusable(findings).items() if key not in allowed}
        if not fresh and not _without(draft, findings):
            break
        allowed.update(fresh)
        settled, findings = _judged(draft, path, schema, allowed)
    return settled


def _judged(
    draft: Draft, path: str, schema: str, allowed: dict[tuple[Owner, str], str]
) -> tuple[Settled, list[Finding]]:
    written = list(text_lines(draft, schema))
    rows: list[str] = []
    found: list[tuple[int, str, Note]] = []
    for owner, line in written:
        code = allowed.get((owner, line.text))
        rows.append(line.text + (f"   # waypost: allow {code} ({REASONS.get(code, REASON)})" if code else ""))
        found.extend((len(rows), owner[0], note) for note in line.notes)
    text = "\n".join(rows) + "\n"
    plan, report = compile_text(text, path)
    return Settled(text, plan, report, tuple(found)), list(_owned(report, written))


def _owned(report: Report, written: list[tuple[Owner, Line]]) -> Iterator[Finding]:
    for item in report.diagnostics:
        at = report.source.position(item.label.span.start)[0] - 1
        owner, line = written[min(at, len(written) - 1)]
        yield item, owner, line


def _excusable(findings: list[Finding]) -> dict[tuple[Owner, str], str]:
    found: dict[tuple[Owner, str], str] = {}
    for item, owner, line in findings:
        if item.code in JUDGEMENT:
            found.setdefault((owner, line.text), item.code)
    return found


def _without(draft: Draft, findings: list[Finding]) -> bool:
    """Takes the first value that cannot be compiled out of the draft. False when there is nothing to take out."""
    for item, (name, part), _ in findings:
        action = next((one for one in draft.actions if one.name == name), None)
        if action is None:
            if part in draft.settings:
                draft.settings[part] = {"type": "string", "optional": "true", "label": notation.quoted(part)}
                return True
            if draft.auth is not None:
                draft.auth = None
                return True
            continue
        why = f"{item.code} {item.message}"
        if part in action.fields:
            _take(action, part, why)
        elif part == "trigger" and not action.trigger.open:
            action.trigger = placeholder(name, f"its trigger cannot be compiled: {why}")
        elif part == "request" and action.batch is not None:
            action.batch = {"max_messages": "1000", "max_wait": "1s"} if len(action.batch) > 2 else None
            action.notes.append(Note(APPROXIMATION, f"its batch cannot be compiled, and is left out: {why}"))
        elif part == "require" and action.require:
            lost = action.require.pop()
            action.notes.append(
                Note(APPROXIMATION, f"a condition of `require` cannot be compiled, and is left out: {why} ({lost})")
            )
        elif part in ("mapping", "") and action.fields:
            _take(action, next(reversed(action.fields)), why)
        else:
            continue
        return True
    return False


def _take(action: ActionDraft, key: str, why: str) -> None:
    tree = action.fields[key]
    needed = isinstance(tree, Noted) and any(note.kind == TODO for note in tree.notes)
    note = Note(APPROXIMATION, f"`{key}` cannot be compiled, and has no value: {why}")
    if needed or (isinstance(tree, Noted) and tree.comment == UNWRITTEN):
        # Not even the key can be written.
        del action.fields[key]
        action.notes.append(Note(APPROXIMATION, f"the field `{key}` is left out, no spec can hold it: {why}"))
        return
    action.fields[key] = Noted({"$from": no_source(key)}, (note,), UNWRITTEN)
