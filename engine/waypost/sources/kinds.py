"""The kinds of sources that a connections file may name, each with how its events are reached: the one place where sources are put together.

Takes a source as a plan has it (`plan.Feed`) and what is around it in this run (`Around`). Gives its kind: a value of KINDS, which says what
the engine is to know of the source, opens its inputs, and makes what takes its events in. The engine sees inputs (port.py) and intakes only.

To add a kind: a file with a class like those below, and its line in KINDS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from waypost.events.lines import SourceError
from waypost.plan import Feed
from waypost.sources.file import expand
from waypost.sources.ingest import Ingest, Served
from waypost.sources.pattern import openers
from waypost.sources.port import Intake, Opener
from waypost.sources.stdin import StdinIntake, StdinSource
from waypost.sources.stream import is_stream
from waypost.state.journal_source import Journal, JournalSource

FILES, FOLLOWED, STDIN, JOURNALED_STDIN, HTTP = "files", "followed", "stdin", "journaled stdin", "http"
"""How inputs end, which decides what is said when a run ends early (cli/endings.py)."""


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


class Kind(Protocol):
    """A kind of source. All methods but `intakes` and `inputs` are asked before anything is open."""

    def ends(self, feed: Feed, around: Around) -> str:
        """How its inputs end: FILES and its like above."""

    def journaled(self, feed: Feed, around: Around) -> bool:
        """Whether its events are kept in the journal until every lane has passed them."""

    def endless(self, feed: Feed) -> bool:
        """Whether its lanes wait for more, and for a destination that cannot be reached."""

    def measured(self, feed: Feed) -> bool:
        """Whether its inputs know their size before they are read."""

    def from_start(self, feed: Feed) -> bool:
        """Whether a new lane begins with the oldest event that is there, and not with the next one that comes."""

    def check(self, feed: Feed, around: Around) -> None:
        """Raises SourceError for what cannot be opened, where trying it takes nothing from anybody."""

    def door(self, feed: Feed) -> object:
        """What is bound when a run begins and cannot be changed by a reload. None where there is nothing."""

    def streams(self, feed: Feed) -> Iterable[tuple[str, str]]:
        """(what it is, how it is called) of each input that only one source can read."""

    def intakes(self, feeds: Sequence[Feed], around: Around) -> list[Intake]:
        """What takes in the events of all sources of this kind."""

    def inputs(self, feed: Feed, around: Around, added: Callable[[Opener], None]) -> Sequence[Opener]:
        """A way to open each input, in order; each that comes later is `added`. Raises SourceError."""


class HttpKind:
    """Events over HTTP, which are answered when they are in the journal."""

    def ends(self, feed: Feed, around: Around) -> str:
        return HTTP

    def journaled(self, feed: Feed, around: Around) -> bool:
        return True

    def endless(self, feed: Feed) -> bool:
        return True

    def measured(self, feed: Feed) -> bool:
        return False

    def from_start(self, feed: Feed) -> bool:
        return feed.start == "start"

    def check(self, feed: Feed, around: Around) -> None:
        return None

    def door(self, feed: Feed) -> object:
        return feed.name, feed.http, feed.write_keys

    def streams(self, feed: Feed) -> Iterable[tuple[str, str]]:
        return ()

    def intakes(self, feeds: Sequence[Feed], around: Around) -> list[Intake]:
        served = [
            Served(feed.name, feed.http or "", tuple(around.resolve(key) for key in feed.write_keys)) for feed in feeds
        ]
        return [Ingest(served, around.kept, notice=around.notice)] if served else []

    def inputs(self, feed: Feed, around: Around, added: Callable[[Opener], None]) -> Sequence[Opener]:
        return [partial(JournalSource, around.kept, feed.name, from_start=self.from_start(feed))]


class StdinKind:
    """Standard input, read as it is or through the journal (`--journal`)."""

    def ends(self, feed: Feed, around: Around) -> str:
        return JOURNALED_STDIN if around.keep_stdin else STDIN

    def journaled(self, feed: Feed, around: Around) -> bool:
        return around.keep_stdin

    def endless(self, feed: Feed) -> bool:
        return False

    def measured(self, feed: Feed) -> bool:
        return False

    def from_start(self, feed: Feed) -> bool:
        return True

    def check(self, feed: Feed, around: Around) -> None:
        return None

    def door(self, feed: Feed) -> object:
        return None

    def streams(self, feed: Feed) -> Iterable[tuple[str, str]]:
        yield "stdin", "standard input"
        try:
            own = os.fstat(0)
        except OSError:
            return
        yield f"{own.st_dev}:{own.st_ino}", "standard input"

    def intakes(self, feeds: Sequence[Feed], around: Around) -> list[Intake]:
        return [StdinIntake(sys.stdin.buffer, around.kept, feed.name) for feed in feeds if around.keep_stdin]

    def inputs(self, feed: Feed, around: Around, added: Callable[[Opener], None]) -> Sequence[Opener]:
        if around.keep_stdin:
            return [intake.open for intake in around.intakes if isinstance(intake, StdinIntake)]
        return [lambda: StdinSource(sys.stdin.buffer)]


class FilesKind:
    """Files by name or pattern, followed or read to their end. A file is its own journal."""

    def ends(self, feed: Feed, around: Around) -> str:
        return FOLLOWED if feed.follow else FILES

    def journaled(self, feed: Feed, around: Around) -> bool:
        return False

    def endless(self, feed: Feed) -> bool:
        return feed.follow

    def measured(self, feed: Feed) -> bool:
        return not feed.follow

    def from_start(self, feed: Feed) -> bool:
        return True

    def check(self, feed: Feed, around: Around) -> None:
        for opener in self.inputs(feed, around, lambda later: None):
            opener().close()

    def door(self, feed: Feed) -> object:
        return None

    def streams(self, feed: Feed) -> Iterable[tuple[str, str]]:
        for name in feed.files:
            try:
                paths = expand(name)
            except SourceError:
                # Said where it is opened.
                continue
            for path in paths:
                if str(path) != os.devnull and is_stream(path):
                    status = path.stat()
                    yield f"{status.st_dev}:{status.st_ino}", str(path)

    def intakes(self, feeds: Sequence[Feed], around: Around) -> list[Intake]:
        return []

    def inputs(self, feed: Feed, around: Around, added: Callable[[Opener], None]) -> Sequence[Opener]:
        return openers(tuple(feed.files), around.steady, around.notice, added, follow=feed.follow)


KINDS: dict[str, Kind] = {"http": HttpKind(), "stdin": StdinKind(), "files": FilesKind()}
"""Every kind, by the word that names it in a connections file."""


def kind_of(feed: Feed) -> Kind:
    return KINDS[feed.kind]


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
