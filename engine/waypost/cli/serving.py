"""`waypost run waypost.yaml`: the enabled connections of a file as lanes, loaded again when it changes.

Takes the file and options. Gives assignments for the engine: everything is compiled, bound and linked before anything changes, so that a
file with a fault in it changes nothing. Where events come over HTTP, the intake and its journal.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from waypost.cli import endings
from waypost.cli.common import refuse
from waypost.cli.connecting import check_settings, load_connections, settings_of
from waypost.cli.shared_streams import refuse_shared_streams
from waypost.cli.ways import prepare_to_send
from waypost.engine.engine import Assignment, Engine, Intake, Opener, Refused, Watcher
from waypost.engine.options import Options, Sender
from waypost.engine.summary import Summary
from waypost.engine.workers.joint_lane import News
from waypost.events.lines import SourceError
from waypost.plan import Feed, Plan, catalog
from waypost.program.program import Program, link
from waypost.program.settings import SettingError, Way, resolve
from waypost.sources.file import expand
from waypost.sources.ingest import Ingest, Served
from waypost.sources.pattern import openers
from waypost.sources.stdin import StdinIntake, StdinSource
from waypost.sources.stream import is_stream
from waypost.state.journal import Journal
from waypost.state.journal_source import JournalSource
from waypost.state.store import Store

WATCH_S = 1.0


@dataclass
class Service:
    """A connections file at work. State: what it was made of when it was loaded last, and the intake."""

    path: Path
    frozen: bool
    way: Way
    options: Options
    keep_stdin: bool = False
    plans: list[Plan] = field(default_factory=list)
    journal: Journal | None = None
    intakes: list[Intake] = field(default_factory=list)

    def read(self) -> list[Plan]:
        """The enabled connections' plans. Ends the command when there are none."""
        plans = [
            plan for plan in load_connections(self.path, self.frozen) if plan.connection and plan.connection.enabled
        ]
        if not plans:
            refuse(f"no connection of {self.path} is enabled")
        check_settings(plans)
        try:
            refuse_shared_streams(feeds(plans))
        except SourceError as error:
            refuse(str(error))
        return plans

    @property
    def journaled(self) -> bool:
        return any(self._is_kept(feed) for feed in feeds(self.plans))

    def _is_kept(self, feed: Feed) -> bool:
        """Whether a source's events are in the journal."""
        return feed.http is not None or (feed.stdin and self.keep_stdin)

    def kind_of(self, feed: Feed) -> str:
        """The kind of input, for what is said at the end."""
        if feed.http is not None:
            return endings.HTTP
        if feed.stdin:
            return endings.JOURNALED_STDIN if self.keep_stdin else endings.STDIN
        return endings.FOLLOWED if feed.follow else endings.FILES

    def size(self) -> int | None:
        """The bytes that all lanes have to read. None where nobody knows: over HTTP, standard input, a file that is followed."""
        total = 0
        for plan in self.plans:
            for feed in plan.connection.sources if plan.connection else ():
                if not feed.files or feed.follow:
                    return None
                for open_source in self._inputs(feed):
                    source = open_source()
                    size = source.size
                    source.close()
                    if size is None:
                        return None
                    total += size
        return total

    async def run(
        self, store: Store | None, sender_for: Callable[[Program], Sender], watch: bool, watcher: Watcher | None
    ) -> list[Summary]:
        """All lanes until they end or a signal comes."""
        self._open_intakes(store)
        engine = Engine(self.options, store, sender_for)
        watching = asyncio.create_task(self._watch(engine)) if watch else None
        context = click.get_current_context()
        try:
            return await engine.run(self.assignments(self.plans), lambda: self._again(context), self, watcher)
        finally:
            if watching is not None:
                watching.cancel()

    def _open_intakes(self, store: Store | None) -> None:
        doors = http_feeds(self.plans)
        if store is not None:
            kept = sum(feed.stdin for feed in feeds(self.plans)) if self.keep_stdin else 0
            self.journal = Journal(store, sources=len(doors) + kept)
        if doors:
            assert self.journal is not None
            self.intakes.append(Ingest(doors, self.journal, notice=self.options.notice))
        for feed in feeds(self.plans) if self.keep_stdin else ():
            if feed.stdin:
                assert self.journal is not None
                self.intakes.append(StdinIntake(sys.stdin.buffer, self.journal, feed.name))

    def run_by_workers(self, workers: int, store: Store | None) -> list[Summary]:
        """The same by several processes; what events come in comes in here."""
        from waypost.cli import working

        self._open_intakes(store)
        lanes: list[working.Lane] = []
        for plan in self.plans:
            given = settings_of(plan)
            program = link(plan, given, way=self.way)
            prepare_to_send([program], self.options)
            for feed in plan.connection.sources if plan.connection else ():
                lane = working.Lane(program, given, feed.name, endless=feed.http is not None)
                lanes.append(lane)
                if self._is_kept(feed):
                    lane.news, lane.start = self._news(feed)
                else:
                    lane.files = [str(path) for pattern in feed.files for path in expand(pattern)]
                    for name in lane.files:
                        if is_stream(Path(name)):
                            refuse(f"{feed.name}: {name} is no regular file and cannot be split: leave out --workers")
        return working.deliver_all(lanes, workers, store, self.options, self)

    def _news(self, feed: Feed) -> tuple[News, int]:
        """What comes into the journal for a source, and where a new lane of it begins."""
        assert self.journal is not None
        stream = (
            next((one.open() for one in self.intakes if isinstance(one, StdinIntake)), None) if feed.stdin else None
        )
        begins = feed.stdin or feed.start == "start"
        return News(self.journal, feed.name, stream), 1 if begins else self.journal.next(feed.name)

    def bind(self) -> None:
        """As the engine's intake: nothing was read yet."""
        for intake in self.intakes:
            intake.bind()

    async def start(self) -> None:
        """As the engine's intake: every lane's place is on disk."""
        for intake in self.intakes:
            await intake.start()

    async def stop(self, drain_s: float) -> None:
        """Nothing more is taken in."""
        await asyncio.gather(*(intake.stop(drain_s) for intake in self.intakes))

    def assignments(self, plans: list[Plan]) -> list[Assignment]:
        """Every lane, linked. Raises SettingError or SourceError, and then nothing has changed."""
        found: list[Assignment] = []
        programs = [link(plan, settings_of(plan), way=self.way) for plan in plans]
        prepare_to_send(programs, self.options)
        for plan, program in zip(plans, programs, strict=True):
            for feed in plan.connection.sources if plan.connection else ():
                found.append(self._assignment(program, feed))
        return found

    def _assignment(self, program: Program, feed: Feed) -> Assignment:
        key = msgspec.json.encode(msgspec.structs.replace(feed, emits=[], start="now"))
        return Assignment(
            program,
            feed.name,
            key,
            lambda added: self._inputs(feed, added),
            endless=feed.http is not None or feed.follow,
            news=self.journal if self._is_kept(feed) else None,
        )

    def _inputs(self, feed: Feed, added: Callable[[Opener], None] = lambda opener: None) -> Sequence[Opener]:
        if feed.http is not None:
            assert self.journal is not None
            return [partial(JournalSource, self.journal, feed.name, from_start=feed.start == "start")]
        if feed.stdin and self.keep_stdin:
            return [intake.open for intake in self.intakes if isinstance(intake, StdinIntake)]
        if feed.stdin:
            return [lambda: StdinSource(sys.stdin.buffer)]
        notice = self.options.notice
        return openers(tuple(feed.files), self.options.steady, notice, added, follow=feed.follow)

    # Loading again.

    def _again(self, context: click.Context) -> list[Assignment]:
        """In a thread: the file as it is now. Raises engine.Refused with what is wrong with it."""
        try:
            with context.scope(cleanup=False):
                plans = self.read()
                if _doors_of(plans) != _doors_of(self.plans):
                    refuse("the sources over HTTP have changed: this needs a restart")
                assignments = self.assignments(plans)
                for feed in feeds(plans):
                    if feed.files:
                        # A source whose files cannot be read is a fault of the file too.
                        for open_source in self._inputs(feed):
                            open_source().close()
        except click.exceptions.Exit:
            raise Refused(f"{self.path} has findings") from None
        except click.ClickException as error:
            raise Refused("; ".join(error.format_message().splitlines())) from None
        except (SettingError, SourceError) as error:
            raise Refused(str(error)) from None
        self.plans = plans
        return assignments

    async def _watch(self, engine: Engine) -> None:
        """Asks for a reload when a file that the plans were made from has changed, and has been left alone for a moment."""
        before = self._stamps()
        asked = before
        while True:
            await asyncio.sleep(WATCH_S)
            now = self._stamps()
            if now == before and now != asked:
                asked = now
                engine.reload_asked.set()
            before = now

    def _stamps(self) -> dict[str, Any]:
        files = {self.path}
        for plan in self.plans:
            files |= {self.path.parent / name for name in plan.source.inputs}
        if self.frozen:
            files = set(catalog.connection_plans(self.path).glob("*.json"))
        return {str(file): _stamp(file) for file in files}


def _stamp(file: Path) -> Any:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def feeds(plans: list[Plan]) -> list[Feed]:
    """The sources of all plans, each once."""
    found = {feed.name: feed for plan in plans for feed in (plan.connection.sources if plan.connection else ())}
    return list(found.values())


def http_feeds(plans: list[Plan]) -> list[Served]:
    """The sources over HTTP with their keys bound. Raises SettingError."""
    return [
        Served(feed.name, feed.http, tuple(resolve(key)[0] for key in feed.write_keys))
        for feed in feeds(plans)
        if feed.http is not None
    ]


def _doors_of(plans: list[Plan]) -> list[Any]:
    return sorted((feed.name, feed.http, feed.write_keys) for feed in feeds(plans) if feed.http is not None)
