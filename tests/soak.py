"""`make soak`: the long proofs, one after the other, and a closing table.

Takes the parts to run (all of them when none is named) and their sizes. Each part is a program of its own: what it prints is shown as it comes,
its last line stands in the table. The status is 1 when a part has failed.

    python tests/soak.py
    python tests/soak.py kills --kills 400 --seed 7
    python tests/soak.py simulation million sdks
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Part:
    """A program under tests/, what it proves, and its words."""

    program: str
    promises: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What came of a part."""

    name: str
    part: Part
    status: int
    seconds: float
    figures: list[str]


def parts(given: argparse.Namespace) -> dict[str, Part]:
    seed = ("--seed", str(given.seed))
    return {
        "kills": Part("kills.py", "P1 P2 P3 P4", ("--kills", str(given.kills), *seed)),
        "partial": Part("partial.py", "P2 P4 P5", ("--kills", "20", *seed)),
        "simulation": Part("simulation.py", "P2 to P7 P9 P11", ("--schedules", str(given.schedules))),
        "million": Part("million.py", "P8 P11", ("--events", str(given.events), "--down", str(given.down))),
        "rotations": Part("rotations.py", "P1", ("--rotations", str(given.rotations))),
        "sdks": Part("sdks.py", "P1 P3 P4 P6", ("--events", str(given.sdk_events))),
        "fuzz": Part("fuzz.py", "P2 P5", ("--specs", "300", "--events", str(given.fuzz_events))),
        "rates": Part("rates.py", "P7", ("--seconds", str(given.rate_seconds))),
        "ways": Part("fuzz_ways.py", "P2 P5", ("--events", str(given.way_events))),
    }


def run(name: str, part: Part) -> Row:
    print(f"--- {name}: python tests/{part.program} {' '.join(part.words)}", flush=True)
    began = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, str(HERE / part.program), *part.words], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.strip() and not line.startswith(" "):
                lines.append(line.rstrip())
    return Row(name, part, process.returncode, time.monotonic() - began, _figures(name, lines))


def _figures(name: str, lines: list[str]) -> list[str]:
    """The lines that sum a part up: of the kills the last, of the others all."""
    return lines[-1:] if name == "kills" else lines


def table(rows: list[Row]) -> str:
    found = [f"{'part':<11} {'proves':<16} {'result':<7} {'time':>7}  figures"]
    for row in rows:
        said = "held" if row.status == 0 else "FAILED"
        head = f"{row.name:<11} {row.part.promises:<16} {said:<7} {row.seconds:>5.0f} s  "
        found += [
            (head if number == 0 else " " * len(head)) + line for number, line in enumerate(row.figures or ["nothing"])
        ]
    return "\n".join(found)


def main() -> int:
    parser = argparse.ArgumentParser(description="the long proofs of delivery, and a closing table")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="kills, partial, simulation, million, rotations, sdks, fuzz, rates, ways; all when none is named",
    )
    parser.add_argument("--kills", type=int, default=200, help="half over a file, half over HTTP")
    parser.add_argument("--seed", type=int, default=1, help="of the kills")
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000, help="of the run with an outage")
    parser.add_argument("--down", type=float, default=120.0, help="seconds of the outage")
    parser.add_argument("--rotations", type=int, default=20, help="of a log, of each kind")
    parser.add_argument("--sdk-events", type=int, default=10_000, help="of each SDK")
    parser.add_argument("--fuzz-events", type=int, default=200_000, help="hostile ones over 300 random specs")
    parser.add_argument(
        "--way-events", type=int, default=60_000, help="hostile ones each way: HTTP, standard input, files"
    )
    parser.add_argument("--rate-seconds", type=float, default=60.0, help="of each rate, all at once")
    given = parser.parse_args()
    known = parts(given)
    unknown = [name for name in given.parts if name not in known]
    if unknown:
        parser.error(f"no part is called {unknown[0]}: there are {', '.join(known)}")
    rows = [run(name, known[name]) for name in given.parts or known]
    print(table(rows))
    return 1 if any(row.status for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
