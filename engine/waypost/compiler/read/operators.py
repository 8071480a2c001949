"""The operators of the mapping language and the words that each takes: the closed list that the reader, the schema and advice share."""

from __future__ import annotations

OPERATORS: dict[str, tuple[str, ...]] = {
    "$literal": (),
    "$merge": (),
    "$from": (
        "filter",
        "nulls",
        "empty",
        "single",
        "type",
        "enum",
        "format",
        "pattern",
        "max_length",
        "max_bytes",
        "max_age",
        "max_ahead",
        "invalid",
        "default",
        "required",
    ),
    "$use": (),
    "$first": (),
    "$pick": ("keys",),
    "$drop": ("keys",),
    "$each": ("to", "where", "key", "single"),
    "$find": ("where", "to"),
    "$get": ("key",),
    "$when": ("then", "else"),
    "$lookup": ("in", "else"),
    "$messages": (),
}


def is_operator(name: str) -> bool:
    """Whether a key is a word of the language: `$$` begins a key that is sent with one `$`."""
    return name.startswith("$") and not name.startswith("$$")
