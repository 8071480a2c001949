"""What a run shows at its end: the closed ledger of each lane (board.py has what it shows while it works).

Takes summaries of the engine. Gives text on standard error, or one JSON object on standard output.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from waypost.cli import endings
from waypost.cli.endings import Keeps
from waypost.cli.logs import note
from waypost.engine.summary import Summary, status_of
from waypost.events.notices import Notice


def report(
    summaries: list[Summary],
    letters: str,
    keeps: Keeps,
    *,
    several: bool,
    dry_run: bool,
    as_json: bool,
    as_log: bool = False,
) -> None:
    """The closed ledgers, once, at the end. `letters` says where dead letters are, `keeps` what is left of a run that ended early. `as_log`:
    what goes to standard error is a log."""
    if as_log:
        for summary in summaries:
            note(_logged(summary, letters, keeps, dry_run=dry_run))
    if as_json:
        rows = [_row(summary, keeps) for summary in summaries]
        click.echo(json.dumps({"lanes": rows, "status": status_of(summaries)} if several else rows[0]))
        return
    if as_log:
        return
    for summary in summaries:
        click.echo("\n".join(_told(summary, several=several, dry_run=dry_run)), err=True)
    if any(summary.ledger.dead or summary.ledger.rejected for summary in summaries) and not dry_run:
        click.echo(f"  dead letters are in {letters}", err=True)
    for summary in summaries:
        for text in _troubles(summary, keeps):
            click.echo(f"waypost: {summary.connection}: {text}" if several else f"waypost: {text}", err=True)


def _logged(summary: Summary, letters: str, keeps: Keeps, *, dry_run: bool) -> Notice:
    level = "error" if summary.status in (4, 70) else "warning" if summary.status else "info"
    row = {name: value for name, value in _row(summary, keeps).items() if name not in ("connection", "source")}
    kept = {} if dry_run else {"letters_in": letters}
    about = summary.connection, summary.source
    text = "; ".join([_told(summary, several=True, dry_run=dry_run)[0], *_troubles(summary, keeps)])
    return Notice(text, "summary", level=level, connection=about[0], source=about[1], **row, **kept)


def _row(summary: Summary, keeps: Keeps) -> dict[str, Any]:
    return {
        "connection": summary.connection,
        "source": summary.source,
        **summary.ledger.as_dict(),
        "seconds": round(summary.seconds, 3),
        "stopped": summary.stopped or None,
        "resumes": keeps.resumes(summary),
        "status": summary.status,
    }


def _told(summary: Summary, *, several: bool, dry_run: bool) -> list[str]:
    ledger = summary.ledger
    name = f"{summary.connection} from {summary.source}" if several else summary.connection
    verb = "would deliver" if dry_run else "delivered"
    ended = (
        f"{ledger.delivered:,} delivered + {ledger.filtered.total():,} filtered{_counts(ledger.filtered)}"
        f" + {ledger.dead.total():,} dead{_counts(ledger.dead)}"
    )
    rejected = f"{ledger.rejected.total():,} rejected{_counts(ledger.rejected)}"
    return [
        f"{name}: {verb} {ledger.delivered:,} of {ledger.deliveries:,} deliveries",
        f"  read        {ledger.read:,} lines = {ledger.accepted:,} events + {rejected}",
        f"  deliveries  {ledger.deliveries:,} = {ended} + {ledger.in_flight:,} in flight",
        f"  requests    {ledger.requests:,} ({ledger.attempts_again:,} again), {ledger.bytes:,} bytes in {summary.seconds:.1f} s",
    ]


def _troubles(summary: Summary, keeps: Keeps) -> Iterator[str]:
    yield from endings.told(summary, keeps)
    if summary.caught:
        yield f"{summary.caught:,} dead letters with the reason `fault` are a fault of waypost: please report what was said of it above"
    elif summary.faults:
        yield "a fault of waypost was met, and no event lost by it: please report what was said of it above"
    if missing := summary.ledger.missing:
        known = f", {summary.ledger.missing_bytes:,} bytes of it known" if summary.ledger.missing_bytes else ""
        places = "at one place" if missing == 1 else f"at {missing:,} places"
        yield f"some of the input is gone or damaged and was not read ({places}{known}): see above"
    if not summary.ledger.closes:
        yield "the ledger does not close: this is a fault of waypost, please report it"


def _counts(found: Any) -> str:
    return f" ({', '.join(f'{reason} {count:,}' for reason, count in sorted(found.items()))})" if found else ""
