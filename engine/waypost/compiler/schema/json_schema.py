"""JSON Schema (2020-12) of the files that people write, for completion and checks in an editor.

Takes the reader's own tables of keys, `vocabulary.py` for what each means, and the forms of names and units. Gives `destination()`,
`tests()` and `connections()`, plain data. A schema sees one value at a time, so it is wider than the reader (it cannot read a path, a
template or a condition) and never narrower: whatever compiles is valid. A word that the reader learns appears here by itself; its doc line
must be added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from waypost.compiler.compose.reuse import METHODS
from waypost.compiler.read import (
    connections_file,
    integrations,
    request,
    responses,
    settings_block,
    signing,
    spec_reader,
    tokens,
)
from waypost.compiler.read.closed_maps import NAME
from waypost.compiler.read.operators import OPERATORS
from waypost.compiler.schema.forms import (
    Schema,
    closed,
    laid,
    named,
    one_of,
    one_or_list,
    or_omit,
    ref,
    scalar,
    scalars,
)
from waypost.compiler.schema.vocabulary import DOCS, doc
from waypost.lang import filters, fql
from waypost.lang.bodies import FORMATS
from waypost.lang.formats import TEXT_FORMATS
from waypost.lang.values import TYPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ANY_OF_MAP: Schema = {"type": "object"}
_TYPE_OR_CHOICES: Schema = {"oneOf": [{"required": ["type"]}, {"required": ["choices"]}]}
_SETTING_VALUE: Schema = {"type": ["string", "number", "boolean", "array", "object"]}
"""One value, or the list or map that the setting is."""


def destination() -> Schema:
    """The schema of destination.yaml."""
    top = closed("a spec", spec_reader.TOP, _top(), required=("spec", "name", "actions"))
    return {
        "$schema": DIALECT,
        "title": "A Waypost destination",
        "description": "specs/NAME/destination.yaml, version 1 of the language.",
        **top,
        "$defs": {**scalars(), **_values(), "request": _request(), "action": _action(), "block": _block()},
    }


def connections() -> Schema:
    """The schema of a connections file."""
    reference: Schema = {"type": "string", "pattern": f"^({connections_file.REFERENCE})$"}
    words: Schema = one_or_list({"type": "string"})
    over = or_omit(laid("an action", spec_reader.ACTION, _action_words()))
    file: Schema = {"type": "string", "pattern": r"^file:\S"}
    tls = closed("`tls`", connections_file.TLS, dict.fromkeys(connections_file.TLS, file))
    tls |= {"minProperties": 1, "dependentRequired": {"key": ["certificate"]}}
    connection = closed(
        "a connection",
        connections_file.CONNECTION,
        {
            "destination": scalar("string", "number", "boolean"),
            "enabled": {"type": "boolean"},
            "sources": words,
            "order_by": ref("value"),
            "integrations": {"anyOf": [{"const": integrations.IGNORE}, _integrations()]},
            "redact": {"type": "array", "minItems": 1, "items": ref("path")},
            "settings": {"type": "object", "additionalProperties": _SETTING_VALUE},
            "tls": tls,
            "plain_http": {"type": "boolean"},
            "request": ref("request"),
            "shared": named(or_omit(ref("block"))),
            "actions": named(over),
        },
        required=("destination", "sources"),
    )
    source = closed(
        "a source",
        connections_file.SOURCE,
        {
            "files": words,
            "http": {"type": "string"},
            "stdin": {"const": True},
            "write_keys": one_or_list(reference),
            "emits": one_or_list({"enum": list(fql.EVENT_TYPES)}),
            "from": {"enum": ["start", "now"]},
            "follow": {"type": "boolean"},
        },
    )
    source["oneOf"] = [{"required": [kind]} for kind in connections_file.KINDS]
    shapes = {
        "connections": {**named(connection), "minProperties": 1},
        "sources": {**named(source), "minProperties": 1},
    }
    top = closed("a connections file", connections_file.TOP, shapes, required=connections_file.TOP)
    return {
        "$schema": DIALECT,
        "title": "Waypost connections",
        "description": "waypost.yaml: which sources go to which destinations, with which settings.",
        **top,
        "$defs": {**scalars(), **_values(), "request": _request(), "block": _block()},
    }


def tests() -> Schema:
    """The schema of tests.yaml."""
    settings: Schema = {"type": "object", "additionalProperties": _SETTING_VALUE}
    status = {"status": scalar("integer", "string"), "headers": _ANY_OF_MAP}
    reply = closed("a reply", DOCS["a reply"], status)
    expectation = closed(
        "an expectation", DOCS["an expectation"], {"waited": ref("time"), "attempts": {"type": "integer"}}
    )
    test = closed(
        "a test",
        DOCS["a test"],
        {
            "name": {"type": "string"},
            "events": {"type": "array", "minItems": 1, "items": {"type": ["object", "string"]}},
            "now": scalar("string", "number"),
            "requests": {"type": "array", "items": _ANY_OF_MAP},
            "settings": settings,
            "replies": {"type": "array", "items": reply},
            "expect": one_or_list(ref("expectation")),
        },
        required=("name", "expect"),
    )
    test["anyOf"] = [{"required": ["event"]}, {"required": ["line"]}, {"required": ["events"]}]
    return {
        "$schema": DIALECT,
        "title": "The tests of a Waypost destination",
        "description": "specs/NAME/tests.yaml, beside the spec.",
        **closed(
            "a tests file",
            DOCS["a tests file"],
            {
                "settings": settings,
                "now": scalar("string", "number"),
                "tests": {"type": "array", "items": ref("test")},
            },
            required=("tests",),
        ),
        "$defs": {"test": test, "expectation": expectation, "time": scalars()["time"]},
    }


def _top() -> Mapping[str, Schema]:
    shapes: dict[str, Schema] = {
        name: scalar("string", "number", "boolean") for name in ("title", "description", "docs")
    }
    return shapes | {
        "spec": {"const": spec_reader.VERSION},
        "name": {"type": "string", "pattern": f"^{spec_reader.SPEC_NAME}$"},
        "category": one_of(spec_reader.CATEGORIES, "the category"),
        "integrations": _integrations(),
        "settings": named(_setting()),
        "auth": _auth(),
        "check": _check(),
        "request": ref("request"),
        "values": named(ref("value")),
        "shared": named(ref("block")),
        "actions": {**named(ref("action")), "minProperties": 1},
    }


# Parts of a spec.


def _integrations() -> Schema:
    name: Schema = {"type": ["string", "number", "boolean"], "not": {"enum": [integrations.ALL, ""]}}
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": name}


def _setting() -> Schema:
    part = _part("a part of a setting", settings_block.PART)
    field = _part("a field", settings_block.FIELD)
    row = {**named(field), "minProperties": 1}
    found = closed(
        "a setting",
        settings_block.SETTING,
        {
            **_typed(settings_block.SETTING_TYPES),
            "default": _SETTING_VALUE,
            "secret": {"type": "boolean"},
            "of": {"anyOf": [part, row]},
            "value": {"anyOf": [part, row]},
            "key": closed("`key`", settings_block.KEY, dict.fromkeys(settings_block.KEY, ref("text"))),
        },
    )
    several = [
        {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": {"required": [word]}}
        for kind, word in (("list", "of"), ("map", "value"))
    ]
    return {**found, **_TYPE_OR_CHOICES, "allOf": several}


def _typed(types: Iterable[str]) -> dict[str, Schema]:
    """What a setting, a part of one and a field have in common."""
    choice = {"anyOf": [{"type": "string"}, _ANY_OF_MAP]}
    return {
        "type": one_of(types, "the type of a setting"),
        "choices": {"type": "object", "minProperties": 1, "additionalProperties": choice},
        "optional": {"type": "boolean"},
        "label": ref("text"),
        "description": ref("text"),
    }


def _part(place: str, words: Iterable[str]) -> Schema:
    shapes = {**_typed(settings_block.ONE_TYPES), "default": scalar("string", "number", "boolean")}
    return {**closed(place, words, shapes), **_TYPE_OR_CHOICES}


def _auth() -> Schema:
    basic = closed(
        "`basic`",
        request.BASIC,
        dict.fromkeys(request.BASIC, ref("text")),
        required=request.BASIC,
    )
    texts: Schema = {"type": "object", "additionalProperties": ref("text")}
    sent = _sent()
    return closed(
        "`auth`",
        request.AUTH_KINDS,
        {
            "basic": basic,
            "bearer": ref("text"),
            "oauth2": _oauth2(),
            "headers": sent["headers"],
            "query": sent["query"],
            "body": texts,
        },
    )


def _oauth2() -> Schema:
    words: dict[str, Schema] = dict.fromkeys(tokens.TEXTS, ref("text"))
    words |= {
        "grant": one_of(tokens.GRANTS, "the grant of a token"),
        "client": one_of(tokens.CLIENTS, "the client of a token"),
        "form": {"type": "object", "additionalProperties": ref("text")},
    }
    return closed("`oauth2`", tokens.WORDS, words, required=("token_url", "client_id"))


def _check() -> Schema:
    found = closed("the check", request.PROBE, _sent())
    return {**found, "oneOf": [{"required": [method]} for method in METHODS]}


def _sent() -> dict[str, Schema]:
    """What the request and the check have in common."""
    texts: Schema = {"type": "object", "additionalProperties": or_omit(ref("text"))}
    merged: Schema = {**texts, "required": ["$merge"], "properties": {"$merge": True}}
    whole = [ref(f"op_{name[1:]}") for name in OPERATORS if name not in ("$merge", "$messages")]
    objects: Schema = {"anyOf": [texts, merged, ref("path"), ref("template"), *whole]}
    return {**{method: ref("text") for method in METHODS}, "headers": objects, "query": objects}


def _request() -> Schema:
    """A request, also one that lies over another: nothing is required, and `$omit` takes a key away."""
    quantity = {name: ref(name) for name in ("size", "time", "rate")}
    count: Schema = {"type": "integer", "minimum": 1}
    rate = laid("`rate`", request.RATE, dict.fromkeys(request.RATE, quantity["rate"]))
    names = one_or_list({"type": "string"})
    batch: dict[str, Schema] = {
        "max_messages": {"anyOf": [count, {"type": "object", "additionalProperties": count}]},
        "max_bytes": quantity["size"],
        "max_message_bytes": quantity["size"],
    }
    shapes = _sent() | {
        **{word: ref("text" if held.is_text else "value") for word, held in FORMATS.items()},
        "content_type": {"type": "string"},
        "sign": _sign(),
        "gzip": {"type": "boolean"},
        "timeout": quantity["time"],
        "concurrency": count,
        "batch": laid("`batch`", request.BATCH, {**batch, "max_wait": quantity["time"]}),
        "rate": one_or_list(rate),
        "retry": laid(
            "`retry`", request.RETRY, {"for": quantity["time"], "wait_from": names, "max_wait": quantity["time"]}
        ),
        "dedupe": laid(
            "`dedupe`", request.DEDUPE, {"by": names, "within": quantity["time"], "unsafe": {"type": "boolean"}}
        ),
        "responses": {
            "type": "object",
            "propertyNames": {"pattern": f"^({responses.STATUS})$"},
            "additionalProperties": or_omit(one_or_list(_response())),
        },
    }
    found = laid("the request", request.REQUEST, shapes)
    methods = METHODS
    two = [{"required": [one, other]} for at, one in enumerate(methods) for other in methods[at + 1 :]]
    two += [{"required": [one, other]} for at, one in enumerate(FORMATS) for other in [*FORMATS][at + 1 :]]
    return {**found, "not": {"anyOf": two}}


def _sign() -> Schema:
    texts: Schema = {"type": "object", "additionalProperties": or_omit(ref("text"))}
    words: dict[str, Schema] = dict.fromkeys(("text", *signing.HASHES), ref("text"))
    words |= {
        "key": one_of(signing.KEY_FORMS, "the key of a signature"),
        "encoding": one_of(signing.ENCODINGS, "the encoding of a signature"),
        "headers": texts,
        "query": texts,
    }
    return laid("`sign`", signing.SIGN, words)


def _response() -> Schema:
    """What an answer means: an outcome, one under a condition, or one for each message that the answer names."""
    outcome = one_of(responses.OUTCOMES, "the outcome")
    test = {"if": ref("condition")}
    words = responses.RULE[:2]
    rule = closed("a response rule", words, {**test, "then": outcome}, required=words)
    return {"anyOf": [outcome, rule, _by_message(outcome, rule)]}


def _by_message(outcome: Schema, rule: Schema) -> Schema:
    shapes: dict[str, Schema] = {
        "at": one_or_list({"anyOf": [{"type": "string"}, {"type": "object"}]}),
        "list": ref("value"),
        "index": ref("value"),
        "value": ref("value"),
        "of": {"type": "string"},
        "where": ref("condition"),
        "reason": {"anyOf": [ref("text"), ref("value")]},
        "then": one_or_list({"anyOf": [outcome, rule]}),
    }
    # Words that stand in the readers of `at` may be missing around them.
    reader = closed("a reader of `results`", responses.READER, shapes, required=("at",))
    words = [word for word in responses.RULE if word != "then"]
    held = {"if": ref("condition"), "results": one_or_list(reader), "rest": outcome}
    return closed("a response rule", words, held, required=("results", "rest"))


def _block() -> Schema:
    return laid("a shared block", spec_reader.BLOCK, _parts())


def _action_words() -> dict[str, Schema]:
    return _parts() | {
        "title": ref("text"),
        "description": ref("text"),
        "trigger": ref("condition"),
        "use": one_or_list({"type": "string"}),
        "like": {"type": "string"},
        "enabled": {"type": "boolean"},
    }


def _action() -> Schema:
    found = laid("an action", spec_reader.ACTION, _action_words())
    return {**found, "anyOf": [{"required": ["trigger"]}, {"required": ["like"]}]}


def _parts() -> dict[str, Schema]:
    """What an action and a shared block have in common."""
    require = closed(
        "an item of `require`",
        spec_reader.REQUIRE,
        {"any": one_or_list({"type": "string"}), "if": ref("condition"), "message": ref("text")},
        required=("any",),
    )
    return {
        "require": {"type": "array", "items": require},
        "mapping": ref("value"),
        "request": ref("request"),
        "each": ref("value"),
        "where": ref("condition"),
    }


# Values.


def _values() -> dict[str, Schema]:
    """Value positions: what a mapping and a body are made of."""
    known = ", ".join(filters.FILTERS)
    operators = {f"op_{name[1:]}": _operator(name) for name in OPERATORS}
    return operators | {
        "path": {
            "type": "string",
            "pattern": "^\\$([.\\[].*|item([.\\[].*)?|key)?$",
            "description": "A JSONPath into the event: `$.properties.total`; `$item` is the item of an `$each`, `$key` its entry's name.",
        },
        "template": {
            "type": "string",
            "pattern": "\\{\\{",
            "description": f"`{{{{ event.traits.email | lower | sha256 }}}}`. Filters: {known}.",
        },
        "messages": {
            "enum": ["$message", "$messages"],
            "description": "In a request's body, once: the one message, or the batch.",
        },
        "object": {
            "type": "object",
            "description": "An object in written order; missing entries are left out.",
            "propertyNames": {"pattern": "^(?!\\$(?!\\$))"},
            "additionalProperties": or_omit(ref("value")),
        },
        "value": {
            "anyOf": [
                *map(ref, ("path", "template", "messages")),
                scalar("number", "boolean", "null"),
                {"type": "array", "items": ref("value")},
                ref("object"),
                *map(ref, operators),
            ]
        },
    }


def _operator(name: str) -> Schema:
    """A map with one operator and its words."""
    value, condition, constant = ref("value"), ref("condition"), {"description": "A constant."}
    holds: dict[str, Schema] = {
        "$literal": constant,
        "$merge": {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}]},
        "$first": {"type": "array", "items": value, "minItems": 1},
        "$when": condition,
        "$use": {"type": "string", "pattern": f"^{NAME}$"},
        "$messages": one_or_list({"type": "string"}),
    }
    held = holds.get(name, value)
    shapes: dict[str, Schema] = {
        "type": one_of(TYPES, "the type of a value"),
        "nulls": {"enum": ["keep", "omit", "empty"]},
        "empty": {"enum": ["keep", "omit"]},
        "invalid": {"enum": ["error", "omit"]},
        "enum": {"type": "array", "minItems": 1},
        "format": one_of(TEXT_FORMATS, "the format of a text"),
        "pattern": {"type": ["string", "number", "boolean"]},
        "max_length": {"type": "integer", "minimum": 1},
        "max_bytes": {"type": "integer", "minimum": 1},
        "max_age": ref("time"),
        "max_ahead": ref("time"),
        "required": {"type": "boolean"},
        "keys": one_or_list({"type": "string"}),
        "filter": {"type": "string", "pattern": "\\S"},
        "to": value,
        "single": {"const": "wrap"},
        "key": value,
        "where": condition,
        "then": value,
        "else": value,
        "in": {"anyOf": [_ANY_OF_MAP, ref("template")]},
    }
    needs = {
        "$pick": "keys",
        "$drop": "keys",
        "$each": "to",
        "$find": "where",
        "$get": "key",
        "$when": "then",
        "$lookup": "in",
    }
    found: Schema = {
        "type": "object",
        "required": [name, *([needs[name]] if name in needs else [])],
        "properties": {
            name: {**held, "description": doc("a value", name)},
            **{word: {**shapes.get(word, {}), "description": doc(f"`{name}`", word)} for word in OPERATORS[name]},
        },
    }
    if name != "$merge":
        return {**found, "additionalProperties": False}
    return {**found, "patternProperties": {"^(?!\\$(?!\\$))": or_omit(value)}, "additionalProperties": False}
