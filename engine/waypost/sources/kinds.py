"""The kinds of sources that a connections file may name, each with how its events are reached: the one place where sources are put together.

Takes a source as a plan has it (`plan.Feed`) and what is around it in this run (`Around`). Gives a Kind, which says what the engine is to know
of the source, opens its inputs, and makes what takes its events in. The engine sees inputs (port.py) and intakes only.

To add a kind: a file with a class like those below, and its line in KINDS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from waypost.events.lines import SourceError
from waypost.plan import Feed
from waypost.sources.file import expand
from waypost.sources.ingest import Ingest, Served
from waypost.sources.pattern import openers
from waypost.sources.port import FILES, FOLLOWED, HTTP, JOURNALED_STDIN, STDIN, Intake, Opener
from waypost.sources.stdin import StdinIntake, StdinSource
from waypost.sources.stream import is_stream
from waypost.state.journal import Journal
from waypost.state.journal_source import JournalSource


@dataclass
class Around:
    """What a source finds in its run. State: the journal, once it is open, and what takes events in."""

    notice: Callable[[str], None]
    steady: Callable[[], float]
    keep_stdin: bool = False
    resolve: Callable[[str], str] = lambda reference: reference
    """A secret's value by its reference (`env:NAME`, `file:PATH`)."""
    journal: Journal | None = None
    intakes: list[Intake] = field(default_factory=list)

    @property
    def kept(self) -> Journal:
        assert self.journal is not None
        return self.journal


class Kind:
    """A source as this run sees it. What is said here holds for most kinds: events that can be read at any time, from their start, by
    everybody. All but `intakes` and `inputs` is asked before anything is open."""

    def __init__(self, feed: Feed, around: Around) -> None:
        self.feed = feed
        self.around = around

    @property
    def ends(self) -> str:
        """How its inputs end: FILES and its like in port.py."""
        return FILES

    @property
    def journaled(self) -> bool:
        """Whether its events are kept in the journal until every lane has passed them."""
        return False

    @property
    def endless(self) -> bool:
        """Whether its lanes wait for more, and for a destination that cannot be reached."""
        return False

    @property
    def measured(self) -> bool:
        """Whether its inputs know their size before they are read."""
        return True

    @property
    def from_start(self) -> bool:
        """Whether a new lane begins with the oldest event that is there, and not with the next one that comes."""
        return True

    @property
    def door(self) -> object:
        """What is bound when a run begins and cannot be changed by a reload. None where there is nothing."""
        return None

    def streams(self) -> Iterable[tuple[str, str]]:
        """(what it is, how it is called) of each input that only one source can read."""
        return ()

    def check(self) -> None:
        """Raises SourceError for what cannot be opened, where trying it takes nothing from anybody."""

    @staticmethod
    def intakes(feeds: Sequence[Feed], around: Around) -> list[Intake]:
        """What takes in the events of all sources of this kind."""
        return []

    def inputs(self, added: Callable[[Opener], None]) -> Sequence[Opener]:
        """A way to open each input, in order; each that comes later is `added`. Raises SourceError."""
        raise NotImplementedError


class HttpKind(Kind):
    """Events over HTTP, which are answered when they are in the journal."""

    ends = HTTP
    journaled = True
    endless = True
    measured = False

    @property
    def from_start(self) -> bool:
        return self.feed.start == "start"

    @property
    def door(self) -> object:
        return self.feed.name, self.feed.http, self.feed.write_keys

    @staticmethod
    def intakes(feeds: Sequence[Feed], around: Around) -> list[Intake]:
        served = [
            Served(feed.name, feed.http or "", tuple(around.resolve(key) for key in feed.write_keys)) for feed in feeds
        ]
        return [Ingest(served, around.kept, notice=around.notice)] if served else []

    def inputs(self, added: Callable[[Opener], None]) -> Sequence[Opener]:
        return [partial(JournalSource, self.around.kept, self.feed.name, from_start=self.from_start)]


class StdinKind(Kind):
    """Standard input, read as it is or through the journal (`--journal`)."""

    measured = False

    @property
    def ends(self) -> str:
        return JOURNALED_STDIN if self.around.keep_stdin else STDIN

    @property
    def journaled(self) -> bool:
        return self.around.keep_stdin

    def streams(self) -> Iterable[tuple[str, str]]:
        yield "stdin", "standard input"
        try:
            own = os.fstat(0)
        except OSError:
            return
        yield f"{own.st_dev}:{own.st_ino}", "standard input"

    @staticmethod
    def intakes(feeds: Sequence[Feed], around: Around) -> list[Intake]:
        return [StdinIntake(sys.stdin.buffer, around.kept, feed.name) for feed in feeds if around.keep_stdin]

    def inputs(self, added: Callable[[Opener], None]) -> Sequence[Opener]:
        if self.journaled:
            return [intake.open for intake in self.around.intakes if isinstance(intake, StdinIntake)]
        return [lambda: StdinSource(sys.stdin.buffer)]


class FilesKind(Kind):
    """Files by name or pattern, followed or read to their end. A file is its own journal."""

    @property
    def ends(self) -> str:
        return FOLLOWED if self.feed.follow else FILES

    @property
    def endless(self) -> bool:
        return self.feed.follow

    @property
    def measured(self) -> bool:
        return not self.feed.follow

    def streams(self) -> Iterable[tuple[str, str]]:
        for name in self.feed.files:
            try:
                paths = expand(name)
            except SourceError:
                # Said where it is opened.
                continue
            for path in paths:
                if str(path) != os.devnull and is_stream(path):
                    status = path.stat()
                    yield f"{status.st_dev}:{status.st_ino}", str(path)

    def check(self) -> None:
        for opener in self.inputs(lambda later: None):
            opener().close()

    def inputs(self, added: Callable[[Opener], None]) -> Sequence[Opener]:
        around = self.around
        return openers(tuple(self.feed.files), around.steady, around.notice, added, follow=self.feed.follow)


KINDS: dict[str, type[Kind]] = {"http": HttpKind, "stdin": StdinKind, "files": FilesKind}
"""Every kind, by the word that names it in a connections file."""


def kind_of(feed: Feed, around: Around) -> Kind:
    return KINDS[feed.kind](feed, around)


def intakes_of(feeds: Sequence[Feed], around: Around) -> list[Intake]:
    """What takes in the events of all these sources, kind by kind."""
    return [
        intake
        for name, kind in KINDS.items()
        for intake in kind.intakes([feed for feed in feeds if feed.kind == name], around)
    ]


def files_of(feed: Feed) -> list[Path]:
    """The files that can be split among workers. Raises SourceError for what cannot."""
    paths = [path for pattern in feed.files for path in expand(pattern)]
    for path in paths:
        if is_stream(path):
            raise SourceError(f"{feed.name}: {path} is no regular file and cannot be split: leave out --workers")
    return paths
