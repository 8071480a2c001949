"""What the importer makes of the public corpus of metadata with expected payloads: two figures, and every pair that differs.

    .venv/bin/python tests/corpus.py [-v] [DESTINATION ...]

Reads shared/reference/data/segment-actions in a folder above this repository (or WAYPOST_CORPUS); nothing of it is in the repository. Imports
each destination, compiles what comes out, and sends each event through each preset's action.

Figure 1: presets whose spec lints. Figure 2: pairs of preset and event that differ, without the classes in which the corpus's README says that
ours is right (`CLASSES`). Presets without a trigger of their own are compared by their mapping alone. `mapping` counts the same with every
trigger taken away: a harder measure, for most events are of another kind than the preset is for.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from waypost.authoring.importing import metadata
from waypost.authoring.importing.imported import Imported, imported
from waypost.events.results import Mapped, Rejected
from waypost.lang import values
from waypost.program.program import Program, link

NAME = Path("shared", "reference", "data", "segment-actions")
BATCH = ("enable_batching", "batch_size", "batch_bytes", "batch_keys")
CLASSES = {
    "empty": "`{}` and `[{}]` are left out",
    "digits": "an integer beyond 2^53 keeps its digits",
    "template": "a template with a missing part is missing, not part of a text",
    "nulls": "a null in a list of objects is not made a zero",
}

TOLD = re.compile(r"^rejected here: wrong_type .*found array|^taken here, there: \S+ must be a valid email")
"""What every import says: of a list of one item where one value is meant, and of letters in an email address."""


def corpus() -> Path | None:
    named = os.environ.get("WAYPOST_CORPUS")
    for folder in [Path(named)] if named else [parent / NAME for parent in Path(__file__).resolve().parents]:
        if (folder / "metadata.json.gz").is_file():
            return folder
    return None


@dataclass
class Figures:
    presets: int = 0
    lint: int = 0
    pairs: int = 0
    differ: list[tuple[str, ...]] = field(default_factory=list)
    """(destination, preset, event, what)."""
    mapping: list[tuple[str, ...]] = field(default_factory=list)
    silent: list[tuple[str, ...]] = field(default_factory=list)
    """Pairs that differ although the import lists nothing for the action."""
    classes: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[str] = field(default_factory=list)

    def told(self) -> str:
        share = 100 * len(self.differ) / max(self.pairs, 1)
        harder = 100 * len(self.mapping) / max(self.pairs, 1)
        return (
            f"presets whose spec lints: {self.lint} of {self.presets} ({100 * self.lint / max(self.presets, 1):.1f} %)\n"
            f"pairs that differ: {len(self.differ)} of {self.pairs} ({share:.2f} %), {len(self.silent)} of them silently;"
            f" by the mapping alone {len(self.mapping)} ({harder:.2f} %)\n"
            f"in classes where ours is right: {dict(self.classes)}"
        )


def measure(folder: Path, only: tuple[str, ...] = ()) -> Figures:
    figures = Figures()
    with gzip.open(folder / "metadata.json.gz") as file:
        held = values.decode(file.read())
    events = {one["messageId"].removeprefix("corp-"): line for line in _lines(folder) for one in [json.loads(line)]}
    expected: dict[str, dict[int, list[dict[str, Any]]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    with gzip.open(folder / "presets_expected.ndjson.gz") as file:
        for line in file:
            row = json.loads(line)
            expected[row["destination"]][row["n"]].append(row)
    for raw in held["destinations"]:
        if not only or raw["id"] in only:
            _destination(figures, raw, expected[raw["id"]], events)
    return figures


def _lines(folder: Path) -> list[bytes]:
    return [line for line in (folder / "events.ndjson").read_bytes().split(b"\n") if line.strip()]


def _destination(figures: Figures, raw: Any, expected: Any, events: dict[str, bytes]) -> None:
    (one,) = metadata.destinations(raw)
    made = imported(one, f"{one.slug}/destination.yaml")
    figures.presets += len(one.presets)
    if made.settled.plan is None or made.settled.report.diagnostics:
        figures.faults.append(f"{one.slug}: {made.settled.report.diagnostics[:1]}")
    if made.settled.plan is None:
        figures.pairs += sum(map(len, expected.values()))
        figures.differ.extend(
            (raw["id"], str(n), row["event"], "does not compile") for n, rows in expected.items() for row in rows
        )
        return
    figures.lint += len(one.presets)
    live, forced = _program(made), _program(made, forced=True)
    results = {name: (_by_action(live, line), _by_action(forced, line)) for name, line in events.items()}
    for n, rows in expected.items():
        action = made.draft.actions[n]
        listed = any(name == action.name for _, name, _ in made.open)
        for row in rows:
            figures.pairs += 1
            own_live, own = (found.get(action.name) for found in results[row["event"]])
            where = (raw["id"], action.name, row["event"])
            what, seen = _differs(row, own, raw)
            if what:
                figures.mapping.append((*where, what))
            subscribed = row.get("subscribed")
            if subscribed is not None and (own_live is not None) is not subscribed:
                what, seen = f"trigger: {'taken' if own_live else 'not taken'} here, the other there", set()
            elif subscribed is False:
                continue
            figures.classes.update(seen if not what else ())
            if what:
                figures.differ.append((*where, what))
                if not listed and not TOLD.search(what):
                    figures.silent.append((*where, what))


def _program(made: Imported, *, forced: bool = False) -> Program:
    plan = made.settled.plan
    assert plan is not None
    actions = {
        name: msgspec.structs.replace(one, enabled=True, trigger='type != ""' if forced else one.trigger)
        for name, one in plan.actions.items()
    }
    return link(msgspec.structs.replace(plan, actions=actions, integrations=[]), made.draft.sample_settings)


def _by_action(program: Program, line: bytes) -> dict[str, Mapped | Rejected]:
    found = program.map(line, now=1_784_000_000.0)
    return {one.action: one for one in found if isinstance(one, (Mapped, Rejected)) and one.action is not None}


def _differs(row: dict[str, Any], own: Mapped | Rejected | None, raw: Any) -> tuple[str, set[str]]:
    """("", classes) when the two agree, else what differs."""
    mapping = raw["presets"][row["n"]].get("mapping") or {}
    if own is None:
        return "no result", set()
    if "error" in row:
        return ("" if isinstance(own, Rejected) else f"taken here, there: {row['error'][:80]}"), set()
    if isinstance(own, Rejected):
        key = own.field.split(".")[0].split("[")[0]
        if "@template" in json.dumps(mapping.get(key, "")):
            return "", {"template"}
        return f"rejected here: {own.reason} {own.field}: {own.message}", set()
    theirs = {
        key: one
        for key, one in row["payload"].items()
        if key not in BATCH and not key.startswith("__segment_internal_")
    }
    seen: set[str] = set()
    left = list(_unlike(theirs, json.loads(own.body), row.get("mapped", {}), mapping, seen))
    return ("; ".join(left[:3]), seen)


GONE = object()


def _unlike(theirs: Any, ours: Any, mapped: Any, mapping: Any, seen: set[str], path: str = "") -> Iterator[str]:
    if theirs in ({}, [{}]) and ours is GONE:
        seen.add("empty")
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in [*theirs, *(key for key in ours if key not in theirs)]:
            inner = mapped.get(key) if isinstance(mapped, dict) else None
            source = mapping.get(key) if isinstance(mapping, dict) and not path else mapping
            yield from _unlike(theirs.get(key, GONE), ours.get(key, GONE), inner, source, seen, f"{path}.{key}")
        return
    if isinstance(theirs, list) and isinstance(ours, list):
        kept = [
            (one, mapped[at] if isinstance(mapped, list) and at < len(mapped) else None)
            for at, one in enumerate(theirs)
        ]
        if len(theirs) != len(ours):
            kept = [(one, source) for one, source in kept if not _hollow(one, source)]
            seen.add("empty")
        if len(kept) == len(ours):
            for at, ((one, source), own) in enumerate(zip(kept, ours, strict=True)):
                yield from _unlike(one, own, source, mapping, seen, f"{path}[{at}]")
            return
    if theirs == ours and type(theirs) is type(ours):
        return
    found = _class(theirs, ours, mapped, mapping)
    if found is None:
        yield f"{path}: {_shown(ours)} here, {_shown(theirs)} there"
    elif found:
        seen.add(found)


def _hollow(held: Any, mapped: Any) -> bool:
    """An object that is empty, or in which only nulls have become something."""
    return held == {} or (
        isinstance(held, dict) and isinstance(mapped, dict) and all(mapped.get(key) is None for key in held)
    )


def _class(theirs: Any, ours: Any, mapped: Any, mapping: Any) -> str | None:
    """The class of a difference, "" for none at all, None for one that counts."""
    if _number(theirs) and _number(ours) and float(theirs) == float(ours):
        return "" if abs(float(theirs)) < 2**53 else "digits"
    if isinstance(theirs, str) and isinstance(ours, str):
        try:
            if float(theirs) == float(ours) and abs(float(ours)) >= 2**53:
                return "digits"
        except ValueError:
            pass
    if mapped is None and theirs in ("", 0, False) and ours is GONE:
        return "nulls"
    if ours is GONE and "@template" in json.dumps(mapping):
        return "template"
    if ours is GONE and isinstance(theirs, list) and theirs and all(_hollow(one, None) for one in theirs):
        return "empty"
    if ours is GONE and isinstance(theirs, dict) and all(_hollow(one, None) for one in theirs.values()):
        return "empty"
    return None


def _number(held: Any) -> bool:
    return isinstance(held, (int, float)) and not isinstance(held, bool)


def _shown(held: Any) -> str:
    return "nothing" if held is GONE else json.dumps(held)[:100]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*")
    parser.add_argument("-v", action="store_true", help="every pair that differs")
    parser.add_argument("-m", action="store_true", help="also those that differ by the mapping alone")
    args = parser.parse_args()
    folder = corpus()
    if folder is None:
        print("the corpus is not here: set WAYPOST_CORPUS to its folder")
        return 2
    figures = measure(folder, tuple(args.only))
    for row in figures.silent:
        print("silently:", *row, sep="  ")
    for row in [*(figures.differ if args.v else ()), *(figures.mapping if args.m else ())]:
        print(*row, sep="  ")
    for fault in figures.faults:
        print("does not lint:", fault)
    print(figures.told())
    return 0


if __name__ == "__main__":
    sys.exit(main())
