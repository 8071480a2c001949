"""The command behind `make bench` (at most three minutes) and `make bench-full`, which also rewrites docs/performance.md."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import delivery, growth, mapping, page, plot
from bench.turns import told
from waypost.authoring.bench.clock import spread
from waypost.authoring.bench.measure import processor

DOCS = mapping.ROOT / "docs"
WORDS = ("segment", "--set", "source_write_key=env:BENCH_KEY")
SMALL = 300
"""Bytes of an event where many are sent."""


def machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{processor()}, Python {platform.python_version()}, {platform.system()} {platform.machine()}; "
        f"load when it began: {load:.1f}."
    )


def deliveries(full: bool) -> str:
    """`waypost run` from a file, three times, in turn with two workers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        binary = delivery.built(folder)
        if isinstance(binary, str):
            return binary
        count = 1_000_000 if full else 300_000
        with delivery.events_file(folder, count, delivery.mixed()) as events:
            if isinstance(events, str):
                return events
            found, shared = [], []
            for _ in range(3):
                found.append(delivery.deliver(binary, events, count, (*WORDS, str(events)), folder))
                shared.append(delivery.deliver(binary, events, count, (*WORDS, "--workers", "2", str(events)), folder))
    faster = spread([alone.wall_s / two.wall_s for alone, two in zip(found, shared, strict=True)])
    rows = [
        ["events a second, wall clock", told(spread([count / item.wall_s for item in found]))],
        ["events a processor second of the engine", told(spread([count / item.cpu_s for item in found]))],
        ["processor seconds a million events", told(spread([item.cpu_s / count * 1e6 for item in found]))],
        ["largest memory, MB", told(spread([item.rss_mb for item in found]))],
        ["two workers: events a second, wall clock", told(spread([count / item.wall_s for item in shared]))],
        ["two workers: times faster than one", told(faster)],
        [
            "two workers: processor seconds a million events",
            told(spread([item.cpu_s / count * 1e6 for item in shared])),
        ],
    ]
    first = found[0]
    head = (
        f"{count:,} events ({first.bytes / 1e6:,.0f} MB), {first.delivered:,} delivered in {first.requests:,} requests, "
        f"exit status {first.status}; cursor, acknowledgements and ledger on; the receiver is a process of its own beside it."
    )
    return f"{head}\n\n{page.table(['', 'median (lowest to highest) of 3 runs'], rows)}"


def many_events(full: bool) -> growth.Curve:
    """End to end as the number of events grows: the engine's processor time and memory."""
    steps = (10_000, 100_000, 1_000_000, 10_000_000) if full else (10_000, 30_000, 100_000)
    lines = growth.small_events(50_000, SMALL)
    points, memory = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        binary = delivery.built(folder)
        if isinstance(binary, str):
            return growth.Curve("events of one run", "events", skipped=binary)
        for count in steps:
            with delivery.events_file(folder, count, lines) as events:
                if isinstance(events, str):
                    return growth.Curve("events of one run", "events", points, skipped=events, linear=0.0)
                runs = 3 if count <= 100_000 else 1
                found = [delivery.deliver(binary, events, count, (*WORDS, str(events)), folder) for _ in range(runs)]
            points.append(growth.Point(count, spread([item.cpu_s / count * 1e6 for item in found])))
            memory.append(f"{max(item.rss_mb for item in found):.0f}")
    told_memory = f"largest memory {', '.join(memory)} MB"
    return growth.Curve("events of one run, end to end", "events", points, linear=0.0, note=told_memory)


def many_connections(full: bool) -> growth.Curve:
    """End to end as the number of connections that take each event grows; what starting costs is taken off, by a run over one event."""
    steps, count = ((1, 2, 5, 10, 20), 50_000) if full else ((1, 2, 5, 10), 30_000)
    lines = growth.small_events(10_000, SMALL)
    points = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        binary = delivery.built(folder)
        if isinstance(binary, str):
            return growth.Curve("connections", "connections", skipped=binary)
        for step in steps:
            seconds = []
            for size in (1, count):
                with delivery.events_file(folder, size, lines) as events:
                    if isinstance(events, str):
                        return growth.Curve("connections", "connections", points, skipped=events)
                    words = (str(delivery.connections(step, events)),)
                    seconds.append([delivery.deliver(binary, events, size, words, folder).cpu_s for _ in range(3)])
            start = statistics.median(seconds[0])
            points.append(growth.Point(step, spread([(used - start) / count * 1e6 for used in seconds[1]])))
    return growth.Curve("connections, end to end", "connections", points)


def grown(full: bool, rounds: int) -> tuple[str, list[growth.Curve]]:
    curves = [
        growth.sizes(mapping.shipped(mapping.FIRST), rounds),
        growth.actions(rounds),
        growth.fields(rounds),
        growth.templated(rounds),
        many_connections(full),
        many_events(full),
    ]
    rows = []
    for curve in curves:
        shown = "; ".join(f"{plot.short(point.at)}: {point.us.middle:.2f}" for point in curve.points)
        slope = f"{curve.slope:.2f} ({curve.linear:g})" if curve.points else ""
        rows.append([curve.of, shown or curve.skipped, slope, curve.note if curve.points else ""])
    return page.table(["what grows", "at: µs an event", "slope (linear is)", ""], rows), curves


SECTIONS = ("mix", "types", "tracks", "templates", "plans", "delivery", "growth")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--full", action="store_true", help="more rounds, a million events and more")
    parser.add_argument("--write", action="store_true", help="rewrite docs/performance.md")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="these sections")
    given = parser.parse_args()
    os.environ.setdefault("BENCH_KEY", "bench")
    rounds = 15 if given.full else 7
    curves: list[growth.Curve] = []

    def growing() -> str:
        text, found = grown(given.full, rounds)
        curves.extend(found)
        return text

    sections: dict[str, Callable[[], str]] = {
        "mix": partial(mapping.mix, rounds),
        "types": partial(mapping.types, rounds),
        "tracks": partial(mapping.large_tracks, rounds),
        "templates": partial(mapping.templates, rounds),
        "plans": partial(mapping.every_plan, rounds),
        "delivery": partial(deliveries, given.full),
        "growth": growing,
    }
    parts = {"machine": machine()}
    print(f"{parts['machine']}\n")
    for name in given.only or SECTIONS:
        start = time.perf_counter()
        parts[name] = sections[name]()
        print(f"== {name} ({time.perf_counter() - start:.0f} s)\n\n{parts[name]}\n", flush=True)
    if given.write:
        page.rewrite(DOCS / "performance.md", parts)
        if curves:
            (DOCS / "performance.svg").write_text(plot.svg(curves), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
