"""What a run that ends early leaves behind, and what to do: true for each kind of input and for the options that were given.

Takes a lane's Summary and what the run keeps (`Keeps`). Gives sentences for the end of `run` and `dead replay`, and whether a next run goes on.

| input | option | what is kept | what to do |
|---|---|---|---|
| files | none | nothing | begin again, which sends again what was delivered; or `--state` |
| files | `--state` | what has ended | the same command goes on |
| standard input | none, `--state` | not the input | give it again, or `--journal` |
| standard input | `--journal` | what was read | the same command goes on |
| HTTP | (always journaled) | what was answered 200 | the same command goes on |
| dead letters | | those that have not ended | the same command goes on |
| any | `--dry-run` | nothing, and nothing was sent | begin again |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from waypost.engine.summary import Summary
from waypost.sources.port import FILES, FOLLOWED, HTTP, JOURNALED_STDIN, STDIN

LETTERS, DRY = "letters", "dry"
"""Kinds of input beside those of sources/port.py: dead letters of a state, and any input of a run that sends nothing."""


@dataclass(frozen=True)
class Keeps:
    """`kinds`: of each source by its name, `kind` of one that is not named there. `state`: the folder, or nothing. `letters`: the file that
    takes dead letters, or nothing."""

    kind: str
    state: str = ""
    letters: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)

    def of(self, summary: Summary) -> str:
        return self.kinds.get(summary.source, self.kind)

    def resumes(self, summary: Summary) -> bool:
        """Whether the same command goes on where this run ended."""
        kind = self.of(summary)
        return kind in (JOURNALED_STDIN, HTTP, LETTERS) or (kind in (FILES, FOLLOWED) and bool(self.state))


def told(summary: Summary, keeps: Keeps) -> Iterator[str]:
    """Why a run ended before all was delivered, and what is left. Nothing when there is nothing to say."""
    rest = summary.unread or summary.ledger.in_flight > 0
    # A file that is followed has no end: a signal is how it ends, and a next run would begin at its beginning.
    begins_again = keeps.of(summary) == FOLLOWED and not keeps.state and summary.ledger.delivered > 0
    left = f"{_kept(summary, keeps)}{_twice(summary, keeps)}"
    if summary.fault:
        yield f"{summary.fault}; {left}"
    elif summary.stopped:
        yield f"stopped: {summary.stopped}; {left}"
    elif summary.interrupted and (rest or begins_again):
        yield f"interrupted: {left}"


def _kept(summary: Summary, keeps: Keeps) -> str:
    kind, delivered = keeps.of(summary), summary.ledger.delivered
    if kind == DRY:
        return "a dry run sends and keeps nothing"
    if kind == LETTERS:
        return "the letters that were not sent are still in the state: the same command goes on with them"
    if kind == HTTP:
        return f"what was answered 200 and not delivered is kept in {keeps.state}: the same command goes on there"
    if kind == JOURNALED_STDIN:
        return (
            f"what was read from standard input and not delivered is kept in {keeps.state}: the same command goes on there, and "
            "then reads standard input; what was not read is not kept"
        )
    if kind == STDIN:
        again = f", which sends again the {delivered:,} that were delivered" if delivered else ""
        return f"standard input is not kept: give it again from its beginning{again}; with --journal a next run would go on"
    if keeps.state:
        return f"what was not delivered is kept by {keeps.state}: the same command goes on there"
    if not delivered:
        return f"nothing was delivered: a new run starts at the beginning{_letters(summary, keeps)}"
    return (
        f"nothing is kept of how far this run came: a new run starts at the beginning and sends again the {delivered:,} that were "
        f"delivered{_letters(summary, keeps)}; with --state DIR a next run would go on"
    )


def _letters(summary: Summary, keeps: Keeps) -> str:
    dead = summary.ledger.dead.total() + summary.ledger.rejected.total()
    return f", and writes their dead letters into {keeps.letters} once more" if dead and keeps.letters else ""


def _twice(summary: Summary, keeps: Keeps) -> str:
    """What may arrive twice although the next run goes on: what was sent and never answered, and what a disk did not take."""
    if not keeps.resumes(summary):
        return ""
    if summary.fault:
        return "; what was delivered last may be sent again"
    in_flight = summary.ledger.in_flight
    if summary.interrupted and in_flight:
        return f"; of the {in_flight:,} in flight, those that were sent and not answered may arrive twice"
    return ""
