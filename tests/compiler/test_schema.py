"""The editors' schema: never narrower than the reader, and it catches what a schema can."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from conftest import CASES, ROOT
from waypost.authoring.test import cases
from waypost.cli.schema import schema_text
from waypost.compiler.pipeline import compile_text
from waypost.compiler.read import connections_file, request, responses, settings_block, signing, spec_reader, tokens
from waypost.compiler.read.operators import OPERATORS
from waypost.compiler.schema import json_schema
from waypost.compiler.schema.vocabulary import DOCS
from waypost.lang.formats import TEXT_FORMATS
from waypost.lang.values import TYPES

DESTINATION = Draft202012Validator(json_schema.destination())
TESTS = Draft202012Validator(json_schema.tests())
CONNECTIONS = Draft202012Validator(json_schema.connections())
SPECS = sorted((ROOT / "specs").glob("*/destination.yaml"))

PLACES = {
    "a spec": spec_reader.TOP,
    "a setting": settings_block.SETTING,
    "a part of a setting": settings_block.PART,
    "a field": settings_block.FIELD,
    "`key`": settings_block.KEY,
    "an action": spec_reader.ACTION,
    "a shared block": spec_reader.BLOCK,
    "an item of `require`": spec_reader.REQUIRE,
    "the request": request.REQUEST,
    "the check": request.PROBE,
    "`auth`": request.AUTH_KINDS,
    "`basic`": request.BASIC,
    "`batch`": request.BATCH,
    "`rate`": request.RATE,
    "`retry`": request.RETRY,
    "`dedupe`": request.DEDUPE,
    "a response rule": responses.RULE,
    "a reader of `results`": responses.READER,
    "the outcome": responses.OUTCOMES,
    "the category": spec_reader.CATEGORIES,
    "the type of a setting": settings_block.SETTING_TYPES,
    "the type of a value": tuple(TYPES),
    "the format of a text": tuple(TEXT_FORMATS),
    "a value": tuple(OPERATORS),
    **{f"`{name}`": words for name, words in OPERATORS.items() if words},
    "a connections file": connections_file.TOP,
    "a connection": connections_file.CONNECTION,
    "`tls`": connections_file.TLS,
    "a source": connections_file.SOURCE,
    "a test": cases.TEST,
    "a reply": cases.REPLY,
    "an expectation": cases.EXPECT,
    "`oauth2`": tokens.WORDS,
    "the grant of a token": tokens.GRANTS,
    "the client of a token": tokens.CLIENTS,
    "`sign`": signing.SIGN,
    "the key of a signature": signing.KEY_FORMS,
    "the encoding of a signature": signing.ENCODINGS,
}
"""What the reader takes at each place: the other side of vocabulary.py."""


def loaded(text: str) -> Any:
    """The document as an editor sees it: keys are text, dates are text."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value if isinstance(value, (int, float, bool, str)) or value is None else str(value)

    return plain(YAML(typ="safe", pure=True).load(text))


def faults(text: str, validator: Draft202012Validator = DESTINATION) -> list[str]:
    return [error.message for error in validator.iter_errors(loaded(text))]


def test_schemas_are_schemas() -> None:
    for held in (json_schema.destination(), json_schema.tests(), json_schema.connections()):
        Draft202012Validator.check_schema(held)


@pytest.mark.parametrize("place", PLACES)
def test_every_word_of_the_reader_has_its_line(place: str) -> None:
    assert set(DOCS[place]) == set(PLACES[place])


def test_the_table_has_no_other_places() -> None:
    assert set(DOCS) == {*PLACES, "a tests file"}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_shipped_specs_are_valid(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []
    assert faults(path.with_name("tests.yaml").read_text(encoding="utf-8"), TESTS) == []


def test_whatever_compiles_is_valid() -> None:
    """The specs of the suite that compile, and of the rules' bad examples those whose fault a schema cannot see."""
    readme = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    texts = [(CASES / "good.yaml").read_text(encoding="utf-8"), *readme]
    texts += [row["text"] for row in YAML(typ="safe", pure=True).load(PLENTY)]
    for text in texts:
        plan, report = compile_text(text, "x.yaml")
        assert plan is not None, [(item.code, item.message) for item in report.diagnostics]
        assert faults(text) == []


PLENTY = r"""
- text: |
    spec: 1
    name: plenty-of_words
    title: Plenty
    x-note: {any: thing}
    settings:
      key: {type: string, secret: true, label: Key}
      host: {type: url, optional: true, default: "https://example.com"}
      many: {type: integer, default: 3}
      plan: {choices: {free: {label: Free, rank: 1}, paid: {label: Paid, rank: 2}}, default: free}
    auth:
      headers: {x-key: "{{ settings.key }}", revision: 2026-07-15}
      query: {v: 1}
      body: {token: "{{ settings.key }}"}
    check: {get: "https://example.com/check", headers: {accept: application/json}}
    request:
      post: "{{ settings.host }}/v1/{{ event.type }}"
      query: {many: "{{ settings.many }}", plan: "{{ settings.plan.rank }}"}
      body: {data: $messages, at: "{{ now | unix_ms }}"}
      timeout: 10s
      concurrency: 2
      batch: {max_messages: 10, max_bytes: 1MB, max_message_bytes: 32KiB, max_wait: 500ms}
      rate: [{requests: 10/s}, {messages: 1000/m}]
      retry: {for: 1h, wait_from: [Retry-After, X-Reset], max_wait: 10m}
      dedupe: {by: [id], within: 24h}
      responses:
        400: [{if: 'body.code = "full"', then: stop}, reject]
        4xx: reject
        unanswered: reject
        207: {results: {at: $body.errors, index: $item.index, reason: it is invalid, then: reject}, rest: ok}
        206: {results: {at: $body.errors, value: $item, of: id, reason: $item.why, then: reject}, rest: ok}
    shared:
      base:
        require: [{any: [id, user], if: userId != null, message: an id is needed}]
        mapping:
          id: "{{ meta.id }}"
          user: {$first: [$.userId, $.anonymousId]}
          note: {$literal: hello}
    actions:
      send:
        trigger: type = "track"
        use: base
        enabled: true
        mapping:
          note: $omit
          $$set: {$pick: $.traits, keys: [a, b]}
          all: {$merge: [$.traits, $.properties], extra: 1, gone: $omit}
          at: {$from: $.timestamp, type: unix, max_age: 7d, max_ahead: 1h, invalid: omit, nulls: keep, empty: omit}
          level: {$from: $.properties.level, enum: [low, high], default: low}
          items: {$each: $.properties.items, to: {id: $item.id}, where: item.id != null}
          kind: {$when: properties.total > 10, then: {$literal: big}, else: {$literal: small}}
          tier: {$lookup: $.properties.tier, in: {a: 1}, else: null}
          list: [$.userId, 1, true]
      again:
        like: send
        trigger: type = "page"
        request:
          batch: $omit
          gzip: true
          body: {data: [$message]}
          sign:
            text: "{{ timestamp }}.{{ body }}"
            hmac_sha256: "{{ settings.key }}"
            key: base64
            encoding: base64
            headers: {x-signature: "v1={{ signature }}"}
            query: {at: "{{ timestamp }}"}
      rows:
        trigger: type = "group"
        each: $.properties.rows
        where: item.id = 1
        mapping: {id: $item.id}
"""

SHAPE = sorted((CASES / "diagnostics").glob("S[0-9][0-9][0-9].yaml"))


@pytest.mark.parametrize("path", SHAPE, ids=lambda path: path.stem)
def test_bad_shape_is_invalid(path: Path) -> None:
    """Mutation that turns this red: `additionalProperties` of `_closed` left out."""
    assert faults(path.read_text(encoding="utf-8")) != []


BAD = {
    "a bare string": ("id: $.messageId", "id: messageId"),
    "an unknown operator": ("id: $.messageId", "id: {$form: $.messageId}"),
    "two operators": ("id: $.messageId", "id: {$from: $.messageId, $literal: a}"),
    "a word of another operator": ("id: $.messageId", "id: {$from: $.messageId, then: 3}"),
    "a path in text": ('bearer: "{{ settings.key }}"', "bearer: $.userId"),
    "an operator without its word": ("id: $.messageId", "id: {$each: $.properties.a}"),
    "a status that is none": ("batch: {max_messages: 100}", "responses: {4xy: split}"),
    "an action without a trigger": ('trigger: type = "track"', "enabled: true"),
}


@pytest.mark.parametrize("what", BAD)
def test_more_that_an_editor_underlines(what: str) -> None:
    text = (CASES / "good.yaml").read_text(encoding="utf-8")
    old, new = BAD[what]
    assert old in text
    assert faults(text) == []
    assert faults(text.replace(old, new)) != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: an order", "nam: an order"),
        ("expect: {rejected: require}", "expect: {reject: require}"),
        ("tests:", "test:"),
    ],
)
def test_bad_tests_file_is_invalid(old: str, new: str) -> None:
    text = "settings: {k: v}\ntests:\n  - name: an order\n    event: {type: track}\n    expect: {rejected: require}\n"
    assert faults(text, TESTS) == []
    assert faults(text.replace(old, new), TESTS) != []


def test_example_connections_are_valid() -> None:
    text = (ROOT / "examples" / "waypost.yaml").read_text(encoding="utf-8")
    assert faults(text, CONNECTIONS) == []
    for old, new in (
        ("destination: segment", "destnation: segment"),
        ("write_keys: [env:WEB_KEY]", "write_keys: [wk_1234]"),
        ("emits: [identify,", "emits: [identfy,"),
        ("{files: events.ndjson}", "{files: events.ndjson, stdin: true}"),
        ("order_by: $.userId", "order_by: userId"),
        ("{enabled: false}", "{enabled: no-thanks}"),
    ):
        assert old in text
        assert faults(text.replace(old, new, 1), CONNECTIONS) != [], new


def test_committed_schemas_are_fresh(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / "schema" / "destination.schema.json", schema_text(json_schema.destination()))
    golden(ROOT / "docs" / "schema" / "tests.schema.json", schema_text(json_schema.tests()))
    golden(ROOT / "docs" / "schema" / "connections.schema.json", schema_text(json_schema.connections()))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_spec_names_its_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    target = first.removeprefix("# yaml-language-server: $schema=")
    assert target != first
    assert (path.parent / target).resolve() == ROOT / "docs" / "schema" / "destination.schema.json"
