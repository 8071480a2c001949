"""A plan, linked for a run: `Program.map` turns an event's bytes into the messages to send.

Takes a plan, setting values, and the name under which `meta.id` is made (the connection's, else the plan's). Gives callables only: parsing of
paths, triggers and templates happened before. `map` is pure: the same line at the same offset gives the same messages, at every attempt
and in every run. What an event does wrong becomes a Rejected with the output field, never an exception.
"""

from __future__ import annotations

import itertools
import linecache
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, TracebackType
from typing import Any

import msgspec
from msgspec import Raw

from waypost import plan as p
from waypost.events.guard import REASON, Guard
from waypost.events.mapped_chunk import Block
from waypost.events.not_events import ENVELOPE, is_envelope, malformed
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import fql, patterns, phones, values
from waypost.lang.errors import LangError
from waypost.lang.surrogates import repaired
from waypost.lang.values import Fault
from waypost.program import integrations, interpret, interpret_actions, settings
from waypost.program.chunks import Chunks
from waypost.program.credentials import secrets_of, try_templates
from waypost.program.generated import layout as layouts
from waypost.program.generated.action_maker import Bindings
from waypost.program.generated.chunk_loop import CHUNK
from waypost.program.generated.generate import OFF, WHERE, Generated, Sign, generate
from waypost.program.kernel import entry
from waypost.program.put_in import put_in
from waypost.program.redact import redaction
from waypost.program.request import grouping
from waypost.program.request.render import RequestProgram
from waypost.program.support import message_ids

PIECE = 48 << 10
"""How many bytes are decoded at a time: enough that a call costs nothing, few enough that they stay in the processor's cache."""

Result = Mapped | Rejected | Filtered
At = tuple[int, bytes]
ActionFunction = Callable[[Any, bytes, At, float], Any]


@dataclass(frozen=True, slots=True)
class Linked:
    """An action's function. `grouped`: it gives (message, group); `itemised`: it gives a list of results, or None for no match."""

    name: str
    request: str
    function: ActionFunction
    grouped: bool = False
    itemised: bool = False


class Program:
    """One linked plan. `requests` renders HTTP requests by the key that a Mapped names; `text` is the generated code."""

    def __init__(
        self, plan: p.Plan, made: p.Plan, bound: settings.Bound, owner: str, generated: Generated, *, use_kernel: bool
    ) -> None:
        """`made` is the plan with its settings put in (put_in.py), of which `generated` was made."""
        self.plan = plan
        self.owner = owner
        self.settings = bound
        self.secrets = secrets_of(plan, bound)
        self.text = generated.text
        self.requests = {name: RequestProgram(request, plan.auth, bound) for name, request in plan.requests.items()}
        self.guard = Guard()
        self.slow = 0
        """How many lines took the general loader."""
        self.cut = redaction(plan)
        """Takes out of a line what its connection redacts; None where it redacts nothing."""
        self._fields = generated.fields
        self._off = integrations.switch(plan.integrations) if plan.integrations else None
        self._layout = generated.layout
        self._decode = msgspec.json.Decoder(generated.layout.root.struct).decode
        self._code = _compile(generated, plan)
        self._by_type, self._any_type = self._dispatch(generated)
        express = generated.names[CHUNK], generated.express.decoder
        kernel = entry.kernel_of(made, generated.layout, bound.get, generated.names["meta_id"]) if use_kernel else None
        self.kernel = kernel
        self._chunks = Chunks(self.map, self.kernel, *express, guard=self.guard)

    def _dispatch(self, generated: Generated) -> tuple[dict[str, tuple[Linked, ...]], tuple[Linked, ...]]:
        """The actions to try for each event type that a trigger names, and for every other type, in written order."""
        rows: list[tuple[str | None, Linked]] = []
        for name, action in self.plan.actions.items():
            if action.each is not None:
                event_type, _ = fql.simple_type(fql.read(action.trigger))
                rows.append((event_type, Linked(name, action.request, self._itemised(name), itemised=True)))
                continue
            event_type, function = generated.functions[name]
            grouped = bool(grouping.event_parts(self.plan.requests[action.request]))
            rows.append((event_type, Linked(name, action.request, generated.names[function], grouped)))
        types = {event_type for event_type, _ in rows if event_type is not None}
        by_type = {
            wanted: tuple(linked for event_type, linked in rows if event_type in (None, wanted)) for wanted in types
        }
        return by_type, tuple(linked for event_type, linked in rows if event_type is None)

    def _itemised(self, name: str) -> ActionFunction:
        """An action with `each`: one message an item, by the reference interpreter."""

        def run(e: Any, line: bytes, at: At, now: float) -> Any:
            origin = interpret_actions.Origin(line, at[0], at[1], self.owner)
            return interpret_actions.map_action(self.plan, name, self.settings, origin, now)

        return run

    def ways(self) -> tuple[int, int, int]:
        """How many lines have been mapped by the kernel, by the generated loop, and with the general loader; all others alone."""
        return self._chunks.by_kernel, self._chunks.by_express, self.slow

    def map(self, line: bytes, offset: int = 0, first_line: bytes = b"", now: float = 0.0) -> list[Result]:
        """The results of one event: a message an action (and item), or why not. `line` is without its line feed.

        `offset` and `first_line` (the first complete line of the source) identify an event that has no messageId; `now` is in Unix
        seconds and serves `max_age` and `max_ahead` only.
        """
        line = self.redacted(line)
        wrong = _not_utf8(line)
        if wrong is not None:
            return [wrong]
        try:
            event = self._load(line)
            if event.__class__ is Rejected and (whole := repaired(line)) != line:
                return self.map(whole, offset, first_line, now)
            return self._encoded(self._actions(event, line, (offset, first_line), now))
        except Exception as error:
            return [Rejected(None, None, REASON, self.guard.caught(error, "mapped"))]

    def redacted(self, line: bytes) -> bytes:
        """The line as it is mapped. One that is no object is mapped to why it is none."""
        return line if self.cut is None else self.cut(line) or line

    def kept(self, line: bytes) -> bytes:
        """The line as it is kept, and as the first of its input names others. What cannot be read may hold anything: nothing of it is kept."""
        return line if self.cut is None else self.cut(line) or b""

    def _load(self, line: bytes) -> Any:
        """The decoded event, or why it is none."""
        try:
            return self._decode(line)
        except msgspec.ValidationError:
            return self._load_general(line)
        except msgspec.DecodeError as error:
            return malformed(error, line)
        except RecursionError:
            return TOO_DEEP

    def map_general(self, line: bytes, offset: int = 0, first_line: bytes = b"", now: float = 0.0) -> list[Result]:
        """`map` without the fast decoder: the two give identical bytes (tests/program/test_differential.py)."""
        line = self.redacted(line)
        wrong = _not_utf8(line)
        if wrong is not None:
            return [wrong]
        line = repaired(line)
        return self._encoded(self._actions(self._load_general(line), line, (offset, first_line), now))

    def map_data(self, data: bytes, offset: int = 0, first_line: bytes = b"", now: float = 0.0) -> Iterator[Block]:
        """What the program makes of whole lines, a piece at a time. `offset` is that of `data`, which has no line feed at its end."""
        if self.cut is not None:
            lines = data.split(b"\n")
            ends = itertools.accumulate((len(line) + 1 for line in lines), initial=offset)
            yield self.map_text(data, list(ends), first_line, now)
            return
        start, size = 0, len(data)
        while start < size:
            stop = data.find(b"\n", start + PIECE)
            stop = size if stop < 0 else stop
            yield self._chunks.block(data, start, stop, offset, first_line, now)
            start = stop + 1

    def map_chunk(self, data: bytes, offset: int = 0, first_line: bytes = b"", now: float = 0.0) -> list[list[Result]]:
        """`map` of many lines at once: for each line its results. `data` are whole lines, with a line feed between them."""
        rows = (row for block in self.map_data(data.rstrip(b"\n"), offset, first_line, now) for row in block.rows())
        return [row if isinstance(row, list) else [row] for row in rows]

    def map_many(
        self, lines: Sequence[bytes], offsets: Sequence[int], first_line: bytes = b"", now: float = 0.0
    ) -> list[Mapped | list[Result]]:
        """`map` of many lines: for each line its one message, or the list of its results."""
        lines = lines if self.cut is None else list(map(self.redacted, lines))
        return self._chunks.lines(lines, offsets, first_line, now).rows()

    def map_text(self, data: bytes, offsets: Sequence[int], first_line: bytes = b"", now: float = 0.0) -> Block:
        """`map_data` of lines whose offsets do not follow from their bytes: one for each line."""
        data = data if self.cut is None else b"\n".join(map(self.redacted, data.split(b"\n")))
        return self._chunks.block(data, 0, len(data), offsets, first_line, now)

    def _load_general(self, line: bytes) -> Any:
        self.slow += 1
        try:
            return layouts.fill_root(self._layout, layouts.members_of(line))
        except msgspec.ValidationError:
            return Rejected(None, None, "not_object", "the line is JSON, but no object", "")
        except msgspec.DecodeError as error:
            return malformed(error, line)
        except RecursionError:
            return TOO_DEEP

    def _actions(self, event: Any, line: bytes, at: At, now: float) -> list[Any]:
        """Every action that the event may match: results, with messages still to be encoded as Pending."""
        if event.__class__ is Rejected:
            return [event]
        if self._off is not None and event.integrations.__class__ is Raw and self._off(event.integrations):
            return [integrations.OFF]
        kind = event.type
        actions = self._by_type.get(kind, self._any_type) if kind.__class__ is str else self._any_type
        out: list[Any] = []
        disabled = False
        for linked in actions:
            try:
                found = linked.function(event, line, at, now)
            except Fault as fault:
                out.append(Rejected(linked.name, None, fault.reason, fault.message, self._field(fault)))
                continue
            except RecursionError:
                return [TOO_DEEP]
            except Exception as error:
                out.append(Rejected(linked.name, None, REASON, self.guard.caught(error, "mapped"), self._field(error)))
                continue
            if linked.itemised:
                disabled = disabled or (found is not None and not self.plan.actions[linked.name].enabled)
                out.extend(found or [])
            elif found.__class__ is not Sign:
                message, group = found if linked.grouped else (found, ())
                out.append(Pending(linked, group, message))
            elif found is WHERE:
                out.append(Filtered(linked.name, None, "where"))
            else:
                disabled = disabled or found is OFF
        if not out and not disabled and is_envelope(line):
            return [ENVELOPE]
        return out or [Filtered(None, None, "disabled" if disabled else "no_action")]

    def _encoded(self, found: list[Any]) -> list[Result]:
        return [self._message(item) if item.__class__ is Pending else item for item in found]

    def _message(self, item: Pending) -> Result:
        try:
            return Mapped(item.linked.name, None, item.linked.request, item.group, values.encode(item.message))
        except Exception as error:
            return Rejected(item.linked.name, None, REASON, self.guard.caught(error, "mapped"))

    def _field(self, fault: Exception) -> str:
        """The output field that a generated line computes, from where the fault was raised."""
        found = ""
        trace: TracebackType | None = fault.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._code.co_filename:
                found = self._fields[trace.tb_lineno - 1]
            trace = trace.tb_next
        inner = getattr(fault, "field", "")
        return f"{found}.{inner}" if found and inner else found or inner


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that is mapped and not yet encoded."""

    linked: Linked
    group: tuple[Any, ...]
    message: Any


def _not_utf8(line: bytes) -> Rejected | None:
    if line.isascii():
        return None
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Rejected(None, None, "invalid_utf8", f"byte {error.start} of the line is not UTF-8", "")
    return None


TOO_DEEP = Rejected(None, None, "too_deep", "the event is nested too deeply", "")


def link(
    plan: p.Plan,
    given: dict[str, Any],
    *,
    connection: str | None = None,
    endpoint_override: str | None = None,
    way: settings.Way | None = None,
    use_kernel: bool = True,
) -> Program:
    """The program of a plan with these setting values. Raises settings.SettingError for a missing, unknown or ill-typed one.

    Without `use_kernel`, or with WAYPOST_KERNEL=off in the environment, generated Python does all the work, as where no compiled kernel is
    installed: the same bytes, more slowly.
    """
    use_kernel = entry.wanted() and use_kernel
    bound = settings.bind(plan, given, way or settings.Way(endpoint_override))
    _patterns(plan)
    owner = connection or (plan.connection.name if plan.connection else plan.name)
    try_templates(plan, bound, owner)
    bindings = Bindings(
        settings=bound.get,
        interpret=lambda action, node: _interpreter(node, action, bound, owner),
        meta_id=message_ids(owner),
        groupings={name: interpret.grouping_of(request, bound) for name, request in plan.requests.items()},
    )
    made = put_in(plan, bound.get)
    return Program(plan, made, bound, owner, generate(made, bindings), use_kernel=use_kernel)


def _patterns(plan: p.Plan) -> None:
    """A pattern of a plan that another version compiled may be none here: said before any event is read."""

    def look(node: p.Value) -> None:
        if isinstance(node, p.From) and node.pattern is not None:
            patterns.compiled(node.pattern)
        elif isinstance(node, p.Filter) and node.name == "e164":
            needed.append(plan.name)

    needed: list[str] = []
    for name, action in plan.actions.items():
        try:
            p.rewrite(action.mapping, look)
        except LangError as error:
            raise settings.SettingError(
                f"{plan.name}: `{name}` has a pattern that this version cannot run: {error.message}; compile its spec again"
            ) from None
    try:
        if needed:
            phones.check()
    except LangError as error:
        raise settings.SettingError(f"{plan.name}: {error.message}") from None


def _interpreter(node: p.Value, action: str, bound: settings.Bound, owner: str) -> Callable[..., Any]:
    """The reference interpreter as a function of an event line, for a node without generated code."""

    def run(line: bytes, at: tuple[int, bytes], now: float) -> Any:
        event = interpret.decode_event(line)
        meta = interpret_actions.Origin(line, at[0], at[1], owner).meta(event, action, None)
        return interpret.evaluate(node, interpret.Env(event, bound, int(now * 1000), meta=meta))

    return run


def _compile(generated: Generated, plan: p.Plan) -> CodeType:
    """Compiles the text into `generated.names`, and shows it to tracebacks and debuggers."""
    shown = re.sub(r"[^\w-]", "_", plan.name)
    name = f"<waypost {shown} {plan.digest[:12]}>"
    linecache.cache[name] = (len(generated.text), None, generated.text.splitlines(keepends=True), name)
    code = compile(generated.text, name, "exec")
    exec(code, generated.names)
    return code
