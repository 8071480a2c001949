"""Random specs that read the event wherever the language allows, with setting values for them.

Takes a seed; gives YAML texts and plans. Used by fuzz.py. What is written is mostly right: `written` and `refused` count how much of it the
compiler takes, for a generator that writes only what is refused tests nothing.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from waypost import plan as p
from waypost.compiler.pipeline import compile_text

TEXT_FIELDS = ("a", "b", "id", "list_id", "at", "name")
OBJECT_FIELDS = ("o", "q")
LIST_FIELDS = ("rows", "words", "nums")
FIELDS = (*TEXT_FIELDS, "n", *OBJECT_FIELDS, *LIST_FIELDS)
ROOTS = ("properties", "traits", "context")
ANYTHING = "any"
FILTERS = {
    **dict.fromkeys(("lower", "upper", "trim", "snakecase", "kebabcase", "titlecase", "replace('a', 'b')", "sha256", "md5"), ("text", "text")),
    **dict.fromkeys(("replace_pattern('(a|b)', '$1$0')", "capture('(.)b')", "truncate_bytes(3)", "url", "digits"), ("text", "text")),
    **dict.fromkeys(("base64", "e164('DE')", "hash_id(8)", "uuid5", "ulid(event.timestamp)", "hmac_sha256('k')"), ("text", "text")),
    **dict.fromkeys(("slice(0, 3)", "slice(-2)"), ("text list", ANYTHING)),
    **dict.fromkeys(("first", "last"), ("text list", ANYTHING)),
    **dict.fromkeys(("split(',')",), ("text", "list")),
    **dict.fromkeys(("unique", "map('a')"), ("list", "list")),
    **dict.fromkeys(("join(',')",), ("list", "text")),
    **dict.fromkeys(("sum",), ("list", "number")),
    **dict.fromkeys(("length",), ("text list object", "number")),
    **dict.fromkeys(("keys", "values"), ("object", "list")),
    **dict.fromkeys(("flatten('.')", "flatten('_')", "flatten('.', lists: true)"), ("object", "object")),
    **dict.fromkeys(("compact",), ("text list object number", ANYTHING)),
    **dict.fromkeys(("json",), ("text list object number", "text")),
    **dict.fromkeys(("from_json",), ("text", ANYTHING)),
    **dict.fromkeys(("string",), ("text number", "text")),
    **dict.fromkeys(("number", "integer", "round(2)", "cents"), ("number", "number")),
    **dict.fromkeys(("default('x')", "default(0)"), ("", ANYTHING)),
    **dict.fromkeys(("datetime", "format_time('%Y')"), ("number", "text")),
    **dict.fromkeys(("unix", "unix_ms", "unix_us"), ("", "number")),
    **dict.fromkeys(("matches('[a-z]+')",), ("text", ANYTHING)),
}  # fmt: skip
"""What each takes and gives, as far as the compiler would say that it never holds."""
TYPES = ("string", "number", "integer", "boolean", "object", "array", "datetime", "unix", "unix_ms", "unix_us")
FORMATS = ("email", "uri", "date", "datetime", "ipv4", "ipv6", "uuid", "e164", "hostname")
CHECKS = (
    *("required: true", "empty: omit", "nulls: keep", "nulls: empty", "nulls: omit", "max_length: 5", "max_bytes: 5", "default: x"),
    *("single: wrap", "pattern: '[a-z]*'", "enum: [a, news, 5]", "default: {$literal: 1}", "default: []", "max_age: 5d", "max_ahead: 1h"),
    *("filter: trim", 'filter: "string | lower"', "filter: compact", "filter: \"first | default('x')\"", "filter: length"),
    *(f"format: {name}" for name in FORMATS),
)  # fmt: skip
NAMED = ("v0", "v1")
SETTINGS = """settings:
  names: {type: list, label: Names, of: {type: string}}
  numbers: {type: list, label: Numbers, of: {type: number}}
  table: {type: map, label: Table, value: {type: string}}
  absent: {type: map, label: None, value: {type: string}, optional: true}
  tables:
    type: map
    label: Tables
    value: {x: {type: string, optional: true}, n: {type: number, optional: true}}
  rows:
    type: list
    label: Rows
    of: {from: {type: string}, to: {type: string, optional: true}, on: {type: boolean, default: false}}
  text: {type: string, label: Text, optional: true}
  region: {label: Region, default: eu, choices: {eu: {label: EU, extra: {X-R: eu, r: 1}}, us: {label: US, extra: {X-R: us}}}}
""".splitlines()  # fmt: skip
WORDS = (
    *("a", "b", "news", "A", "id", "name", "a.b", "x y", 'q"', "é", "true", "1.5", "5", "$literal"),
    *("$item", "{{ event.a }}", "__class__", "x\\", "r\u2028s", "😀", "o", "n", "direct"),
)  # fmt: skip


def setting_values(rng: random.Random) -> dict[str, Any]:
    """Values as a connection holds them: few, none, and many."""

    def words(most: int = 6) -> list[str]:
        return [rng.choice(WORDS) for _ in range(rng.choice((0, 1, 3, most, 150 if rng.random() < 0.2 else 2)))]

    rows = [{"from": rng.choice(WORDS), **({"to": rng.choice(WORDS)} if rng.random() < 0.7 else {})} for _ in words(3)]
    found: dict[str, Any] = {
        "names": words(),
        "numbers": [rng.choice((0, 1, 5, -1, 1.5, 2**53, 1e300)) for _ in range(rng.randrange(4))],
        "table": {word: rng.choice(WORDS) for word in words()},
        "tables": {word: rng.choice(({}, {"x": "a"}, {"x": " ", "n": 1.5})) for word in words(3)},
        "rows": rows,
        "region": rng.choice(("eu", "us")),
    }
    if rng.random() < 0.5:
        found["absent"] = {"a": "b"}
    if rng.random() < 0.5:
        found["text"] = rng.choice(WORDS[:12])
    return found


class Values:
    """Writes values, in flow style. State: the random numbers, and which names `values` has."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.named: list[str] = []

    def path(self, kind: str = "") -> str:
        rng = self.rng
        if kind == "object":
            return rng.choice((*ROOTS, *(f"{root}.{field}" for root in ROOTS for field in OBJECT_FIELDS)))
        if kind == "list":
            return f"{rng.choice(ROOTS)}.{rng.choice(LIST_FIELDS)}"
        if kind == "text" or rng.random() < 0.6:
            own = ("userId", "event", "timestamp", "messageId")
            return rng.choice((*own, *(f"{root}.{field}" for root in ROOTS for field in TEXT_FIELDS)))
        return f"{rng.choice(ROOTS)}.{rng.choice(FIELDS)}"

    def code(self, *, now: bool = False, kind: str = "") -> str:
        """What stands in braces."""
        rng = self.rng
        text = f"event.{self.path(kind)}"
        text += self.filters(rng.choice((0, 0, 0, 0, 1, 1, 2, 3)))
        roll = rng.random()
        if roll < 0.06:
            text = f"({text}) {rng.choice('+-*/')} ({rng.choice((f'event.{self.path()}', '7', '0', 'event.properties.n'))})"
        elif now and roll < 0.12:
            text = f"({text}) {rng.choice('+-')} (now | unix)"
        elif roll < 0.16:
            text = rng.choice(
                ("settings.names | join(',')", "settings.text | default('t')", "settings.region", "meta.id")
            )
        return text

    def filters(self, count: int) -> str:
        """A chain, in which each may take what the one before it mostly gives."""
        text, held = "", ANYTHING
        for _ in range(count):
            name = self.rng.choice([name for name, (takes, _) in FILTERS.items() if held in takes or held == ANYTHING])
            text, held = f"{text} | {name}", FILTERS[name][1]
        return text

    def text(self, *, now: bool = True) -> str:
        """A text position."""
        rng = self.rng
        pieces = [rng.choice(("", "a-")), "{{ " + self.code(now=now, kind="text") + " }}"]
        if rng.random() < 0.3:
            pieces += ["-", "{{ " + self.code() + " }}"]
        return json.dumps("".join(pieces))

    def value(self, depth: int = 0, *, now: bool = False, item: bool = False, key: bool = False) -> str:
        """A value position. `item`: within a loop; `key`: where the entry's name may be read too."""
        rng = self.rng
        kinds = ["path", "path", "code", "text", "from", "from", "const"]
        if depth < 3:
            kinds += [*self._written(), "from", *(["use"] if self.named and not item else [])]
        kind = rng.choice(kinds)

        def inner() -> str:
            return self.value(depth + 1, now=now, item=item, key=key)

        if kind == "path":
            return self._path(item, key)
        if kind == "code":
            if key and rng.random() < 0.3:
                return '"{{ key | upper }}"'
            code = self.code(now=now)
            return f"$.{code[6:]}" if re.fullmatch(r"event\.[\w.]+", code) else json.dumps("{{ " + code + " }}")
        if kind == "text":
            return self.text(now=now)
        if kind == "const":
            return rng.choice(("3", "true", "null", "{$literal: x}", "1.5", '{$literal: ["$x", {a: "{{ b }}"}]}'))
        if kind == "use":
            return f"{{$use: {rng.choice(self.named)}}}"
        return getattr(self, f"_{kind}")(inner, depth, item, now)  # type: ignore[no-any-return]

    def _written(self) -> tuple[str, ...]:
        return ("object", "merge", "list", "first", "pick", "drop", "each", "each", "find", "get", "when", "lookup")

    def _path(self, item: bool, key: bool) -> str:
        rng = self.rng
        if key and rng.random() < 0.2:
            return "$key"
        if item and rng.random() < 0.6:
            return rng.choice(("$item", "$item.a", "$item.b", "$item.o", '"$item.rows[0]"'))
        path = f"$.{self.path()}"
        return rng.choice((path, path, path, f'"{path}[0]"', f'"{path}[*].a"', "$.properties", "$"))

    def _from(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        rng = self.rng
        checks = [f"type: {rng.choice(TYPES)}, invalid: {rng.choice(('error', 'omit', 'omit'))}"]
        if rng.random() < 0.4:
            checks = []
        kind = checks[0].split(":")[1].split(",")[0].strip() if checks else ""
        for check in rng.sample(CHECKS, rng.randrange(3)):
            word = check.split(":")[0]
            fits = kind in {
                "single": ("array",),
                "enum": ("", "string"),
                "pattern": ("", "string"),
                "format": ("", "string"),
            }.get(word, (kind,))
            if fits and not any(held.split(":")[0] == word for held in checks):
                checks.append(check)
        of = f"$.{self.path('text')}" if rng.random() < 0.6 else inner()
        return f"{{$from: {of}, {', '.join(checks or ['empty: omit'])}}}"

    def _object(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        keys = self.rng.sample((*FIELDS, "$$k", '"x y"'), self.rng.randrange(1, 3))
        return "{" + ", ".join(f"{key}: {inner()}" for key in keys) + "}"

    def objects(self, item: bool = False) -> str:
        """What mostly is an object."""
        rng = self.rng
        if item and rng.random() < 0.4:
            return rng.choice(("$item", "$item.o"))
        if rng.random() < 0.15:
            return rng.choice(('"{{ settings.table }}"', '"{{ settings.absent }}"', '"{{ settings.region.extra }}"'))
        return f"$.{self.path('object')}"

    def small(self) -> str:
        """What mostly is an object of texts and numbers."""
        rng = self.rng
        return f"$.{rng.choice(ROOTS)}.{rng.choice(OBJECT_FIELDS)}" if rng.random() < 0.9 else self.objects()

    def names(self) -> str:
        rng = self.rng
        held = ('"{{ settings.names }}"', '"{{ settings.table }}"', '"{{ settings.absent }}"')
        return rng.choice(held) if rng.random() < 0.4 else f"[{', '.join(rng.sample(FIELDS, 3))}]"

    def _merge(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        rng = self.rng
        last = f"{rng.choice(FIELDS)}: {rng.choice((inner(), '$omit'))}"
        first = inner() if rng.random() < 0.2 else self.objects(item)
        return f"{{$merge: [{first}, {self.objects(item)}], {last}}}"

    def _list(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        return f"[{inner()}, {inner()}]"

    def _first(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        return f"{{$first: [{self._path(item, False)}, {inner()}]}}"

    def _pick(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        return f"{{$pick: {self.objects(item)}, keys: {self.names()}}}"

    def _drop(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        return f"{{$drop: {self.objects(item)}, keys: {self.names()}}}"

    def _each(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        rng = self.rng
        if rng.random() < 0.15:
            to = rng.choice(("$item.from", "{f: $item.from, t: $item.to, e: $.event}", "$item.on", '"{{ item.to }}"'))
            where = rng.choice(("", ", where: 'item.on = false'", ", where: 'item.from = event'"))
            return f'{{$each: "{{{{ settings.rows }}}}", to: {to}{where}}}'
        of = f"$.{self.path(rng.choice(('list', 'list', 'list', 'object', '')))}"
        if item and rng.random() < 0.3:
            of = rng.choice(("$item.rows", "$item.o"))
        more = f", where: {self.test(rng.choice(('item.a', 'item', 'key')))}" if rng.random() < 0.4 else ""
        more += rng.choice(
            (
                "",
                "",
                ", single: wrap",
                ", single: wrap, key: $item.a",
                ", key: $key",
                ", key: $item",
                ', key: "{{ key | lower }}"',
            )
        )
        return f"{{$each: {of}, to: {self.value(depth + 1, now=now, item=True, key=True)}{more}}}"

    def _find(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        of = f"$.{self.path(self.rng.choice(('list', 'list', 'object')))}"
        to = f", to: {self.value(depth + 1, now=now, item=True, key=True)}" if self.rng.random() < 0.7 else ""
        return f"{{$find: {of}, where: {self.test(self.rng.choice(('item', 'item.a', 'key')))}{to}}}"

    def _get(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        key = inner() if self.rng.random() < 0.3 else f"$.{self.path('text')}"
        return f"{{$get: {self.objects(item)}, key: {key}}}"

    def _when(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        path = self.rng.choice(("item.a", "item")) if item and self.rng.random() < 0.5 else self.path()
        other = f", else: {inner()}" if self.rng.random() < 0.7 else ""
        return f"{{$when: {self.test(path)}, then: {inner()}{other}}}"

    def _lookup(self, inner: Callable[[], str], depth: int, item: bool, now: bool) -> str:
        table = self.rng.choice(
            ("{x: 1, a: {b: c}, news: [1]}", '"{{ settings.table }}"', '"{{ settings.tables }}"', "{a: {$literal: $x}}")
        )
        other = f", else: {inner()}" if self.rng.random() < 0.7 else ""
        return f"{{$lookup: {self._path(item, False)}, in: {table}{other}}}"

    def test(self, path: str) -> str:
        tests = (
            *(f"{path} = 1", f'{path} != "a"', f"{path} > 5", f'contains({path}, "a")', f"length({path}) > 1", f'match({path}, "a*")'),
            *(f'"a" in {path}', f'typeof({path}) = "string"', f'lowercase({path}) = "a"', f"number({path}) > 2", f'{path} in ["a", 1]'),
            *(f"{path} in settings.names", f"!({path} in settings.table)", f"{path} in settings.numbers or {path} = null"),
            *("length(settings.names) = 0", f"contains(settings.text, {path})", f"bool({path}) = true", f"{path} != null"),
        )  # fmt: skip
        return "'" + self.rng.choice(tests) + "'"


class Specs(Values):
    """Writes specs. State: the random numbers, and how many were written and refused, by rule."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.written, self.refused = 0, Counter[str]()

    def spec(self) -> str:
        rng = self.rng
        self.named = []
        body = rng.choice(("json", "json", "json", "json", "lists", "lists", "form", "lines", "lines", "text", "none"))
        actions = 2 if body == "lists" else rng.choice((1, 1, 2))
        many = body in ("lists", "lines") or (body == "json" and rng.random() < 0.7)
        now = rng.random() < 0.5
        rows = ["spec: 1", "name: fuzz", *SETTINGS]
        head = len(rows)
        rows += ["auth:", "  bearer: fixed", "  query: {key: fixed}"]
        rows += ["request:", *self._url(rng.choice(("post", "put", "patch")))]
        rows += self._objects(now)
        body_rows, many, sends = self._body(body, many, now)
        if sends and rng.random() < 0.4:
            rows[head:head] = ["values:", *(f"  {name}: {self.value(1)}" for name in NAMED)]
            self.named = list(NAMED)
        rows += body_rows
        if many:
            rows.append(f"  batch: {self._batch(body)}")
        rows += self._responses(body, many, sends)
        rows.append("  gzip: true" if rng.random() < 0.2 and body != "none" else "  timeout: 5s")
        rows.append("actions:")
        for number in range(actions):
            rows += self._action(number, sends)
        return "\n".join(rows) + "\n"

    def _url(self, method: str) -> list[str]:
        rng = self.rng
        parts = ("x", "{{ event." + self.path("text") + " }}", json.loads(self.text(now=False)))
        path = "/".join(rng.choice(parts) for _ in range(rng.randrange(1, 3)))
        return [f"  {method}: {json.dumps('https://example.com/v1/' + path)}"]

    def _objects(self, now: bool) -> list[str]:
        """Headers and query: maps, or objects that come from somewhere."""
        rng = self.rng
        rows = []
        for word, names in (("headers", ("X-A", "X-B")), ("query", ("q", "r"))):
            if rng.random() < 0.4:
                continue
            written = ", ".join(f"{name}: {self.text(now=now)}" for name in names)
            kind = rng.choice(("map", "map", "path", "merge", "pick", "setting"))
            rows.append(
                {
                    "map": f"  {word}: {{{written}}}",
                    "path": f"  {word}: {self.small()}",
                    "merge": f"  {word}: {{$merge: [{self.small()}, {self.small()}], {written}, a: $omit}}",
                    "pick": f"  {word}: {{{rng.choice(('$pick', '$drop'))}: {self.small()}, keys: {self.names()}}}",
                    "setting": f'  {word}: "{{{{ settings.region.extra }}}}"',
                }[kind]
            )
        return rows

    def _body(self, kind: str, many: bool, now: bool) -> tuple[list[str], bool, bool]:
        """The rows, whether batches are sent, and whether messages are sent at all."""
        rng = self.rng
        held = "$messages" if many else "$message"
        members = [f"{key}: {self.value(now=now)}" for key in rng.sample(("c0", "c1", "c2"), rng.randrange(3))]
        if kind == "json":
            sent = rng.choice((held, f"{{deep: [{{x: {held}}}]}}" if rng.random() < 0.3 else held))
            members.insert(rng.randrange(len(members) + 1), f"sent: {sent}")
            return ["  body: {" + ", ".join(members) + "}"], many, True
        if kind == "lists":
            lists = ["events: {$messages: [act_0]}", "people: {$messages: [act_1]}"]
            return ["  body: {" + ", ".join(members + lists) + "}"], True, True
        if kind == "lines":
            return ["  lines: $messages"], True, True
        if kind == "form":
            written = ", ".join(f"{key}: {self._shallow()}" for key in rng.sample(FIELDS, 2))
            forms = (
                ("$message", False, True),
                ("{data: $messages, k: x}", True, True),
                (f"{{{written}}}", False, False),
            )
            text, batches, sends = rng.choice(forms)
            return [f"  form: {text}"], batches, sends
        if kind == "text":
            return [f"  text: {self.text(now=now)}", "  content_type: text/plain"], False, False
        return [], False, False

    def _shallow(self) -> str:
        """A value that a form takes, mostly."""
        rng = self.rng
        path = f"$.{self.path('text')}"
        kinds = (
            path,
            self.text(),
            f"[a, {path}]",
            f"$.{self.path('list')}",
            f"{{$from: {path}, type: string, invalid: omit}}",
        )
        return rng.choice(kinds).replace("[a, ", "[{$literal: a}, ")

    def _batch(self, body: str) -> str:
        rng = self.rng
        most = str(rng.choice((1, 3, 50)))
        if body == "lists" and rng.random() < 0.5:
            most = f"{{events: {rng.choice((1, 4))}, people: {rng.choice((1, 7))}}}"
        more = ", max_message_bytes: 1kB" if rng.random() < 0.3 else ""
        return f"{{max_messages: {most}, max_bytes: {rng.choice(('2kB', '1MB'))}{more}, max_wait: 1s}}"

    def _responses(self, body: str, many: bool, sends: bool) -> list[str]:
        rng = self.rng
        rows = ["  responses:", '    202: [{if: body.e = "x", then: reject}]']
        if not (sends and many and rng.random() < 0.7):
            return [*rows, f"    400: {'split' if many else 'reject'}"]
        where = rng.choice(
            ("", "", ", where: 'item.code != 3'", ", where: 'item.n in [1, \"a\"]'", ", where: 'status > 1'")
        )
        reason = rng.choice(
            ("", ", reason: $item.message", ', reason: "{{ item.code }} {{ item.a | upper }}"', ", reason: $item")
        )
        ends = (
            "reject",
            "reject",
            "retry",
            "ok",
            '[{if: item.code = "busy", then: retry}, {if: item.n = 1, then: ok}, reject]',
        )
        at = rng.choice(
            ("$body.errors", "$body.errors", "$body.failed", "[$body.errors, $body.failed]", "$body.a.b", "$body")
        )
        who = rng.choice(
            ("index: $item.index", "index: $item.index", "index: $item", "index: \"{{ item.p | split('/') | last }}\"")
        )
        if body == "lists":
            who += rng.choice((", list: $item.list", ", list: {$literal: events}", ", list: people"))
        elif rng.random() < 0.4:
            who = rng.choice(("value: $item.id, of: id", "value: $item, of: id", "value: $item.ids, of: id"))
        for status in rng.sample((200, 207, 400, 422), rng.randrange(2, 5)):
            rest = rng.choice(("ok", "retry", "reject")) if status == 400 else "ok"
            rows.append(
                f"    {status}: {{results: {{at: {at}, {who}{where}{reason}, then: {rng.choice(ends)}}}, rest: {rest}}}"
            )
        return rows

    def _action(self, number: int, sends: bool) -> list[str]:
        rng = self.rng
        triggers = (
            *("type = \"track\"", "userId != null", 'type = "track" and (length(settings.names) = 0 or !(event in settings.names))'),
            *("type = \"track\" or event in settings.table",),
        )  # fmt: skip
        rows = [f"  act_{number}:", f"    trigger: {rng.choice(triggers)}"]
        if rng.random() < 0.25:
            rows.append(
                f"    each: {rng.choice(('$.properties.rows', '$.context.words', '$.traits.o', '$.properties.a'))}"
            )
            if rng.random() < 0.4:
                rows.append(f"    where: {self.test('item.a')}")
        elif rng.random() < 0.1:
            rows.append(f"    where: {self.test(self.path())}")
        if rng.random() < 0.15:
            rows.append(f"    require: [{{any: [id], if: {self.test(self.path())}}}]")
        if rng.random() < 0.1 and sends:
            rows.append(f"    request: {{headers: {{X-C: {self.text()}}}}}")
        if sends:
            own = f"$.{self.path('text')}" if rng.random() < 0.6 else '"{{ meta.id }}"'
            fields = [
                f"id: {own}",
                *(f"{name}: {{$use: {name}}}" for name in self.named),
                *(f"{key}: {self.value()}" for key in rng.sample(("a", "b", "c", "o", "n"), rng.randrange(4))),
            ]
            rows.append("    mapping: {" + ", ".join(fields) + "}")
        return rows

    def plan(self) -> p.Plan:
        """A plan of a spec that the compiler takes; in some, messages have an order."""
        while True:
            self.written += 1
            text = self.spec()
            plan, report = compile_text(text, "fuzz/destination.yaml")
            if plan is None:
                self.refused.update({one.code for one in report.diagnostics if one.severity == "error"})
                continue
            if self.rng.random() < 0.3:
                order = p.Path(path=f"$.{self.path()}")
                connection = p.Connection(name="fuzz", order_by=order)
                plan = p.seal(msgspec.structs.replace(plan, connection=connection))
            return plan
