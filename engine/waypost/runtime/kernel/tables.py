"""A plan becomes the tables that the compiled kernel runs on.

Takes a plan, its Layout (how generated code reads each path) and what a run binds. Gives `Tables`: a pool of texts, the wanted members of each
object, and a tree of nodes for each action. An action with anything that the kernel cannot do is left out, and the types of events that it may
take go the other ways whole (`left_out` says what and why). A part that few events reach (a `$when`, a later `$first`, a default) is no reason
for that: it becomes AWAY, and the events that do reach it go the other ways.

What copies, compares and joins is done in compiled code; what computes (most filters, checks without a node of their own) is a CALL of the
function that generated code calls. Whatever faults is left to generated code, which tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from waypost import plan as p
from waypost.lang import filters, fql, values
from waypost.lang.values import MISSING
from waypost.runtime import parts, prefix, support
from waypost.runtime.identity import plain_names
from waypost.runtime.layout import Layout, nameable
from waypost.runtime.results import Mapped

if TYPE_CHECKING:
    from waypost.runtime.kernel.machine import Kernel, Owner

try:
    from waypost.runtime.kernel import machine
    from waypost.runtime.kernel.machine import Op
except ImportError:  # installed where no C compiler was found
    machine = None  # type: ignore[assignment]

Steps = tuple[str, ...]
NUMBERS = {"number": 0, "integer": 1}
CASES = ("lower", "upper", "trim")
SIGNS = {"<": 1, "<=": 3, "=": 2, ">=": 6, ">": 4}
"""Which results of a comparison (less 1, equal 2, greater 4) hold."""
MOST_BITS = 30


class Unfit(Exception):
    """What the kernel cannot do."""


def kernel_of(
    plan: p.Plan, layout: Layout, settings: Callable[[str], Any], meta_id: Callable[..., str]
) -> Kernel | None:
    """The kernel of a plan; None where there is none in this installation, or it could do nothing. `meta_id`: support.message_ids."""
    if machine is None:
        return None
    tables = Tables(plan, layout, settings, meta_id)
    return machine.Kernel(tables) if tables.owners else None


def why_none() -> str:
    """Why this installation has no kernel; "" where it has one."""
    return "" if machine is not None else "it was installed without a C compiler"


class Tables:
    """State: the tables, which grow with each action. Rows are tuples of ints in the order of the structs in machine.pxd."""

    def __init__(
        self, plan: p.Plan, layout: Layout, settings: Callable[[str], Any], meta_id: Callable[..., str]
    ) -> None:
        self.pool = bytearray()
        self.objects: list[dict[str, tuple[int, int]]] = [{}]
        self.slots = 0
        self.nodes: list[list[int]] = []
        self.tags: list[tuple[int, int, int, int]] = []
        self.takers: list[tuple[int, int, int, int]] = []
        self.needs: list[tuple[int, int]] = []
        self.owners: list[Owner] = []
        self.actions: list[str] = []
        """The name of each taker's action."""
        self.meta_id = meta_id
        self.calls: list[tuple[Callable[..., Any], bool]] = []
        """What Python does for a node, of decoded values; and whether it wants the time behind them."""
        self.fixed = 2
        """At most so many bytes of a line's messages are not copied from it."""
        self.copies = 1
        """At most so many times a byte of a line is copied."""
        self.left_out: dict[str, str] = {}
        """Action and why it is left to the other ways."""
        self._plan = plan
        self._layout = layout
        self._settings = settings
        self._known: dict[bytes, int] = {}
        self.type_slot = self._slot(("type",))
        self.id_slot = self._slot(("messageId",))
        self._tags()
        self.children, self.heads = self._named()

    # What is looked for in an event.

    def _slot(self, steps: Steps) -> int:
        """Where the kernel keeps the value at a path of names."""
        which, slot = 0, -1
        for depth, name in enumerate(steps):
            inner, slot = self.objects[which].get(name, (-1, -1))
            if slot < 0:
                slot, self.slots = self.slots, self.slots + 1
            if inner < 0 and depth < len(steps) - 1:
                self.objects.append({})
                inner = len(self.objects) - 1
            self.objects[which][name] = (inner, slot)
            which = inner
        return slot

    def _named(self) -> tuple[list[tuple[int, ...]], list[list[int]]]:
        """The rows of wanted members, and for each object where its lists of them begin."""
        rows: list[tuple[int, ...]] = []
        heads: list[list[int]] = []
        for wanted in self.objects:
            lists = [-1] * machine.LISTS
            for name, (inner, slot) in wanted.items():
                data = name.encode()
                which = machine.bucket(data)
                rows.append((*self._text(data), inner, slot, lists[which]))
                lists[which] = len(rows) - 1
            heads.append(lists)
        return rows, heads

    def _steps(self, node: p.Value) -> Steps:
        steps = plain_names(node.path) if isinstance(node, p.Path) else None
        if not steps:
            raise Unfit("a path that may match several values, or the whole event")
        return steps

    def _as_it_stands(self, steps: Steps) -> int:
        """Whether generated code copies the value's bytes, escapes and all, rather than decoding and writing it."""
        try:
            return int(not self._layout.at(steps).single)
        except KeyError:
            raise Unfit("a path that generated code does not read") from None

    # Rows.

    def _text(self, data: bytes) -> tuple[int, int]:
        """Offset and length of a text in the pool."""
        if data not in self._known:
            self._known[data] = len(self.pool)
            self.pool += data
        return self._known[data], len(data)

    def _written(self, data: bytes) -> tuple[int, int]:
        self.fixed += len(data)
        return self._text(data)

    def _node(self, op: Op, *fields: int, child: int = -1) -> int:
        self.nodes.append([op, *fields, *[0] * (4 - len(fields)), child, -1])
        return len(self.nodes) - 1

    def _chain(self, nodes: list[int]) -> int:
        for left, right in pairwise(nodes):
            self.nodes[left][6] = right
        return nodes[0] if nodes else -1

    # Actions.

    def _tags(self) -> None:
        """The takers of each event type that a trigger names, and of every other type behind them."""
        read = {name: _trigger(action) for name, action in self._plan.actions.items()}
        made = {name: self._action(name, rest) for name, (_, rest) in read.items()}
        types = list(dict.fromkeys(kind for kind, _ in read.values() if kind is not None))
        for wanted in (*types, None):
            names = [name for name, (kind, _) in read.items() if kind is None or kind == wanted]
            rows = [made[name] for name in names]
            first = len(self.takers)
            text = (0, 0) if wanted is None else self._text(values.encode(wanted))
            if None in rows:
                self.tags.append((*text, -1, 0))
                continue
            for name, row in zip(names, rows, strict=True):
                assert row is not None
                self.takers.append(row)
                self.actions.append(name)
                self.owners.append(partial(Mapped, name, None, self._plan.actions[name].request, ()))
            self.tags.append((*text, first, len(names)))

    def _action(self, name: str, rest: fql.Node | None) -> tuple[int, int, int, int] | None:
        """The row of one action; None, with its reason in `left_out`, where the kernel cannot do it."""
        action = self._plan.actions[name]
        try:
            if not action.enabled or action.where is not None or action.each is not None:
                raise Unfit("it is disabled, or has `where` or `each`")
            if parts.event_parts(self._plan.requests[action.request]):
                raise Unfit("its request takes parts of the event")
            test = -1 if rest is None else self._test(rest)
            if not isinstance(action.mapping, p.Object):
                raise Unfit("its mapping is not a map of fields")
            bits: dict[Steps, int] = {}
            needs = [self._need(need, action.mapping, bits) for need in action.require]
            node = self._object(action.mapping, bits, whole=True)
        except Unfit as why:
            self.left_out[name] = str(why)
            return None
        self.needs += needs
        return test, node, len(self.needs) - len(needs), len(needs)

    def _need(self, need: p.Require, mapping: p.Object, bits: dict[Steps, int]) -> tuple[int, int]:
        """`require`: a bit for each of its fields, which stand in maps."""
        found = 0
        for path in need.any:
            held: p.Value = mapping
            for key in path:
                held = held.entries.get(key, p.Omit()) if isinstance(held, p.Object) else p.Omit()
            if isinstance(held, p.Omit) or len(bits) == MOST_BITS:
                raise Unfit("`require` over a field that is no map's")
            found |= bits.setdefault(tuple(path), 1 << len(bits))
        return found, -1 if need.test is None else self._condition(need.test)

    # Values.

    def _value(self, node: p.Value) -> int:
        make = _NODES.get(type(node))
        if make is None:
            raise Unfit(f"`{type(node).__name__.lower()}`")
        return make(self, node)

    def _rare(self, node: p.Value | None) -> int:
        """A value that few events reach."""
        if node is None:
            return -1
        try:
            return self._value(node)
        except Unfit:
            return self._node(Op.AWAY)

    def _constant(self, value: Any) -> int:
        return self._node(Op.CONSTANT, *self._written(values.encode(value)))

    def _const(self, node: p.Const) -> int:
        return self._constant(node.value)

    def _ref(self, node: p.Ref) -> int:
        if node.name == "meta.id":
            self.fixed += 34
            return self._node(Op.IDENTITY)
        if not node.name.startswith("settings."):
            raise Unfit(f"`{node.name}`")
        value = self._settings(node.name)
        # What has no value is a choice between nothing.
        return self._node(Op.FIRST) if value is MISSING else self._constant(value)

    def _path(self, node: p.Path) -> int:
        steps = self._steps(node)
        self.copies += 1
        return self._node(Op.COPY, self._slot(steps), self._as_it_stands(steps))

    def _read(self, node: p.Value) -> int:
        """A value that is read on: what decodes it takes text with escapes as well, what does not says so itself."""
        if not isinstance(node, p.Path):
            return self._value(node)
        self.copies += 1
        return self._node(Op.COPY, self._slot(self._steps(node)), 1)

    def _object(self, node: p.Object, bits: dict[Steps, int] | None = None, *, whole: bool = False) -> int:
        """A map; `bits` are those of its fields, by their paths in it."""
        members = []
        for key, entry in node.entries.items():
            if isinstance(entry, p.Omit):
                continue
            inner = {path[1:]: bit for path, bit in (bits or {}).items() if path[0] == key}
            text = self._written(b"," + values.encode(key) + b":")
            deeper = {path: bit for path, bit in inner.items() if path}
            value = self._object(entry, deeper) if isinstance(entry, p.Object) else self._value(entry)
            members.append(self._node(Op.MEMBER, *text, inner.get((), 0), child=value))
        self.fixed += 2
        return self._node(Op.MEMBERS, int(whole or not node.entries), child=self._chain(members))

    def _items(self, node: p.Items) -> int:
        if not node.items:
            return self._constant([])
        self.fixed += 1 + len(node.items)
        return self._node(Op.ITEMS, child=self._chain([self._value(item) for item in node.items]))

    def _first(self, node: p.First) -> int:
        often, *later = node.of
        return self._node(Op.FIRST, child=self._chain([self._value(often), *map(self._rare, later)]))

    def _when(self, node: p.When) -> int:
        test = self._condition(node.test)
        return self._node(Op.WHEN, test, self._rare(node.otherwise), child=self._rare(node.then))

    def _from(self, node: p.From) -> int:
        checks = msgspec.structs.replace(node, default=None, required=False)
        try:
            found = self._checked(checks)
        except Unfit:
            call = self._call(support.checker(checks), timed=True)
            found = self._node(Op.CALL, call, child=self._read(node.of))
        if node.default is not None:
            found = self._node(Op.DEFAULT, self._rare(node.default), child=found)
        return self._node(Op.REQUIRED, child=found) if node.required else found

    def _checked(self, node: p.From) -> int:
        """Checks without a call."""
        found = self._typed(msgspec.structs.replace(node, enum=None))
        if node.enum is None:
            return found
        if not all(isinstance(member, str) for member in node.enum):
            raise Unfit("`enum` of other values than text")
        allowed = b"".join(values.encode(member) + b"\0" for member in node.enum)
        return self._node(Op.ONE_OF, 0, *self._text(allowed), child=found)

    def _typed(self, node: p.From) -> int:
        """The checks that one look at a member makes."""
        if node == p.From(of=node.of):
            return self._value(node.of)
        slot, plain = self._slot(self._steps(node.of)), p.From(of=node.of, type=node.type, nulls="omit")
        self._as_it_stands(self._steps(node.of))
        self.copies, self.fixed = self.copies + 1, self.fixed + 2
        if node.type == "string":
            fit = msgspec.structs.replace(plain, empty=node.empty, max_length=node.max_length, invalid=node.invalid)
            if node == fit:
                return self._node(Op.STRING, slot, int(node.empty == "omit"), node.max_length or 0)
        if node == plain and node.type in NUMBERS:
            return self._node(Op.NUMERIC, slot, NUMBERS[node.type])
        if node == plain and node.type in ("boolean", "datetime", "object"):
            op = {"boolean": Op.BOOLEAN, "datetime": Op.INSTANT, "object": Op.WHOLE}[node.type]
            return self._node(op, slot)
        raise Unfit(f"a check of `type: {node.type}`" if node.type else "a check without a type")

    def _text_template(self, node: p.Text) -> int:
        self.fixed += 2
        return self._node(Op.JOINED, child=self._chain([self._read(part) for part in node.parts]))

    def _filter(self, node: p.Filter) -> int:
        if node.name == "default" and len(node.args) == 1 and isinstance(node.args[0], p.Const):
            return self._node(Op.DEFAULT, self._value(node.args[0]), 1, child=self._read(node.of))
        call = self._call(partial(_applied, node.name))
        children = [self._read(node.of), *map(self._read, node.args)]
        if node.name in CASES and not node.args:
            return self._node(Op[node.name.upper()], call, child=children[0])
        if node.name == "replace" and (texts := _plain_texts(node.args)) and texts[0]:
            old, new = texts
            self._spare()
            return self._node(
                Op.REPLACE, call, self._text(old + new)[0], len(old), len(new), child=self._chain(children)
            )
        return self._node(Op.CALL, call, child=self._chain(children))

    def _arith(self, node: p.Arith) -> int:
        call = self._call(partial(filters.arith, node.sign))
        return self._node(Op.CALL, call, child=self._chain([self._read(node.left), self._read(node.right)]))

    def _call(self, function: Callable[..., Any], *, timed: bool = False) -> int:
        """A call, and room for what it may give."""
        self.calls.append((function, timed))
        self._spare()
        return len(self.calls) - 1

    def _spare(self) -> None:
        self.copies, self.fixed = self.copies + 1, self.fixed + machine.SPARE

    def _lookup(self, node: p.Lookup) -> int:
        entries = [
            self._node(Op.ENTRY, *self._text(key.encode()), *self._written(values.encode(value)))
            for key, value in node.table.items()
            if values.encode(key) == b'"' + key.encode() + b'"'
        ]
        if len(entries) < len(node.table):
            raise Unfit("`$lookup` of a text with escapes")
        other = self._rare(node.otherwise)
        return self._node(Op.LOOKUP, other, self._chain(entries), child=self._read(node.of))

    def _pick(self, node: p.Pick) -> int:
        return self._behind([node], -1, ())

    def _merge(self, node: p.Merge) -> int:
        if prefix.fits(node):
            *picks, last = node.of
            steps = self._steps(last)
            return self._behind([pick for pick in picks if isinstance(pick, p.Pick)], self._slot(steps), steps)
        if len(node.of) > 1:
            raise Unfit("`$merge` of several objects")
        steps = self._steps(node.of[0])
        slot = self._slot(steps)
        self.copies += 1
        if not node.entries:
            return self._node(Op.WHOLE, slot)
        try:
            guards = self._chain(self._guards(node, steps))
        except Unfit:
            return self._edited(node, steps)
        try:
            return self._node(Op.UNTOUCHED, slot, self._edited(node, steps), child=guards)
        except Unfit:
            return self._node(Op.UNTOUCHED, slot, -1, child=guards)

    def _edited(self, node: p.Merge, steps: Steps) -> int:
        """An object with further keys in it."""
        rows = []
        for key, entry in node.entries.items():
            if not nameable(key):
                raise Unfit("a name with escapes")
            text = self._written(b"," + values.encode(key) + b":")
            value = -1 if isinstance(entry, p.Omit) else self._value(entry)
            rows.append(self._node(Op.SET, *text, self._slot((*steps, key)), child=value))
        # A comma, quotes and a colon stand with each member in the line as well: the copy is no longer than the object.
        self.copies, self.fixed = self.copies + 1, self.fixed + 2
        return self._node(Op.EDITED, self._slot(steps), child=self._chain(rows))

    def _behind(self, picks: list[p.Pick], slot: int, steps: Steps) -> int:
        """Picked members behind those of an object; those of the last pick first, as `merged` orders them."""
        nowhere = slot
        if slot < 0:  # a slot that no member fills
            nowhere, self.slots = self.slots, self.slots + 1
        rows: list[int] = []
        for pick in reversed(picks):
            base = () if pick.of == p.Path(path="$") else self._steps(pick.of)
            if not all(map(nameable, pick.keys)):
                raise Unfit("`$pick` of a name with escapes")
            rows += [self._node(Op.SOLID, self._slot(base[:end])) for end in range(1, len(base) + 1)]
            for key in pick.keys:
                own = self._slot((*steps, key)) if slot >= 0 else nowhere
                text = self._written(b"," + values.encode(key) + b":")
                there = (*base, key)
                as_it_stands = self._as_it_stands(there)
                rows.append(self._node(Op.MORE, *text, own, self._slot(there), child=as_it_stands))
        self.copies, self.fixed = self.copies + 1 + sum(len(pick.keys) for pick in picks), self.fixed + 2
        return self._node(Op.BEHIND, nowhere, child=self._chain(rows))

    # When further keys leave an object as it is (the kernel's side of runtime/identity.py).

    def _guards(self, node: p.Merge, steps: Steps) -> list[int]:
        if len(node.of) != 1 or self._steps(node.of[0]) != steps:
            raise Unfit("`$merge` with further keys of another object")
        return [row for key, entry in node.entries.items() for row in self._guard(entry, (*steps, key))]

    def _guard(self, node: p.Value, steps: Steps) -> list[int]:
        if not nameable(steps[-1]):
            raise Unfit("a name with escapes")
        slot = self._slot(steps)
        if isinstance(node, p.Omit):
            return [self._node(Op.ABSENT, slot)]
        if isinstance(node, p.Merge):
            return [self._node(Op.NESTED, slot), *self._guards(node, steps)]
        if isinstance(node, p.When) and node.otherwise is not None:
            return [self._node(Op.UNLESS, self._condition(node.test)), *self._guard(node.otherwise, steps)]
        if isinstance(node, p.Path) and self._steps(node) == steps:
            return []
        if isinstance(node, p.From) and isinstance(node.of, p.Path) and self._steps(node.of) == steps:
            plain = p.From(of=node.of, type=node.type, nulls="omit")
            if node == plain and node.type == "boolean":
                return [self._node(Op.LOGICAL, slot)]
            fit = msgspec.structs.replace(plain, empty=node.empty, max_length=node.max_length, invalid=node.invalid)
            if node == fit and node.type == "string":
                return [self._node(Op.TEXTUAL, slot, int(node.empty == "omit"), node.max_length or 0)]
        raise Unfit("`$merge` with keys that change what is there")

    # Tests.

    def _condition(self, text: str) -> int:
        return self._test(fql.parse(text, roots=fql.TRIGGER_ROOTS))

    def _test(self, node: fql.Node) -> int:
        if isinstance(node, (fql.And, fql.Or)):
            rows = [self._test(inner) for inner in node.of]
            return self._node(Op.ALL if isinstance(node, fql.And) else Op.ANY, child=self._chain(rows))
        if isinstance(node, fql.Not):
            return self._node(Op.NEITHER, child=self._test(node.of))
        if isinstance(node, fql.In) and isinstance(node.left, fql.PathRef) and isinstance(node.right, tuple):
            rows = [self._equals(node.left, literal) for literal in node.right]
            return self._node(Op.ANY, child=self._chain(rows))
        if isinstance(node, fql.Compare) and node.sign in ("=", "!="):
            left, right = node.left, node.right
            if isinstance(left, fql.Literal):
                left, right = right, left
            if isinstance(left, fql.PathRef) and isinstance(right, fql.Literal):
                found = self._equals(left, right)
                return found if node.sign == "=" else self._node(Op.NEITHER, child=found)
        if isinstance(node, fql.Compare) and isinstance(node.left, fql.PathRef) and isinstance(node.right, fql.Literal):
            return self._compares(self._field(node.left), node.sign, node.right.value)
        raise Unfit("a condition of more than comparisons with a constant, and, or and not")

    def _field(self, path: fql.PathRef) -> int:
        """The slot of a condition's path."""
        steps = tuple(step for step in path.steps if isinstance(step, str) and nameable(step))
        if len(steps) < len(path.steps) or steps[0] == "settings":
            raise Unfit("a condition on a setting or a list's item")
        return self._slot(steps)

    def _compares(self, slot: int, sign: str, value: Any) -> int:
        """A number against an integer constant."""
        text = values.number_text(value) if values.is_number(value) else ""
        if not text.lstrip("-").isdecimal() or text == "-0" or len(text) > 15:
            raise Unfit("a condition on a number with a fraction")
        return self._node(Op.COMPARES, slot, *self._text(text.encode()), SIGNS[sign])

    def _equals(self, path: fql.PathRef, literal: fql.Literal) -> int:
        slot = self._field(path)
        if values.is_number(literal.value):
            return self._compares(slot, "=", literal.value)
        if isinstance(literal.value, str):
            data = values.encode(literal.value)
            if b"\\" in data:
                raise Unfit("a condition on text with escapes")
            return self._node(Op.EQUALS, slot, *self._text(data))
        return self._node(Op.NOTHING if literal.value is None else Op.YES if literal.value else Op.NO, slot)


def _trigger(action: p.Action) -> tuple[str | None, fql.Node | None]:
    return fql.simple_type(fql.parse(action.trigger, roots=fql.TRIGGER_ROOTS))


def _applied(name: str, value: Any, *args: Any) -> Any:
    return filters.apply(name, value, args)


def _plain_texts(args: list[p.Value]) -> list[bytes]:
    """The bytes of constant texts without escapes; none where there is anything else."""
    texts = [values.encode(arg.value) for arg in args if isinstance(arg, p.Const) and isinstance(arg.value, str)]
    plain = len(texts) == len(args) and not any(b"\\" in text for text in texts)
    return [text[1:-1] for text in texts] if plain else []


_NODES: dict[type, Callable[[Tables, Any], int]] = {
    p.Path: Tables._path,
    p.Const: Tables._const,
    p.Ref: Tables._ref,
    p.Text: Tables._text_template,
    p.Filter: Tables._filter,
    p.Arith: Tables._arith,
    p.Object: Tables._object,
    p.Merge: Tables._merge,
    p.Items: Tables._items,
    p.From: Tables._from,
    p.First: Tables._first,
    p.Pick: Tables._pick,
    p.When: Tables._when,
    p.Lookup: Tables._lookup,
}
