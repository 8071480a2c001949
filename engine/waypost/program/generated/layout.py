"""Which parts of an event a plan reads, and the decoders for them.

Takes the plain paths that a plan's mappings and triggers use. Gives a tree of `Slot`s and, for each slot with children, a msgspec struct
type whose decoder skips everything else. A slot that is inspected as a scalar is decoded; one that is copied stays `msgspec.Raw`; one that
is only walked through becomes a nested struct.

Why: decoding only what a plan needs costs less than parsing the event. Two loaders fill the same structs, so the generated mapping code
is the same for both: the fast one is the struct's own decoder; the general one walks `dict[str, Raw]` and takes any shape of event. The
fast decoder therefore accepts only what it can hold without loss (no floats, no zero or negative integers: `-0` and `1.50` keep their
token in the general loader) and raises for everything else.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from waypost.lang import values

SmallInt = Annotated[int, Meta(ge=1, le=2**53)]
Scalar = str | SmallInt | bool | None | UnsetType

_MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])


STRENGTHS = {"raw": 1, "scalar": 2, "object": 3}


def nameable(name: str) -> bool:
    """Whether msgspec takes a member name for a struct's field; others go the slower way."""
    return not any(character in '\\"' or character < " " for character in name)


class Slot:
    """One event path. `whole` is "" (only walked through), "scalar" or "raw"; `children` are keyed by member name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.whole = ""
        self.strength = 0
        self.numeric = False
        """Whether it may well be a number: then it is decoded by itself, for the fast decoder takes few numbers without loss."""
        self.kept = False
        """Whether it stays Raw because its twin in another layout does."""
        self.longest: int | None = None
        """The most characters that the fast decoder takes of a text: a longer one goes the general way."""
        self.shared: set[tuple[str, str]] = set()
        """(action, name) of nested children that are read beside a merge of this slot."""
        self.children: dict[str, Slot] = {}
        self.attribute = name
        self.index = 0
        self.struct: type[msgspec.Struct] | None = None
        self.empty: Any = None
        self.broken: Any = None
        """Another empty struct: what stands for a value that is neither an object nor null."""
        self.decode: Callable[[Any], Any] = _no_loader
        self.load: Callable[[Any], Any] = _no_loader

    @property
    def decoded(self) -> bool:
        """Whether the parent's decoder decodes it as text, number, boolean or null; lists and objects stay Raw."""
        return self.single and not self.numeric

    @property
    def single(self) -> bool:
        """Whether it is looked into as one value, and nothing in it is read besides."""
        return self.whole == "scalar" and not self.children and not self.kept

    @property
    def nested(self) -> bool:
        """Whether the parent's struct holds this slot as a struct (else as a scalar or as Raw with a loader of its own)."""
        return self.whole == "" and bool(self.children)

    def walk(self) -> Iterator[Slot]:
        yield self
        for child in self.children.values():
            yield from child.walk()


def _no_loader(raw: Any) -> Any:
    raise AssertionError("a slot without children has no loader")


class Layout:
    """The slots of one plan, or of one event type of it. `use` collects paths; `build` makes the decoders. `name` tells several apart."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.root = Slot("event")

    def use(self, steps: tuple[str, ...], how: str) -> Slot:
        """The slot of a plain path of names, to be read as "raw" (copied), "scalar" (inspected; may be copied as well), "number" (the same, and
        likely one) or "object".

        The strongest use decides: what is merged or picked from stays raw, also where it is inspected elsewhere.
        """
        slot = self.root
        for step in steps:
            slot = slot.children.setdefault(step, Slot(step))
        slot.numeric = slot.numeric or how == "number"
        slot.strength = max(slot.strength, STRENGTHS["scalar" if how == "number" else how])
        slot.whole = "scalar" if slot.strength == STRENGTHS["scalar"] else "raw"
        return slot

    def agree(self, other: Layout) -> None:
        """Reads each value in the form in which `other`, which has every slot of this one, reads it: bytes must not depend on the way."""
        _agree(self.root, other.root)

    def at(self, steps: tuple[str, ...]) -> Slot:
        """The slot of a path that is used."""
        slot = self.root
        for step in steps:
            slot = slot.children[step]
        return slot

    def build(self, tag: str | None = None, order: Sequence[str] = ()) -> None:
        """Makes the structs. With `tag`, the root is one of a tagged union on `type`, its fields may be assigned, and those of `order` stand
        first, in that order: it can be encoded as the message itself."""
        for index, slot in enumerate(self.root.walk()):
            slot.index = index
        children = self.root.children
        self.root.children = {name: children[name] for name in dict.fromkeys((*order, *children))}
        for slot in reversed(list(self.root.walk())):
            if slot.children or slot is self.root:
                _build(slot, tag if slot is self.root else None)


def _agree(slot: Slot, twin: Slot) -> None:
    if slot.whole:
        slot.strength, slot.whole = twin.strength, twin.whole
        slot.kept, slot.numeric = bool(twin.children), twin.numeric
    for name, child in slot.children.items():
        _agree(child, twin.children[name])


def _build(slot: Slot, tag: str | None = None) -> None:
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    for child in slot.children.values():
        child.attribute = _attribute(child)
        rename[child.attribute] = child.name
        fields.append((child.attribute, *_field(child)))
    if tag is not None:
        slot.struct = msgspec.defstruct(f"Event_{tag}", fields, rename=rename, tag=tag, tag_field="type", gc=False)
        return
    slot.struct = msgspec.defstruct(f"Event{slot.index}", fields, rename=rename, frozen=True, gc=False)
    slot.empty, slot.broken = slot.struct(), slot.struct()
    slot.decode = msgspec.json.Decoder(slot.struct).decode
    slot.load = _loader(slot)


def _field(slot: Slot) -> tuple[Any, Any]:
    if slot.nested:
        return slot.struct, slot.empty
    if slot.decoded:
        if slot.longest is None:
            return Scalar, UNSET
        text = Annotated[str, Meta(max_length=slot.longest)]
        return text | SmallInt | bool | None | UnsetType, UNSET
    return Raw | UnsetType, UNSET


def _attribute(slot: Slot) -> str:
    name = slot.name
    plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    return name if plain else f"k{slot.index}"


def _loader(slot: Slot) -> Callable[[Any], Any]:
    decode, empty = slot.decode, slot.empty

    def load(raw: Any) -> Any:
        """The struct of the object in `raw`; missing, null and an empty list give the empty one, another value the broken one."""
        if raw is UNSET:
            return empty
        try:
            return decode(raw)
        except msgspec.ValidationError:
            return load_general(slot, raw)

    return load


def load_general(slot: Slot, raw: Any) -> Any:
    """What `slot.load` gives, for an object of any shape: the way that the fast decoder falls back to.

    Raises msgspec.DecodeError for JSON that is malformed; null and an empty list give the empty struct, another value the broken one.
    """
    try:
        members = _MEMBERS.decode(raw)
    except msgspec.ValidationError:
        return slot.empty if values.decode(bytes(raw)) in (None, []) else slot.broken
    return _fill(slot, members)


def _fill(slot: Slot, members: dict[str, Raw]) -> Any:
    found: dict[str, Any] = {}
    for child in slot.children.values():
        raw = members.get(child.name)
        if raw is None:
            continue
        if child.nested:
            found[child.attribute] = load_general(child, raw)
        elif child.decoded:
            found[child.attribute] = scalar(raw)
        else:
            found[child.attribute] = raw
    assert slot.struct is not None
    return slot.struct(**found)


def members_of(line: bytes) -> dict[str, Raw]:
    """The top-level members of an event. Raises msgspec.ValidationError for a value that is no object, DecodeError for no JSON."""
    return _MEMBERS.decode(line)


def fill_root(layout: Layout, members: dict[str, Raw]) -> Any:
    """The root struct from an event's members: the general loader."""
    return _fill(layout.root, members)


def scalar(raw: Raw) -> Any:
    """A raw value as text, number, boolean or None; lists and objects stay Raw."""
    data = bytes(raw)
    return raw if data[0] in b"{[" else values.decode(data)
