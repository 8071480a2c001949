"""What a body format is: what opens, separates and closes a body, how a message stands in it, and what its request may say.

Takes a request's body as the plan's expression (`layout`, `faults`) or its value around the messages (`written`). Gives a Layout, by which a
lane cuts batches and a request is put together, and the bytes around the messages. Why a value: batches are cut on the exact bytes of what is
sent, and neither the lane nor the renderer knows of commas and brackets. A format is one file here and one line in __init__.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from waypost import plan as p

PLACE = b"\0"
"""Stands for the messages while the body around them is encoded: no text that a format writes holds a NUL byte."""

ONLY = ""
"""The list of a request that has one, whatever action a message is of."""


class Layout(Struct, frozen=True):
    """How messages stand in a body: what is between two, how one becomes what is sent (None: as it is; raises Fault for one that cannot be
    sent), and with several lists which action's messages stand in which, in the order in which the body writes them."""

    separator: bytes = b","
    as_sent: Callable[[bytes], bytes] | None = None
    lists: dict[str, str] = {}

    @property
    def whole(self) -> bool:
        """Whether runs of messages may be counted and joined as they are, each with one byte behind it."""
        return self.as_sent is None and len(self.separator) == 1

    def list_of(self, action: str) -> str:
        """Where the messages of an action stand."""
        return self.lists[action] if self.lists else ONLY

    def size(self, message: bytes) -> int:
        """How many bytes a message takes in the body. Raises Fault for one that cannot be sent."""
        return len(message if self.as_sent is None else self.as_sent(message))

    def order(self, held: Mapping[str, Any]) -> list[str]:
        """The lists that hold something, as they stand in the body."""
        return [name for name in dict.fromkeys(self.lists.values()) if name in held] if self.lists else list(held)

    def together(self, around: Sequence[bytes], messages: Mapping[str, Sequence[bytes]]) -> bytes:
        """The body: `around` is what stands before, between and behind the lists of `messages` in their order. Copied together once."""
        if len(around) == 1:
            return around[0]
        whole: list[bytes] = []
        for before, name in zip(around, self.order(messages), strict=False):
            pieces = [*messages[name]] if self.as_sent is None else [self.as_sent(one) for one in messages[name]]
            if len(self.separator) == 1 and pieces:
                pieces[0] = before + pieces[0]
                whole.append(self.separator.join(pieces))
            else:
                whole += [before, self.separator.join(pieces)]
        return b"".join([*whole, *around[len(messages) :]])


class BodyFormat:
    """One kind of body. What differs from JSON is said by the formats themselves."""

    word = "body"
    """The word of a request that asks for it."""
    doc = ""
    """What editors show beside the word."""
    name = "JSON"
    content_type = "application/json"
    kinds = re.compile(r"(?:application|text)/json|[\w.-]+/[\w.+-]+\+json")
    """The content types under which such a body may be sent."""
    is_text = False
    """Whether the word takes text with templates; else a value."""
    members = True
    """Whether `auth: body` can add members to a map."""

    def layout(self, body: p.Value) -> Layout:
        """How messages stand in such a body."""
        raise NotImplementedError

    def mark(self, node: p.Messages) -> Any:
        """What stands for the messages while the body is evaluated."""
        return Raw(PLACE)

    def takes_members(self, body: p.Value) -> bool:
        """Whether `auth: body` can add to this body."""
        return self.members and isinstance(body, p.Object)

    def joined(self, value: Any, members: Mapping[str, Any]) -> Any:
        """The body's value with the members that auth adds."""
        return {**value, **members} if members and isinstance(value, dict) else value

    def written(self, value: Any) -> bytes:
        """The bytes of the body's value, PLACE for each mark. Raises Fault for a value that such a body cannot hold."""
        raise NotImplementedError

    def faults(self, body: p.Value, *, batched: bool) -> Iterator[tuple[p.Value | None, str, str]]:
        """What is wrong with such a body in a spec: the node to blame (None: the whole body), a sentence, what to write."""
        return iter(())


def messages_in(body: p.Value) -> list[p.Messages]:
    """The places of messages in a body, in the order in which they are written."""
    found: list[p.Messages] = []

    def look(node: p.Value) -> None:
        if isinstance(node, p.Messages):
            found.append(node)

    p.rewrite(body, look)
    return found


def lists_of(body: p.Value, prefix: str = "") -> Iterator[tuple[str, p.Messages]]:
    """The lists of a body that are for certain actions, each with its name: the keys that lead to it."""
    if isinstance(body, p.Messages) and body.actions:
        yield prefix, body
    elif isinstance(body, p.Object):
        for key, held in body.entries.items():
            yield from lists_of(held, f"{prefix}.{key}" if prefix else key)


def by_action(body: p.Value) -> dict[str, str]:
    """Action -> the list that its messages stand in."""
    return {action: name for name, node in lists_of(body) for action in node.actions}


def stands(body: p.Value, node: p.Messages) -> bool:
    """Whether messages stand in the body as they are, within maps and lists alone."""
    if body is node:
        return True
    held = body.entries.values() if isinstance(body, p.Object) else body.items if isinstance(body, p.Items) else ()
    return any(stands(inner, node) for inner in held)


def placed(body: p.Value, mark: Callable[[p.Messages], Any], lists: Sequence[str] | None = None) -> p.Value:
    """The body with a mark for the messages; of several lists only those that are named, the others left out."""
    absent = [] if lists is None else [id(node) for name, node in lists_of(body) if name not in lists]

    def change(node: p.Value) -> p.Value | None:
        if not isinstance(node, p.Messages):
            return None
        return p.Omit() if id(node) in absent else p.Const(value=mark(node))

    return p.rewrite(body, change)


def wanted(batched: bool) -> tuple[p.Messages, str]:
    """What a body holds, with and without `batch:`, and how that is written."""
    return (p.Messages(many=True), "$messages") if batched else (p.Messages(many=False), "$message")


def one_place(body: p.Value, *, batched: bool) -> Iterator[tuple[p.Value | None, str, str]]:
    """What is wrong with a body that holds the message or the batch once, or several lists of messages by action."""
    found = messages_in(body)
    _, word = wanted(batched)
    lists = [held for held in found if held.actions]
    if lists and len(lists) < len(found):
        odd = next(held for held in found if not held.actions)
        yield odd, "a list for certain actions and one for all", "say the actions of each: `{$messages: [send_order]}`"
    elif not lists and len(found) != 1:
        yield (
            found[1] if found else None,
            f"a body holds `{word}` exactly once, found {len(found)} times",
            "lists for certain actions are written `{$messages: [send_order]}`" if len(found) > 1 else "",
        )
    elif any(held.many is not batched for held in found):
        yield found[0], f"expected `{word}`: there is {'a' if batched else 'no'} `batch:`", ""
    elif lists:
        names = {id(held) for _, held in lists_of(body)}
        for held in found:
            if id(held) not in names:
                yield held, "a list of messages by action stands in a map", "give it a key of its own"
    elif not stands(body, found[0]):
        yield found[0], f"`{word}` stands as it is in the body", "not within an operator"
