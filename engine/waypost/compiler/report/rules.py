"""The registry of rules: every code that a diagnostic may have, its name, and why it is a fault.

Codes are never reused. Families: Y yaml, S shape, P path, T template, M mapping, Q trigger, U reuse, D delivery, X secrets, C care.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    code: str
    name: str
    why: str


_TABLE = """
Y101 syntax | The file cannot be read as one YAML document, so nothing in it can be judged.
Y102 duplicate-key | YAML parsers keep one of two equal keys without a word; the other would be lost.
Y103 unquoted-template | `key: {{ x }}` is a map within a map to YAML; quoted, it is the template that was meant.
Y104 key-not-text | Keys are names; a number, a list or a map as a key never matches anything.
Y105 anchor | Anchors, aliases and `<<` merge one level only and hide where a value comes from; `shared:` and `use:` do it with positions.
Y106 comment-cuts-value | ` #` begins a comment even inside a condition: `event = "Order #1"` would load as `event = "Order`.
Y107 tag | `trigger: !(type = "page")` is a tag to YAML: the negation is lost and the trigger sends the opposite.
Y108 word-for-boolean | `yes`, `no`, `on` and `off` are text in YAML 1.2; only `true` and `false` are booleans.
Y109 odd-number | A number or date that other YAML versions read differently, or that loses digits when it is read as a number.
S101 unknown-key | A key that means nothing would be ignored; a typo would silently change what is sent.
S102 key-elsewhere | The key has a meaning, but not at this place.
S103 missing-key | Something that the language needs here is not there.
S104 wrong-type | The value is of another kind than the key takes.
S105 not-one-of | The value is not one of the words that the key takes.
S107 unit | A size, time or rate carries its unit (`500kB`, `1s`, `1000/s`), so that nobody has to guess it.
S108 conflict | Two keys that exclude each other.
S109 name | Names are lower-case words joined by `_`, so that they work in files, settings and metrics.
S110 spec-version | The file is written in a version of the language that this engine does not read.
P101 path-syntax | The path is not RFC 9535 JSONPath.
P102 path-unsupported | The path is JSONPath, but a part of it that is refused rather than evaluated differently.
P103 unknown-field | No event has this top-level field: the value would always be missing.
P104 item-outside-each | `$item` is the item of an `$each`; elsewhere there is none.
P105 near-field | The context is open, but this name is a letter or two from a field that the specification names: most likely a slip.
P106 field-of-other-type | By the specification no event type that the trigger takes carries this field: the trigger would always see null.
P107 key-outside-each | `$key` is the name of an entry that `$each` or `$find` goes over; elsewhere there is none.
P108 row-field | The item is a part of a setting, which says what fields it has: another one would always be missing.
P109 redact-path | `redact` cuts members by their names: anything else would cut nothing, or another thing than was meant.
T101 template-syntax | The template cannot be read.
T102 unknown-root | A template names event, settings, meta, item or now; anything else would always be missing.
T103 root-not-here | The root exists, but not at this place (`now` in a mapping would change a message's bytes at each attempt).
T104 unknown-filter | There is no such filter.
T105 filter-arguments | The filter takes other arguments.
T106 construct | Templates hold paths, constants, filters and arithmetic; decisions are written with `$when`, `$first` and `$each`.
T107 lone-path | A template that is only a path says the same as the path, with more signs.
T108 unknown-setting | There is no such setting: the value would always be missing.
T109 unknown-setting-key | Not every choice of the setting carries this key.
T110 path-in-text | Text positions (url, headers, query, auth) hold text; a path there would be sent as it is written.
T111 hyphen | `a-b` is a subtraction to a template: a name with a hyphen stands in brackets, else its value is lost.
T112 template-in-key | A key is sent as it is written: a template in it would be a name that nobody knows.
T113 pattern-as-text | `replace` and `split` take plain text: what looks like a pattern is found nowhere.
T114 never-a-value | A filter or sign that can take nothing of what stands beside it: every event would be rejected.
T115 filter-after-arithmetic | A filter binds tighter than `+ - * /`: `a * 100 | round` would round the 100. Parentheses say what it takes.
T116 several-in-text | A list or a map has no form as text: what the destination would get is anybody's guess.
M201 never-holds | The value can never be of the type or shape that is asked for: every event would be rejected.
M202 check-without-effect | The check judges text, and the type is none.
M203 contradicting-constants | A default or enum that the type, another check, or each other excludes.
M204 bare-string | A bare string may be a forgotten `$.` or a constant; the two are too different to guess.
M205 unknown-word | No operator or word of that name begins with `$`.
M206 two-operators | A map holds at most one operator.
M207 messages-outside-body | `$message` and `$messages` stand for what is sent, and only a body holds that.
M208 omit-outside-map | `$omit` takes a key out of a map; elsewhere there is nothing to take out.
M209 unknown-operator-word | The operator has no such word.
M210 nothing-to-take | The operator needs something to work on.
M211 picked-twice | The same key twice in `keys`.
M212 mapping-no-object | An action's mapping makes an object.
M213 required-with-default | A field with a default is never missing.
M214 pattern-syntax | The pattern is no regular expression that can be judged in time that grows with the text alone (RE2).
M216 require-never | `require` names an output that the mapping cannot produce: every event would be rejected.
M217 no-value | Nothing behind a key is null to YAML; a value that was forgotten would be sent as null.
M218 path-as-constant | `default`, `enum`, `keys`, `in` and `$literal` hold constants: what looks like more would be sent as the text it is.
M219 never-reached | What stands behind a constant in `$first` is never reached, for a constant is never missing.
M220 constant-refused | A constant that the checks of its own field refuse: every event that it is for would be rejected.
M221 no-names | `keys` and `in` hold constants, or name a setting that holds them: a list of names, a map.
M230 single-without-list | `single: wrap` makes a list of one value: it stands where a list is meant, and a list's items have no names.
M231 one-name | `key` of `$each` names every entry; one name for all leaves only the last.
Q101 trigger-syntax | The condition cannot be fully read; a trigger never sends on a guess.
Q102 unknown-root | No event has this field: the comparison would always see null.
Q103 unknown-function | There is no such function.
Q104 type | The comparison can never hold between these kinds of value.
Q105 bare-path | A field alone is no condition: it is unclear what of it should hold.
Q106 arguments | The function takes another number of values.
Q107 unknown-event-type | No event has this type, so the action would never send.
Q108 never-matches | The condition contradicts itself.
Q109 same-dedupe-key | Two actions send one event under one deduplication key: the destination keeps only one of the two.
Q110 compared-kind | By the specification the field is of another kind than what it is compared with, and `=` is strict: it would never hold.
Q111 unknown-choice | The setting is compared with a word that is none of its choices: it would never hold.
Q112 root-not-here | The name means something elsewhere, and nothing at this place: the comparison would always see null.
U101 unknown-block | There is no shared block of that name.
U102 omit-of-nothing | `$omit` of a key that is neither inherited nor merged in.
U103 map-over-leaf | A plain map laid over a single value: the two cannot be joined key by key.
U104 unknown-action | There is no action of that name to be like, or to lay a connection's words over.
U105 circle | Actions that are built on each other in a circle.
U106 unused-block | A shared block that nobody uses.
U107 unknown-source | A connection gets its events from the sources of its file; another name would mean no events at all.
U108 unknown-destination | A connection sends to a shipped destination or to a spec, and there is none of that name or path.
U115 unknown-value | There is no value of that name in `values:`.
U116 unused-value | A value that nothing uses.
U117 value-circle | Values that are made of each other in a circle: no end of them could be written.
D101 not-https | Events are personal data: they travel encrypted.
D102 url | The host of a request is fixed by the spec or a setting, never by an event.
D103 header | The header is no legal name, or one that the engine sets.
D104 limits | Limits that contradict each other or say nothing.
D105 retry-beyond-dedupe | A retry later than the destination remembers ids arrives twice.
D106 messages-in-body | A body holds the message or the batch where its format can take it, once, or in a list for each action.
D107 retry-refused | A request that the destination called wrong is wrong at every attempt.
D108 outcome | The outcome is not possible here.
D109 dedupe-field | The destination deduplicates by a field that the mapping does not produce.
D110 auth-body | `auth: body` adds members to the JSON object around the messages, and the body is no such object.
D111 header-twice | One header from two places: only one of them can be sent.
D112 loses-messages | The outcome takes messages as delivered that the destination has not taken.
D113 sends-again | The outcome sends messages again that the destination has accepted: its status says so.
D114 content-type | The body is one thing, and the header says that it is another: the destination would read it wrongly.
D115 mapping-not-sent | What the mapping makes is not sent by the request, and what it asks of events is for nothing.
D116 list-of-actions | In a body with several lists each action's messages stand in exactly one of them; else it is unclear where they go.
D120 results-field | An answer names messages by a field that the mapping does not produce: it could name none.
D121 results-nobody | An answer that names nobody is what its status says, and that is `ok` for a success: nothing would be left to send again.
D122 unanswered-unsaid | Without an id that the destination knows, what was not answered may arrive twice, or not at all: the author chooses.
D123 signature-unsent | A signature that is not sent proves nothing to the destination.
D124 signature-without-body | A signature proves what was signed: another body could be sent under one that does not hold it.
X101 secret-leaks | A secret setting may reach only auth, url, headers and query.
X102 secret-default | A default is in the repository for everybody to read.
X103 credential-in-spec | A credential in a file that is committed is no secret any more.
X104 secret-not-marked | A setting that is named like a credential and is not `secret: true` may reach logs, plans and messages.
X105 open-source | A source that other machines can reach takes events from anybody, unless it asks for a write key.
X106 secret-in-file | A secret comes from the environment or a file of its own; in a file that is committed it is no secret any more.
X107 secret-in-several | The values of a list or map are shown, and stand in a connection's plan: a secret is a setting of its own.
X108 key-not-secret | The key of a signature and the secrets of an OAuth 2 client are secret settings: whoever knows them can send anything.
C101 unused-setting | A setting that nothing reads misleads whoever fills it in.
C102 unused-suppression | A suppression that hides nothing would hide the next mistake on its line.
C103 suppression | A suppression names a rule that leaves room for judgement, and says why.
C104 action-without-test | What no test runs is not known to work: an action's bytes on the wire are shown by its golden request.
C105 stale-plan | The compiled plan beside the specs is not what the spec says now: what runs is not what was read.
C106 unused-source | A source that no connection uses is not read; whoever wrote it expects its events somewhere.
C107 source-without-action | Every event of the source would be filtered: what it emits is taken by no action of its connections.
"""


def _read(table: str) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for line in table.strip().splitlines():
        head, why = line.split(" | ", 1)
        code, name = head.split()
        if code in found:
            raise ValueError(f"two rules are called {code}")
        found[code] = Rule(code, name, why)
    return found


RULES = _read(_TABLE)
"""Every rule by its code."""

JUDGEMENT = (
    *("P103", "P105", "P106", "T113", "Q102", "Q108", "Q109", "Q110", "M201", "M218"),
    *("D105", "D107", "D112", "D114", "D115", "D124", "X103", "X104", "X105", "C101", "C106", "C107"),
)
"""The rules that one line may be excused from: what they find has a meaning. What the others find has none that could be compiled."""

RETIRED = {"S106": "every word of the language is supported now", "M215": "patterns are matched in linear time now"}
"""Rules that there were, and why they are gone: a line that was excused from one is still read."""
