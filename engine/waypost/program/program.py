"""A plan, linked for a run: `Program.map` turns an event's bytes into the messages to send.

Takes a plan, setting values, and the name under which `meta.id` is made (the connection's, else the plan's). Gives callables only: parsing of
paths, triggers and templates happened before. `map` is pure: the same line at the same offset gives the same messages, at every attempt
and in every run. What an event does wrong becomes a Rejected with the output field, never an exception.
"""

from __future__ import annotations

import itertools
import linecache
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from waypost import plan as p
from waypost.events.guard import Guard
from waypost.events.mapped_chunk import Block
from waypost.events.results import Filtered, Mapped, Rejected
from waypost.lang import patterns, phones
from waypost.lang.errors import LangError
from waypost.program import settings
from waypost.program.chunks import Chunks
from waypost.program.credentials import secrets_of, try_templates
from waypost.program.generated.action_maker import Bindings
from waypost.program.generated.chunk_loop import CHUNK
from waypost.program.generated.generate import Generated, generate
from waypost.program.kernel import entry
from waypost.program.loader import Loader
from waypost.program.outcomes import Outcomes
from waypost.program.put_in import put_in
from waypost.program.redact import redaction
from waypost.program.request.grouping import Grouping
from waypost.program.request.render import RequestProgram
from waypost.program.support import id_heads, message_ids

if TYPE_CHECKING:
    from waypost.program.kernel.machine import Kernel

PIECE = 48 << 10
"""How many bytes are decoded at a time: enough that a call costs nothing, few enough that they stay in the processor's cache."""

Result = Mapped | Rejected | Filtered


class Program:
    """One linked plan. `requests` renders HTTP requests by the key that a Mapped names; `text` is the generated code."""

    def __init__(
        self, plan: p.Plan, bound: settings.Bound, owner: str, generated: Generated, kernel: Kernel | None
    ) -> None:
        self.plan = plan
        self.owner = owner
        self.settings = bound
        self.secrets = secrets_of(plan, bound)
        self.text = generated.text
        self.requests = {name: RequestProgram(request, plan.auth, bound) for name, request in plan.requests.items()}
        self.guard = Guard()
        self.cut = redaction(plan)
        """Takes out of a line what its connection redacts; None where it redacts nothing."""
        self.kernel = kernel
        file = _shown(generated.text, plan)
        outcomes = Outcomes(file, generated.fields, self.guard)
        names = {**generated.names, "refused": outcomes.refused, "settled": outcomes.settled}
        exec(compile(generated.text, file, "exec"), names)
        self._loader = Loader(generated.layout)
        self._chunks = Chunks(kernel, names[CHUNK], generated.loop.decoder, self._loader, outcomes, self.guard)

    def ways(self) -> tuple[int, int, int]:
        """How many lines have been mapped by the kernel, by the generated loop in chunks, and with the general loader; all others alone."""
        return self._chunks.by_kernel, self._chunks.by_express, self._loader.walked

    def map(self, line: bytes, offset: int = 0, first_line: bytes = b"", now: float = 0.0) -> list[Result]:
        """The results of one event: a message an action (and item), or why not. `line` is without its line feed.

        `offset` and `first_line` (the first complete line of the source) identify an event that has no messageId; `now` is in Unix
        seconds and serves `max_age` and `max_ahead` only.
        """
        line = self.redacted(line)
        if not line or b"\n" in line:
            return self._chunks.alone(line, offset, first_line, now)
        (row,) = self._chunks.block(line, 0, len(line), offset, first_line, now).rows()
        return row if isinstance(row, list) else [row]

    def redacted(self, line: bytes) -> bytes:
        """The line as it is mapped. One that is no object is mapped to why it is none."""
        return line if self.cut is None else self.cut(line) or line

    def kept(self, line: bytes) -> bytes:
        """The line as it is kept, and as the first of its input names others. What cannot be read may hold anything: nothing of it is kept."""
        return line if self.cut is None else self.cut(line) or b""

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

    def map_text(self, data: bytes, offsets: Sequence[int], first_line: bytes = b"", now: float = 0.0) -> Block:
        """`map_data` of lines whose offsets do not follow from their bytes: one for each line."""
        data = data if self.cut is None else b"\n".join(map(self.redacted, data.split(b"\n")))
        return self._chunks.block(data, 0, len(data), offsets, first_line, now)


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
        id_head=id_heads(owner),
        groupings={name: Grouping(request, bound) for name, request in plan.requests.items()},
    )
    made = put_in(plan, bound.get)
    generated = generate(made, bindings)
    kernel = entry.kernel_of(made, generated.layout, bound.get, message_ids(owner)) if use_kernel else None
    return Program(plan, bound, owner, generated, kernel)


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


def _shown(text: str, plan: p.Plan) -> str:
    """Shows generated text to tracebacks and debuggers. Gives the name of its file there."""
    shown = re.sub(r"[^\w-]", "_", plan.name)
    name = f"<waypost {shown} {plan.digest[:12]}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return name
