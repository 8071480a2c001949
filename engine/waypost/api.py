"""The public face: what `import waypost` gives (docs/python.md).

Takes paths, plans, setting values and events. Gives plans, programs, results of mapping, and the summary of a delivery. Each function only
joins rooms that the command line joins too, so that both mean the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waypost.authoring.given import given_value
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang.shapes import is_reference
from waypost.plan import Plan, PlanError, catalog
from waypost.plan import load as load_plan
from waypost.program import program as programs
from waypost.program.program import Program
from waypost.program.settings import SettingError, local_url

if TYPE_CHECKING:
    from waypost.compiler.report.diagnostic import Report
    from waypost.engine.summary import Summary
    from waypost.state.store import StateError

__all__ = [
    "Filtered",
    "Mapped",
    "Plan",
    "PlanError",
    "Program",
    "Rejected",
    "Report",
    "SettingError",
    "StateError",
    "Summary",
    "compile",
    "deliver",
    "link",
    "load",
]

Event = bytes | str | Mapping[str, Any]
"""One event: a JSON object as bytes or text, or decoded."""

_LATE = {
    "Report": "waypost.compiler.report.diagnostic",
    "Summary": "waypost.engine.summary",
    "StateError": "waypost.state.store",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'waypost.api' has no attribute {name!r}")


def compile(path: str | PathLike[str]) -> tuple[Plan | None, Report]:
    """Compiles a spec: a file, a folder that holds a destination.yaml, or the name of a shipped destination.

    Gives the plan, or None where there are errors, and the report of everything that was found: `report.diagnostics` are findings with a code,
    a message and a place, `report.failed` says whether any of them is an error. Raises FileNotFoundError and other OSErrors; nothing that
    stands in the file raises.
    """
    from waypost.compiler.pipeline import compile_file

    try:
        target = catalog.find_spec(str(path))
    except catalog.NotFound as error:
        raise FileNotFoundError(str(error)) from None
    return compile_file(target.path)


def load(path: str | PathLike[str]) -> Plan:
    """Loads a compiled plan: a file such as compiled/shop.json, or the name of a shipped destination. The compiler is not needed for it.

    Raises FileNotFoundError and other OSErrors, and PlanError where the file is no plan of this version.
    """
    text = str(path)
    target = Path(text)
    if not target.is_file() and "/" not in text and catalog.shipped_plan(text).is_file():
        target = catalog.shipped_plan(text)
    return load_plan(target.read_bytes(), str(target))


def link(plan: Plan, settings: Mapping[str, Any] | None = None, *, endpoint: str | None = None) -> Program:
    """The program of a plan with these setting values: `program.map(line)` gives what one event becomes, `program.map_chunk(data)` what many
    lines become.

    A value may be `env:NAME` or `file:PATH`, as on the command line. `endpoint` is a scheme, host and port of this machine to send to instead
    (a receiver for tests). Raises SettingError with one line for a setting that is missing, unknown or ill-typed.
    """
    bound = {
        name: given_value(plan, name, value)[0] if is_reference(value) else value
        for name, value in (settings or {}).items()
    }
    return programs.link(plan, bound, endpoint_override=local_url(endpoint) if endpoint else None)


async def deliver(
    plan: Plan,
    events: Iterable[Event] | AsyncIterable[Event],
    *,
    settings: Mapping[str, Any] | None = None,
    state: str | PathLike[str] | None = None,
    dead_letters: str | PathLike[str] | None = None,
    endpoint: str | None = None,
    name: str = "events",
    connect_within_s: float = 60.0,
    notice: Callable[[str], None] = lambda text: None,
) -> Summary:
    """Delivers every event, in order, with the batches, limits, retries and waits that the plan says. Returns when all have ended.

    `summary.ledger` counts what became of them, `summary.status` is the exit status that `waypost run` would have (0: all delivered or
    filtered), `summary.stopped` says why it stopped before the end. Events that cannot be sent are dead letters: in the folder `state` where
    one is given (`waypost dead list`), else in the file `dead_letters` (default: dead-letters.ndjson in the working folder).

    `state` keeps how far the run came, under `name`: called again with the same events it goes on there, after a crash too. The same events
    are those that begin with the same one; others begin at the beginning. Cancelling keeps what has ended and raises CancelledError.
    `connect_within_s`: a destination that is not reached once in so many seconds ends the run. `notice` is told sentences as they come.
    Raises SettingError, and StateError for a state that cannot be used.
    """
    from waypost.engine.engine import Engine
    from waypost.engine.options import Options
    from waypost.http.reaching import prepare, reached, warn_of_plain
    from waypost.http.tokens import sender_of
    from waypost.sources.iterable import opened
    from waypost.state.store import Store

    program = link(plan, settings, endpoint=endpoint)
    wanted = [reached(program.plan, program.settings, program.owner)]
    warn_of_plain(wanted, notice)
    prepare(wanted, notice)
    if dead_letters is None and state is None:
        dead_letters = "dead-letters.ndjson"
    letters = Path(dead_letters) if dead_letters is not None else None
    options = Options(letters, connect_within_s, notice=notice)
    store = Store(Path(state)) if state is not None else None
    sender = sender_of(program, notice)
    try:
        engine = Engine(options, store, lambda program: sender)
        async with opened(events, name) as source:
            runner = engine.runner(program, name, [source], sender)
            source.listen(runner.wake.set)
            return await engine.alone(runner)
    finally:
        if store is not None:
            store.close()
