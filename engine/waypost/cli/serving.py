"""`waypost run waypost.yaml`: the enabled connections of a file as lanes, loaded again when it changes.

Takes the file and options. Gives assignments for the engine: everything is compiled, bound and linked before anything changes, so that a
file with a fault in it changes nothing. Where events come over HTTP, the intake and its journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgspec

from waypost.cli.common import refuse
from waypost.cli.connecting import check_settings, load_connections, settings_of
from waypost.cli.shared_streams import refuse_shared_streams
from waypost.cli.ways import prepare_to_send
from waypost.engine.engine import Assignment, Engine, Refused, Watcher
from waypost.engine.options import Options, Sender
from waypost.engine.summary import Summary
from waypost.engine.workers.joint_lane import News
from waypost.events.lines import SourceError
from waypost.plan import Feed, Plan, catalog
from waypost.program.program import Program, link
from waypost.program.settings import SettingError, Way
from waypost.sources.kinds import Around, Kind, files_of, intakes_of, kind_of
from waypost.sources.port import Opener
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
    around: Around
    plans: list[Plan] = field(default_factory=list)

    def read(self) -> list[Plan]:
        """The enabled connections' plans. Ends the command when there are none."""
        plans = [
            plan for plan in load_connections(self.path, self.frozen) if plan.connection and plan.connection.enabled
        ]
        if not plans:
            refuse(f"no connection of {self.path} is enabled")
        check_settings(plans)
        try:
            refuse_shared_streams(self._kinds(plans))
        except SourceError as error:
            refuse(str(error))
        return plans

    @property
    def journaled(self) -> bool:
        return any(kind.journaled for kind in self._kinds(self.plans))

    def ends(self) -> dict[str, str]:
        """How the inputs of each source end, for what is said when the run does."""
        return {kind.feed.name: kind.ends for kind in self._kinds(self.plans)}

    def _doors(self, plans: list[Plan]) -> list[str]:
        """What a reload cannot change: addresses that are bound, and who may send there."""
        return sorted(repr(kind.door) for kind in self._kinds(plans) if kind.door is not None)

    def _kind(self, feed: Feed) -> Kind:
        return kind_of(feed, self.around)

    def _kinds(self, plans: list[Plan]) -> list[Kind]:
        """The sources of all plans, each once."""
        return [self._kind(feed) for feed in feeds(plans)]

    def size(self) -> int | None:
        """The bytes that all lanes have to read. None where nobody knows: over HTTP, standard input, a file that is followed."""
        total = 0
        for plan in self.plans:
            for feed in plan.connection.sources if plan.connection else ():
                if not self._kind(feed).measured:
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
        if store is not None:
            kept = sum(kind.journaled for kind in self._kinds(self.plans))
            self.around.journal = Journal(store, sources=kept)
        self.around.intakes = intakes_of(feeds(self.plans), self.around)

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
                kind = self._kind(feed)
                lane = working.Lane(program, given, feed.name, endless=kind.endless)
                lanes.append(lane)
                if kind.journaled:
                    lane.news, lane.start = self._news(kind)
                else:
                    lane.files = [str(path) for path in files_of(feed)]
        return working.deliver_all(lanes, workers, store, self.options, self)

    def _news(self, kind: Kind) -> tuple[News, int]:
        """What comes into the journal for a source, and where a new lane of it begins."""
        name, journal = kind.feed.name, self.around.kept
        opened = None if kind.endless else self._inputs(kind.feed)[0]()
        stream = opened if isinstance(opened, JournalSource) else None
        return News(journal, name, stream), 1 if kind.from_start else journal.next(name)

    def bind(self) -> None:
        """As the engine's intake: nothing was read yet."""
        for intake in self.around.intakes:
            intake.bind()

    async def start(self) -> None:
        """As the engine's intake: every lane's place is on disk."""
        for intake in self.around.intakes:
            await intake.start()

    async def stop(self, drain_s: float) -> None:
        """Nothing more is taken in."""
        await asyncio.gather(*(intake.stop(drain_s) for intake in self.around.intakes))

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
        kind = self._kind(feed)
        key = msgspec.json.encode(msgspec.structs.replace(feed, emits=[], start="now"))
        return Assignment(
            program,
            feed.name,
            key,
            lambda added: self._inputs(feed, added),
            endless=kind.endless,
            news=self.around.journal if kind.journaled else None,
        )

    def _inputs(self, feed: Feed, added: Callable[[Opener], None] = lambda opener: None) -> Sequence[Opener]:
        return self._kind(feed).inputs(added)

    # Loading again.

    def _again(self, context: click.Context) -> list[Assignment]:
        """In a thread: the file as it is now. Raises engine.Refused with what is wrong with it."""
        try:
            with context.scope(cleanup=False):
                plans = self.read()
                if self._doors(plans) != self._doors(self.plans):
                    refuse("the sources over HTTP have changed: this needs a restart")
                assignments = self.assignments(plans)
                for kind in self._kinds(plans):
                    # A source whose files cannot be read is a fault of the file too.
                    kind.check()
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
