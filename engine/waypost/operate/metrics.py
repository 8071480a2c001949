"""What an engine at work looks like, as data and as Prometheus text.

Takes a Snapshot (snapshot.py makes one). Gives the exposition text, version 0.0.4. Names and units by Prometheus' conventions: base units,
counters end in `_total`. METRICS is the registry; docs/operating.md is made from it. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from waypost.delivery.ledger import Ledger
from waypost.engine.traffic import BOUNDS, Traffic

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class LaneView:
    """One lane at an instant. `lag_bytes` and `lag_events`: what of its source has not ended, None where that is not known. `oldest_s`: how
    long the oldest event on its way has been there. `state`: running, paused, failing, stopped, ended or fault."""

    connection: str
    source: str
    state: str
    ledger: Ledger
    traffic: Traffic
    events_read: int
    lag_bytes: int | None
    lag_events: int | None
    oldest_s: float
    breaker_open: bool
    paused_s: float
    held_bytes: int
    under_way: int
    allowed: int
    stopped: str


@dataclass(frozen=True)
class Snapshot:
    """`journal`: bytes held, by source. `dead`: dead letters held in the state, by connection and source."""

    version: str
    lanes: list[LaneView]
    journal: dict[str, int] = field(default_factory=dict)
    dead: dict[tuple[str, str], int] = field(default_factory=dict)
    not_ready: tuple[str, ...] = ()


Sample = tuple[tuple[str, ...], float]
"""The values of the labels, and the number."""


@dataclass(frozen=True)
class Metric:
    """One family. `samples` gives its rows; a histogram's are written by `_histogram`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    samples: Callable[[Snapshot], Iterable[Sample]]


LANE = ("connection", "source")


def _each(value: Callable[[LaneView], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    """A number a lane; none where it is not known."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        for lane in snapshot.lanes:
            found = value(lane)
            if found is not None:
                yield (lane.connection, lane.source), found

    return samples


def _by(
    values: Callable[[LaneView], Iterable[tuple[tuple[str, ...], float]]],
) -> Callable[[Snapshot], Iterator[Sample]]:
    """Several numbers a lane, with labels of their own."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        for lane in snapshot.lanes:
            for labels, found in values(lane):
                yield (lane.connection, lane.source, *labels), found

    return samples


def _deliveries(lane: LaneView) -> Iterator[tuple[tuple[str, ...], float]]:
    yield ("delivered", ""), lane.ledger.delivered
    for outcome, counts in (("filtered", lane.ledger.filtered), ("dead", lane.ledger.dead)):
        for reason, count in sorted(counts.items()):
            yield (outcome, reason), count


METRICS = (
    Metric(
        "waypost_build_info", "gauge", ("version",), "1; the version is a label", lambda seen: [((seen.version,), 1)]
    ),
    Metric("waypost_ready", "gauge", (), "1 while /ready answers 200", lambda seen: [((), not seen.not_ready)]),
    Metric(
        "waypost_events_read_total",
        "counter",
        LANE,
        "events taken in; with the rejected lines, every line that was read",
        _each(lambda lane: lane.events_read),
    ),
    Metric(
        "waypost_lines_rejected_total",
        "counter",
        (*LANE, "reason"),
        "lines that are no event",
        _by(lambda lane: [((reason,), count) for reason, count in sorted(lane.ledger.rejected.items())]),
    ),
    Metric(
        "waypost_deliveries_total",
        "counter",
        (*LANE, "outcome", "reason"),
        "deliveries that ended: outcome is delivered, filtered or dead",
        _by(_deliveries),
    ),
    Metric("waypost_in_flight", "gauge", LANE, "deliveries on their way", _each(lambda lane: lane.ledger.in_flight)),
    Metric(
        "waypost_held_bytes",
        "gauge",
        LANE,
        "messages on their way and their events, in memory",
        _each(lambda lane: lane.held_bytes),
    ),
    Metric(
        "waypost_requests_total",
        "counter",
        (*LANE, "status"),
        "requests that ended: 2xx, 3xx, 4xx, 5xx, unsent (none left) or unanswered (sent, no answer)",
        _by(lambda lane: [((status,), count) for status, count in sorted(lane.traffic.ended.items())]),
    ),
    Metric(
        "waypost_retries_total",
        "counter",
        LANE,
        "requests that were not a batch's first",
        _each(lambda lane: lane.ledger.attempts_again),
    ),
    Metric(
        "waypost_duplicates_possible_total",
        "counter",
        LANE,
        "messages of unanswered requests: they may have arrived, and are sent again with the same bytes and id",
        _each(lambda lane: lane.traffic.maybe_twice),
    ),
    Metric(
        "waypost_request_bytes_total",
        "counter",
        LANE,
        "bytes of bodies as sent, compressed where the request is",
        _each(lambda lane: lane.ledger.bytes),
    ),
    Metric("waypost_request_duration_seconds", "histogram", LANE, "how long a request took", lambda seen: ()),
    Metric(
        "waypost_requests_under_way",
        "gauge",
        LANE,
        "requests without an answer yet",
        _each(lambda lane: lane.under_way),
    ),
    Metric(
        "waypost_requests_allowed",
        "gauge",
        LANE,
        "how many requests may be under way at once now: fewer when the destination cannot keep up",
        _each(lambda lane: lane.allowed),
    ),
    Metric(
        "waypost_lag_bytes",
        "gauge",
        LANE,
        "bytes of the source's files that have not ended",
        _each(lambda lane: lane.lag_bytes),
    ),
    Metric(
        "waypost_lag_events",
        "gauge",
        LANE,
        "events of the source's journal that have not ended",
        _each(lambda lane: lane.lag_events),
    ),
    Metric(
        "waypost_lag_seconds",
        "gauge",
        LANE,
        "how long ago the oldest event on its way was read, or came into the journal; 0 when none is",
        _each(lambda lane: lane.oldest_s),
    ),
    Metric(
        "waypost_breaker_open",
        "gauge",
        LANE,
        "1 while the destination fails and is only tried now and then",
        _each(lambda lane: lane.breaker_open),
    ),
    Metric(
        "waypost_throttled_seconds",
        "gauge",
        LANE,
        "for how long the destination has yet asked to be left alone",
        _each(lambda lane: lane.paused_s),
    ),
    Metric(
        "waypost_lane_stopped",
        "gauge",
        LANE,
        "1 when the lane sends no more: credentials or configuration",
        _each(lambda lane: bool(lane.stopped)),
    ),
    Metric(
        "waypost_journal_bytes",
        "gauge",
        ("source",),
        "bytes of events in the journal that some lane has not passed",
        lambda seen: [((source,), size) for source, size in sorted(seen.journal.items())],
    ),
    Metric(
        "waypost_dead_letters",
        "gauge",
        LANE,
        "dead letters that the state holds",
        lambda seen: [(lane, count) for lane, count in sorted(seen.dead.items())],
    ),
)


def text(snapshot: Snapshot) -> str:
    """The exposition. Every family is there, also one without a row."""
    lines: list[str] = []
    for metric in METRICS:
        lines.append(f"# HELP {metric.name} {_escaped(metric.help, quotes=False)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        if metric.kind == "histogram":
            lines += itertools.chain.from_iterable(_histogram(metric, lane) for lane in snapshot.lanes)
        else:
            lines += [_row(metric.name, metric.labels, *sample) for sample in metric.samples(snapshot)]
    return "\n".join(lines) + "\n"


def _histogram(metric: Metric, lane: LaneView) -> Iterator[str]:
    labels, traffic = (lane.connection, lane.source), lane.traffic
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    totals = list(itertools.accumulate(traffic.durations))
    for bound, total in zip(bounds, totals, strict=True):
        yield _row(f"{metric.name}_bucket", (*metric.labels, "le"), (*labels, bound), total)
    yield _row(f"{metric.name}_sum", metric.labels, labels, traffic.seconds)
    yield _row(f"{metric.name}_count", metric.labels, labels, totals[-1])


def _row(name: str, labels: tuple[str, ...], values: tuple[str, ...], number: float) -> str:
    pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))
    return f"{name}{{{pairs}}} {_number(number)}" if pairs else f"{name} {_number(number)}"


def _number(number: float) -> str:
    return str(int(number)) if isinstance(number, int) else repr(round(number, 6))


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
