"""What people who know other systems write, and the word of this language for it.

Takes a word and the words that are legal; gives one of them, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "when": ("trigger",),
    "if": ("trigger",),
    "condition": ("trigger", "if"),
    "filter": ("trigger", "where"),
    "subscribe": ("trigger",),
    "events": ("trigger",),
    "fields": ("mapping",),
    "map": ("mapping",),
    "url": ("post",),
    "endpoint": ("post",),
    "json": ("body",),
    "params": ("query",),
    "size": ("max_messages",),
    "count": ("max_messages",),
    "max_size": ("max_bytes",),
    "interval": ("max_wait",),
    "attempts": ("for",),
    "times": ("for",),
    "retries": ("retry",),
    "max_retries": ("retry",),
    "backoff": ("max_wait", "retry"),
    "rate_limit": ("rate",),
    "parameters": ("settings",),
    "config": ("settings",),
    "authentication": ("auth",),
    "token": ("bearer",),
    "api_key": ("headers",),
    "user": ("username",),
    "pass": ("password",),
    "enum": ("choices",),
    "options": ("choices",),
    "extends": ("like", "use"),
    "disabled": ("enabled",),
    "path": ("at",),
    "errors": ("at", "results"),
    "position": ("index",),
    "idx": ("index",),
    "id": ("value",),
    "field": ("of",),
    "message": ("reason",),
    "others": ("rest",),
    "else": ("rest",),
    "default": ("rest",),
    "outcome": ("then",),
}
"""A key elsewhere -> ours; the first that is legal at the place counts."""

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "str": ("string",),
    "text": ("string",),
    "int": ("integer",),
    "float": ("number",),
    "double": ("number",),
    "bool": ("boolean",),
    "dict": ("object",),
    "map": ("object",),
    "list": ("array", "wrap"),
    "array": ("wrap",),
    "true": ("wrap",),
    "date": ("datetime",),
    "date-time": ("datetime",),
    "time": ("datetime",),
    "url": ("uri",),
    "guid": ("uuid",),
    "phone": ("e164",),
    "tel": ("e164",),
    "ip": ("ipv4",),
    "domain": ("hostname",),
    "host": ("hostname",),
    "iso8601": ("datetime",),
    "timestamp": ("unix", "datetime"),
    "epoch": ("unix",),
    "password": ("string",),
    "secret": ("string",),
    "uri": ("url",),
    "success": ("ok",),
    "delivered": ("ok",),
    "ignore": ("reject",),
    "drop": ("reject",),
    "discard": ("reject",),
    "fail": ("reject",),
    "abort": ("stop",),
    "backoff": ("throttle",),
    "partial": ("split",),
    "tracking": ("analytics",),
    "cdp": ("warehouse",),
    "storage": ("warehouse",),
    "data warehouses": ("warehouse",),
    "sales": ("crm",),
    "ads": ("advertising",),
    "email": ("messaging",),
    "email marketing": ("messaging",),
    "marketing": ("messaging",),
    "push": ("messaging",),
    "sms": ("messaging",),
    "chat": ("messaging",),
    "helpdesk": ("support",),
    "misc": ("other",),
}
"""A word for a value elsewhere -> ours."""

OPERATORS: Final[dict[str, str]] = {
    "$map": "$each",
    "$foreach": "$each",
    "$for": "$each",
    "$ref": "$use",
    "$value": "$use",
    "$var": "$use",
    "$member": "$get",
    "$index": "$get",
    "$filter": "$each",
    "$where": "$find",
    "$coalesce": "$first",
    "$if": "$when",
    "$cond": "$when",
    "$switch": "$lookup",
    "$case": "$lookup",
    "$const": "$literal",
}
"""An operator elsewhere -> ours."""

ADVICE: Final[dict[str, str]] = {
    "method": "the key is the method: `post: https://…`",
    "url": "the key is the method: `post: https://…`",
    "required": "a setting is required unless it has a `default` or `optional: true`",
    "password": "a setting that is not shown is `{type: string, secret: true}`",
    "secret": "a setting that is not shown is `{type: string, secret: true}`",
    "attempts": "retries are limited by time: `retry: {for: 4h}`",
    "times": "retries are limited by time: `retry: {for: 4h}`",
    "timestamp": "a time is of the form that is sent: `datetime` (ISO 8601), `unix` (seconds), `unix_ms` or `unix_us`",
    "api_key": 'write `headers: {x-api-key: "{{ settings.… }}"}` or `query: …`',
    "token": 'write `bearer: "{{ settings.… }}"`',
    "partial": "an answer that names messages is read by `results`; `split` finds the refused ones where it names none",
    "disabled": "write `enabled: false`",
    "events": 'write `trigger: type = "track"`',
}
"""What to say beside it."""


def meant(word: str, known: Iterable[str], table: dict[str, tuple[str, ...]]) -> str | None:
    """The legal word that another system's word stands for."""
    legal = set(known)
    return next((ours for ours in table.get(word.lower(), ()) if ours in legal), None)
