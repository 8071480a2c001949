"""Small forms that the schemas are made of: closed maps, words, references.

Takes keys, shapes and the doc lines of vocabulary.py. Gives plain data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from waypost.compiler.read import units
from waypost.compiler.read.closed_maps import NAME
from waypost.compiler.schema.vocabulary import doc
from waypost.lang import fql

Schema = dict[str, Any]

PRIVATE = {"^x-": True}
OMIT: Schema = {"const": "$omit", "description": "No such key, wherever it would come from."}


def closed(place: str, keys: Iterable[str], shapes: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """A map with these keys and private notes, and no others."""
    found: Schema = {
        "type": "object",
        "properties": {key: {**shapes.get(key, {}), "description": doc(place, key)} for key in keys},
        "patternProperties": PRIVATE,
        "additionalProperties": False,
    }
    return {**found, "required": list(required)} if required else found


def laid(place: str, keys: Iterable[str], shapes: Mapping[str, Schema]) -> Schema:
    """A closed map that may lie over another: `$omit` stands for any value."""
    return closed(place, keys, {key: or_omit(shape) for key, shape in shapes.items()})


def named(schema: Schema) -> Schema:
    """A map whose keys are names of the author's."""
    return {
        "type": "object",
        "patternProperties": {**PRIVATE, f"^{NAME}$": schema},
        "additionalProperties": False,
    }


def one_of(words: Iterable[str], place: str) -> Schema:
    return {"oneOf": [{"const": word, "description": doc(place, word)} for word in words]}


def one_or_list(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def or_omit(schema: Schema) -> Schema:
    return {"anyOf": [schema, OMIT]}


def scalar(*kinds: str) -> Schema:
    return {"type": list(kinds)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def scalars() -> dict[str, Schema]:
    """Scalars with a form of their own."""
    helps = {"size": units.SIZE_HELP, "time": units.TIME_HELP, "rate": units.RATE_HELP}
    found: dict[str, Schema] = {
        name: {"type": "string", "pattern": f"^({units.PATTERNS[name]})$", "description": help_text}
        for name, help_text in helps.items()
    }
    functions = ", ".join(fql.FUNCTIONS)
    return found | {
        "text": {
            "type": ["string", "number", "boolean"],
            "pattern": "^(?!\\$)",
            "description": "Text, with `{{ }}` inside.",
        },
        "condition": {
            "type": "string",
            "pattern": "\\S",
            "description": f"FQL: paths, `= != < <= > >=`, `and`, `or`, `!( )`, `in [..]`; {functions}.",
        },
    }
