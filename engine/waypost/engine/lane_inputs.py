"""Where a lane is in its sources: which one is read, where each was taken up, and what of it is lost.

Takes the sources of a lane in their order. Gives the one that is to be read, opened where an earlier run left it, or this one before its plan
was changed.
"""

from __future__ import annotations

from waypost.delivery.lane import Lane
from waypost.engine.options import Options
from waypost.events.loss import Loss
from waypost.sources.port import Source
from waypost.state.commits import LaneSteps
from waypost.state.journal import Journal
from waypost.state.records import Cursor, Snapshot


class LaneInputs:
    """State: the source that is read, those that were opened, where they were when the plan was changed, and what was counted as lost."""

    def __init__(self, sources: list[Source], keeping: LaneSteps, options: Options, news: Journal | None) -> None:
        self.sources = sources
        self._keeping = keeping
        self._options = options
        self._news = news
        self._reading = 0
        self._opened: set[str] = set()
        self._held: dict[str, Snapshot] = {}
        self._losses: set[tuple[str, Loss]] = set()
        self._lane: Lane

    def follow(self, lane: Lane) -> None:
        """The lane that reads the sources from now on."""
        self._lane = lane

    @property
    def current(self) -> Source | None:
        """The source that is to be read; None when all have ended."""
        return self.sources[self._reading] if self._reading < len(self.sources) else None

    @property
    def last(self) -> Source | None:
        """The one that is read, or was read last."""
        return self.sources[min(self._reading, len(self.sources) - 1)] if self.sources else None

    @property
    def unread(self) -> bool:
        """Whether there is more to read. Of those before the one that is being read, the end was seen."""
        return any(source.size is None or source.offset < source.size for source in self.sources[self._reading :])

    def ended(self) -> None:
        """The current one has ended: the next one is to be read."""
        self._reading += 1
        self._keeping.committer.due()

    def open(self, source: Source) -> None:
        """Goes to where the lane left this source: in this run, before the plan was changed, or in an earlier one."""
        self._opened.add(source.name)
        saved = self._keeping.opened(source)
        held = self._held.pop(source.name, None)
        at = Cursor(source.name, source.identity, held) if held is not None else saved
        if at is None:
            self._keeping.resumed(source.name, Snapshot(source.offset))
            self._keeping.committer.due()
            return
        said = source.resume(at.at.cursor, at.identity)
        if said:
            self._options.notice(said)
        self._keeping.resumed(source.name, Snapshot(source.offset) if said else at.at)
        if held is None and not said and not source.waits and source.size is not None and source.offset >= source.size:
            self._options.notice(f"{source.name}: nothing new since the last run")

    def count_losses(self, source: Source) -> None:
        """Counts what of a source cannot be read, once."""
        for loss in source.losses:
            if (source.name, loss) not in self._losses:
                self._losses.add((source.name, loss))
                self._lane.ledger.missing += 1
                self._lane.ledger.missing_bytes += loss.size
                self._keeping.committer.due()

    def hold(self) -> list[tuple[str, int]]:
        """The plan is to be changed, with nothing under way: the sources are opened again where they are. Gives (source, offset) of the events
        of which a part has ended. Sources that ended are read again where something of them was still on its way."""
        names = [source.name for source in self.sources[: self._reading + 1] if source.name in self._opened]
        self._held = {name: self._keeping.snapshot(name) for name in names}
        busy = self._lane.sources_on_their_way
        self._reading = next((index for index, source in enumerate(self.sources) if source.name in busy), self._reading)
        return [(name, part[0]) for name, at in self._held.items() for part in at.parts]

    def resume(self) -> None:
        """The new plan's lane takes up what the old one held."""
        for name, at in self._held.items():
            self._keeping.resumed(name, at)

    def at(self, source: Source) -> int:
        """The offset in a source up to which everything has ended."""
        return self._lane.cursor(source.name) if source.name in self._opened else source.offset

    def lag(self, source: Source) -> int | None:
        """How much of a source has not ended, in its own unit (bytes; a journal's are events). None where its end is not known."""
        try:
            end = self._news.next(source.name) if source.journaled and self._news is not None else source.size
        except (OSError, ValueError):
            # A file that is closed, or gone on its network: a look must not fail for that.
            end = None
        return None if end is None else max(0, end - self.at(source))
