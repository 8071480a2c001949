"""The filters of templates: a table of name, function, arguments, one line of documentation and examples (which are tests).

Takes decoded JSON. Gives decoded JSON. `apply` states the one rule of null and missing: a filter on either gives missing (`default` stands in
for both). A value that a filter cannot take is a Fault (reason "filter"). Every filter is deterministic, to the byte.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from waypost.lang import arithmetic, jsonpath, patterns, phones, shaping, values
from waypost.lang.time_format import format_time
from waypost.lang.values import MISSING, Fault
from waypost.lang.words import kebabcase, snakecase, titlecase

NAMESPACE = uuid.UUID("6f1c1c0e-3f0d-5c52-9c7b-2f4d8a0f7e11")
"""Waypost's namespace for `uuid5`."""


@dataclass(frozen=True)
class Filter:
    """`args`: what each argument is ("text", "integer", "path", "format", "pattern", "replacement", "flag", "any"); the last `optional`
    ones may be left out. A "pattern" stands in a template as RE2 reads it, a "flag" as `NAME: true`, where `flag` is the name.

    `takes`: the kinds of value (values.typeof) it takes; `gives`: the kind it gives ("any" where it depends). `examples`: (value, arguments,
    result), where `FAULT` as result says that there is none.
    """

    function: Callable[..., Any]
    takes: tuple[str, ...]
    gives: str
    doc: str
    examples: tuple[tuple[Any, tuple[Any, ...], Any], ...]
    args: tuple[str, ...] = ()
    optional: int = 0
    flag: str = ""


FAULT = object()
TEXT = ("string",)
LIST = ("array",)
SCALARS = ("string", "number", "boolean")
ANY = ("string", "number", "boolean", "array", "object")
TIMES = ("string", "number")


def fault(message: str) -> Fault:
    return Fault("filter", message)


def apply(name: str, value: Any, args: tuple[Any, ...] = ()) -> Any:
    """`value | name(args)`. Missing and null give missing, also as an argument; raises Fault("filter")."""
    row = FILTERS[name]
    if name == "default":
        return args[0] if value is MISSING or value is None else value
    if value is MISSING or value is None or any(arg is MISSING or arg is None for arg in args):
        return MISSING
    kind = values.typeof(value)
    if kind not in row.takes:
        raise fault(f"{name} takes {' or '.join(row.takes)}, found {kind}")
    try:
        kinds = zip(args, row.args, strict=False)
        return row.function(value, *(text_of(arg, name) if kind == "text" else arg for arg, kind in kinds))
    except Fault as error:
        raise fault(f"{name}: {error.message}") from None


def text_of(value: Any, what: str) -> str:
    """A scalar's text, for filters that join or look up."""
    found = values.scalar_text(value)
    if found is None:
        raise fault(f"{what} takes text, numbers and booleans, found {values.typeof(value)}")
    return found


def _slice(value: Any, start: int, end: int | None = None) -> Any:
    return value[start:end]


def _split(value: str, sep: str) -> list[str]:
    if not sep:
        raise fault("the separator is empty")
    return value.split(sep)


def _join(value: list[Any], sep: str) -> str:
    return sep.join(text_of(item, "join") for item in value if item is not None)


def _first(value: Any) -> Any:
    return value[0] if value else MISSING


def _last(value: Any) -> Any:
    return value[-1] if value else MISSING


def _unique(value: list[Any]) -> list[Any]:
    seen: set[bytes] = set()
    found = []
    for item in value:
        key = values.encode(item)
        if key not in seen:
            seen.add(key)
            found.append(item)
    return found


def _map(value: list[Any], path: str) -> list[Any]:
    expr = jsonpath.parse(path if path.startswith("$") else f"$.{path}")
    found = [jsonpath.find(expr, item) for item in value]
    return [item for item in found if item is not MISSING]


def _from_json(value: str) -> Any:
    try:
        return values.decode(value.encode())
    except (values.Malformed, values.TooDeep) as error:
        raise fault(f"not JSON ({error})") from None


def _hash_id(value: Any, length: int) -> str:
    digest = hashlib.sha256(text_of(value, "hash_id").encode()).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()[:length]


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _ulid(value: Any, time: Any) -> str:
    millis = values.to_unix_ms(time)
    if millis < 0:
        raise fault("a ULID's time is not before 1970")
    number = (millis << 80) | int.from_bytes(hashlib.sha256(text_of(value, "ulid").encode()).digest()[:10], "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def _hex(algorithm: str) -> Callable[[Any], str]:
    return lambda value: hashlib.new(algorithm, text_of(value, algorithm).encode()).hexdigest()


def _hmac(value: Any, key: str) -> str:
    return hmac.new(key.encode(), text_of(value, "hmac_sha256").encode(), "sha256").hexdigest()


FILTERS: dict[str, Filter] = {
    "lower": Filter(str.lower, TEXT, "string", "Lower case.", (("Ab", (), "ab"), (1, (), FAULT))),
    "upper": Filter(str.upper, TEXT, "string", "Upper case.", (("Ab", (), "AB"),)),
    "trim": Filter(str.strip, TEXT, "string", "Without white space at both ends.", ((" a b\n", (), "a b"),)),
    "snakecase": Filter(
        snakecase, TEXT, "string", "Words joined by `_`, lower case.", (("Order Completed", (), "order_completed"),)
    ),
    "kebabcase": Filter(kebabcase, TEXT, "string", "Words joined by `-`, lower case.", (("orderID", (), "order-id"),)),
    "titlecase": Filter(
        titlecase,
        TEXT,
        "string",
        "Words joined by a space, each with a capital.",
        (("order_completed", (), "Order Completed"),),
    ),
    "slice": Filter(
        _slice,
        (*TEXT, *LIST),
        "any",
        "Characters or items from a to b (b not included; negative counts from the end).",
        (("abcdef", (1, 3), "bc"), ("abc", (-2,), "bc"), ([1, 2, 3], (0, 2), [1, 2])),
        ("integer", "integer"),
        1,
    ),
    "replace": Filter(
        str.replace,
        TEXT,
        "string",
        "Every a replaced by b, read as plain text.",
        (("a.b.c", (".", "-"), "a-b-c"),),
        ("text", "text"),
    ),
    "matches": Filter(
        patterns.matches,
        TEXT,
        "boolean",
        "Whether the whole text is as the pattern (RE2) says.",
        (("AB-12", (r"[A-Z]+-\d+",), True), ("xAB-12", (r"[A-Z]+-\d+",), False)),
        ("pattern",),
    ),
    "capture": Filter(
        patterns.capture,
        TEXT,
        "string",
        "The first group of the pattern's (RE2) first match, the match itself without groups; missing when there is none.",
        (
            ("/product/47/x", (r"/product/(\d+)",), "47"),
            ("a 12 b 3", (r"\d+",), "12"),
            ("ab", (r"(\d+)",), MISSING),
            ("ab", ("a(x)?",), MISSING),
        ),
        ("pattern",),
    ),
    "replace_pattern": Filter(
        patterns.replaced,
        TEXT,
        "string",
        "Every match of the pattern (RE2) replaced; `$1` is a group, `$0` the match, `$$` a `$`.",
        (
            ("2026-11-24", (r"(\d+)-(\d+)-(\d+)", "$3.$2.$1"), "24.11.2026"),
            ("a1b22", (r"\d", ""), "ab"),
            ("ab", ("", "-"), "-a-b-"),
            ("5", (r"\d", "$$$0"), "$5"),
        ),
        ("pattern", "replacement"),
    ),
    "split": Filter(
        _split,
        TEXT,
        "array",
        "A list of the parts between s.",
        (("a,b", (",",), ["a", "b"]), ("a", ("",), FAULT)),
        ("text",),
    ),
    "join": Filter(
        _join,
        LIST,
        "string",
        "The items' texts joined by s; nulls are left out.",
        ((["a", 1, None], ("-",), "a-1"),),
        ("text",),
    ),
    "first": Filter(
        _first,
        (*TEXT, *LIST),
        "any",
        "The first item or character; missing when there is none.",
        (([1, 2], (), 1), ([], (), MISSING)),
    ),
    "last": Filter(
        _last, (*TEXT, *LIST), "any", "The last item or character; missing when there is none.", (([1, 2], (), 2),)
    ),
    "length": Filter(
        len, (*TEXT, *LIST, "object"), "number", "How many characters, items or members.", (("é", (), 1), ([1], (), 1))
    ),
    "unique": Filter(
        _unique, LIST, "array", "The items without repeats; the first of each stays.", (([1, "1", 1], (), [1, "1"]),)
    ),
    "sum": Filter(
        arithmetic.total,
        LIST,
        "number",
        "The sum of a list of numbers; nulls are left out.",
        (([1, 2, None], (), 3), ([0.1, 0.2], (), values.Num("0.3")), (["a"], (), FAULT)),
    ),
    "map": Filter(
        _map,
        LIST,
        "array",
        "The value at a path in each item; items without one are left out.",
        (([{"a": 1}, {}], ("a",), [1]),),
        ("path",),
    ),
    "keys": Filter(list, ("object",), "array", "The names of an object's members.", (({"a": 1}, (), ["a"]),)),
    "values": Filter(
        lambda value: list(value.values()),
        ("object",),
        "array",
        "The values of an object's members.",
        (({"a": 1}, (), [1]),),
    ),
    "flatten": Filter(
        shaping.flatten,
        ("object",),
        "object",
        "Nested objects as one, names joined by sep; with `lists: true` lists too, their items by number.",
        (
            ({"a": {"b": 1}, "c": []}, (".",), {"a.b": 1, "c": []}),
            ({"a": [{"b": 1}, 2]}, (".",), {"a": [{"b": 1}, 2]}),
            ({"a": [{"b": 1}, 2], "c": [], "d": {}}, (".", True), {"a.0.b": 1, "a.1": 2, "c": [], "d": {}}),
        ),
        ("text", "flag"),
        1,
        "lists",
    ),
    "compact": Filter(
        shaping.compact,
        ANY,
        "any",
        'Without null, "", [] and {}, at every level; what is left empty by that is left out too.',
        (
            ({"a": None, "b": {"c": ""}, "d": [0, None, []], "e": False}, (), {"d": [0], "e": False}),
            ({"a": [{}]}, (), MISSING),
            ("", (), MISSING),
            ("x", (), "x"),
        ),
    ),
    "truncate_bytes": Filter(
        shaping.truncate_bytes,
        TEXT,
        "string",
        "The first n bytes of the text in UTF-8, no character in part.",
        (("aé€", (3,), "aé"), ("aé€", (5,), "aé"), ("aé€", (6,), "aé€"), ("é", (1,), "")),
        ("integer",),
    ),
    "cents": Filter(
        shaping.cents,
        TIMES,
        "number",
        "A hundred times the number, a whole one; halves to the even neighbour.",
        ((19.99, (), 1999), ("5", (), 500), (1.005, (), 100), (-0.5, (), -50), ("x", (), FAULT)),
    ),
    "json": Filter(
        lambda value: values.encode(value).decode(),
        ANY,
        "string",
        "Compact JSON text.",
        (({"a": 1}, (), '{"a":1}'), ("a", (), '"a"')),
    ),
    "from_json": Filter(
        _from_json, TEXT, "any", "The value of JSON text.", (('{"a":1}', (), {"a": 1}), ("{", (), FAULT))
    ),
    "string": Filter(
        lambda value: text_of(value, "string"),
        SCALARS,
        "string",
        "The text of a number (a whole one without fraction or exponent) or boolean.",
        ((1, (), "1"), (True, (), "true"), (values.Num("1.2345E4"), (), "12345"), (values.Num("1.50"), (), "1.50")),
    ),
    "number": Filter(
        values.to_number,
        TIMES,
        "number",
        "Text that is a JSON number as a number.",
        (("1.50", (), values.Num("1.50")), ("x", (), FAULT)),
    ),
    "integer": Filter(
        values.to_integer,
        TIMES,
        "number",
        "A number without a fraction as an integer.",
        (("2.0", (), 2), (1.5, (), FAULT)),
    ),
    "round": Filter(
        arithmetic.rounded,
        ("number",),
        "number",
        "Rounded to n digits, halves to the even neighbour.",
        ((2.5, (), 2), (1.256, (2,), values.Num("1.26"))),
        ("integer",),
        1,
    ),
    "default": Filter(
        lambda value, other: value,
        ANY,
        "any",
        'x for missing and null, never for "", 0 or false.',
        ((MISSING, ("x",), "x"), (None, ("x",), "x"), ("", ("x",), ""), (0, ("x",), 0)),
        ("any",),
    ),
    "datetime": Filter(
        values.to_datetime, TIMES, "string", "ISO 8601 text.", ((1700000000, (), "2023-11-14T22:13:20.000Z"),)
    ),
    "unix": Filter(
        values.to_unix, TIMES, "number", "Whole seconds since 1970.", (("2023-11-14T22:13:20Z", (), 1700000000),)
    ),
    "unix_ms": Filter(
        values.to_unix_ms, TIMES, "number", "Whole milliseconds since 1970.", ((1700000000, (), 1700000000000),)
    ),
    "unix_us": Filter(
        values.to_unix_us, TIMES, "number", "Microseconds since 1970.", ((1700000000, (), 1700000000000000),)
    ),
    "format_time": Filter(
        format_time,
        TIMES,
        "string",
        "A time in UTC by %Y %m %d %H %M %S %f %j %y %z %Z %%.",
        (("2026-11-24T01:02:03Z", ("%Y/%m/%d",), "2026/11/24"),),
        ("format",),
    ),
    "sha256": Filter(
        _hex("sha256"),
        SCALARS,
        "string",
        "SHA-256 of the UTF-8 text, lower-case hex.",
        (("", (), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),),
    ),
    "md5": Filter(
        _hex("md5"),
        SCALARS,
        "string",
        "MD5 of the UTF-8 text, lower-case hex.",
        (("", (), "d41d8cd98f00b204e9800998ecf8427e"),),
    ),
    "hmac_sha256": Filter(
        _hmac,
        SCALARS,
        "string",
        "HMAC-SHA256 with a key, lower-case hex.",
        (("a", ("k",), "78da91511e675587f5b9df78bedebaf5560da2abb88162ee875dcdf744951d9e"),),
        ("text",),
    ),
    "base64": Filter(
        lambda value: base64.b64encode(text_of(value, "base64").encode()).decode(),
        SCALARS,
        "string",
        "Base64 of the UTF-8 text.",
        (("a", (), "YQ=="),),
    ),
    "url": Filter(
        lambda value: quote(text_of(value, "url"), safe=""),
        SCALARS,
        "string",
        "Percent-encoded.",
        (("a b/c", (), "a%20b%2Fc"),),
    ),
    "digits": Filter(
        lambda value: re.sub(r"[^0-9]", "", text_of(value, "digits")),
        TIMES,
        "string",
        "Only the digits 0 to 9.",
        (("+49 (30) 1", (), "49301"),),
    ),
    "e164": Filter(
        phones.e164,
        TIMES,
        "string",
        "A phone number as `+` and digits; one without a prefix is of the country. Needs `waypost[phone]`.",
        (
            ("+49 (30) 123456", ("DE",), "+4930123456"),
            ("+49 30 123456", ("US",), "+4930123456"),
            ("x", ("DE",), FAULT),
            ("1", ("DE",), FAULT),
        ),
        ("text",),
    ),
    "hash_id": Filter(
        _hash_id,
        SCALARS,
        "string",
        "The first n characters of the lower-case base32 SHA-256.",
        (("a", (8,), "zklycewk"),),
        ("integer",),
    ),
    "uuid5": Filter(
        lambda value: str(uuid.uuid5(NAMESPACE, text_of(value, "uuid5"))),
        SCALARS,
        "string",
        "A UUID (version 5, in Waypost's namespace) of the text.",
        (("a", (), "952d96ba-5856-5a72-b9e5-f92d802f96c9"),),
    ),
    "ulid": Filter(
        _ulid,
        SCALARS,
        "string",
        "A ULID of the text at a time.",
        (("a", ("2026-11-24T00:00:00Z",), "01M85DMB00SABR24PA3EYWNYP2"),),
        ("any",),
    ),
}
"""Every filter by name."""
