"""What every word of the language means, in one line: key -> where -> doc.

Takes nothing. Gives `DOCS`, a table by place ("a request", "`$from`", ...) that editors show beside a completion (schema.py) and that
docs/words.md prints. Which words are legal is the reader's to say; tests/compiler/test_schema.py holds the two to each other.
"""

from __future__ import annotations

from waypost.lang.bodies import FORMATS

_TABLE = """
a spec
  spec | The version of the language: `1`.
  name | The destination's name: lower-case words joined by `_` or `-`, as its folder.
  title | What people call the destination.
  description | What the destination is for, in a sentence.
  docs | Where the API is documented.
  category | What kind of destination it is, which is under which head their directory lists it.
  integrations | The names by which an event's `integrations` switches this destination off; without it, its title and name.
  settings | What a user fills in: credentials, a region, an id.
  auth | The credentials that go with every request and with the check.
  check | One request that tests the credentials.
  request | How messages are sent; an action's own `request` lies over it.
  values | Values with a name, put in with `{$use: NAME}`.
  shared | Blocks that several actions take with `use`.
  actions | What is sent, and when. Every action whose trigger matches sends, in written order.
the category
  analytics | Where what people do is counted and looked at.
  crm | Where people and companies are kept, and their dealings.
  advertising | Where ads are placed and measured.
  messaging | What sends messages: email, push, SMS, chat.
  support | Where people are helped.
  warehouse | Where data is stored and handed on.
  other | Anything else.
a setting
  type | What a user may give: string, integer, number, boolean or url; `list` and `map` hold several values.
  choices | A closed list: key -> label and data. `settings.NAME` is the chosen key, `settings.NAME.KEY` its data.
  default | What holds when the user gives nothing. Without it the setting is required.
  optional | Whether the setting may be left out without a default.
  secret | Never shown or stored; may reach only auth, url, headers and query.
  label | The setting's name for people.
  description | What to fill in, and where to find it.
  of | What each item of a list is: `{type: string}`, or the fields of a row, each with its type.
  key | What the keys of a map are: a label and a description.
  value | What each value of a map is: `{type: string}`, or the fields of a row.
a part of a setting
  type | What each of them is: string, integer, number, boolean or url.
  choices | A closed list: word -> label.
  label | Its name for people.
  description | What to fill in.
a field
  type | What it holds: string, integer, number, boolean or url.
  choices | A closed list: word -> label.
  label | Its name for people.
  description | What to fill in.
  default | What holds in a row that does not have it. Without it the field is required.
  optional | Whether a row may leave it out without a default.
`key`
  label | What a key is to people.
  description | What to fill in.
an action
  title | The action's name for people.
  description | What the action does at the destination.
  trigger | Which events it takes, in FQL: `type = "track" and event = "Order Completed"`.
  use | The shared blocks below this action: a name, or a list in order.
  like | Another action to build on.
  enabled | `false` keeps the action but sends nothing.
  require | Output fields of which at least one must be present before anything is sent.
  mapping | The message, field by field.
  request | Laid over the destination's request, for this action.
  each | A list: one message an item, which is `$item` in the mapping.
  where | Which items of `each` are sent, in FQL over `item`.
a shared block
  require | Adds to the requirements of every action that uses the block.
  mapping | Fields below those of the action.
  request | Laid over the destination's request, below the action's own.
  each | A list: one message an item, which is `$item` in the mapping.
  where | Which items of `each` are sent, in FQL over `item`.
an item of `require`
  any | Output fields, dotted: one must be present, not null and not "".
  if | Only for events that this condition holds for.
  message | What the dead letter says.
the request
  get | The url of a GET request.
  post | The url of a POST request.
  put | The url of a PUT request.
  patch | The url of a PATCH request.
  delete | The url of a DELETE request.
  headers | Header -> text.
  query | Parameter -> text, percent-encoded.
  content_type | What `text` is, such as `text/plain`.
  sign | A signature over the bytes that are sent, made anew at each attempt.
  gzip | Whether the body is compressed.
  timeout | How long one attempt may take. Default 10s.
  concurrency | How many requests may be under way at once. Default 4.
  batch | How many messages share a request. Without it one message is one request.
  rate | At most so many requests or messages in a time; a list for several windows.
  retry | How long and how patiently a message is tried again.
  dedupe | What the destination tells a repeated message by.
  responses | What an answer means: a status, `4xx`, `unsent` or `unanswered` -> an outcome. It lies over the built-in table.
the check
  get | The url of a GET request.
  post | The url of a POST request.
  put | The url of a PUT request.
  patch | The url of a PATCH request.
  delete | The url of a DELETE request.
  headers | Header -> text.
  query | Parameter -> text, percent-encoded.
`auth`
  basic | HTTP Basic credentials.
  bearer | A bearer token.
  oauth2 | A token that is asked for, and renewed, as OAuth 2 says.
  headers | Header -> text.
  query | Parameter -> text.
  body | Members added to the JSON object of the body, masked wherever it is shown.
`basic`
  username | The user name.
  password | The password; an empty one is `""`.
`sign`
  text | What is signed: text with `{{ body }}`, the exact bytes before compression, and `{{ timestamp }}`, Unix seconds. Without it, the body.
  hmac_sha256 | The key, a secret setting, with which HMAC-SHA256 signs. Without a value nothing is signed.
  hmac_sha1 | The same with HMAC-SHA1.
  key | How the key is written: `text`, or `base64`.
  encoding | How the signature is written: `hex`, or `base64`.
  headers | Header -> text, in which `{{ signature }}` and `{{ timestamp }}` are known.
  query | Parameter -> text, in which they are known, too.
the key of a signature
  text | Its characters are the key.
  base64 | The key is what they stand for.
the encoding of a signature
  hex | Hexadecimal digits, in small letters.
  base64 | Base64, with its padding.
`oauth2`
  token_url | Where tokens are asked for.
  client_id | The client's id.
  client_secret | The client's secret, a secret setting.
  scope | What the token is asked for.
  refresh_token | The token that others are asked for with, a secret setting.
  grant | How it is asked for.
  client | Where the client's id and secret go.
  form | What the form holds besides, such as an `audience`.
the grant of a token
  client_credentials | In the client's own name. The default.
  refresh_token | With a `refresh_token` that somebody has granted.
the client of a token
  basic | Into the header `Authorization`, as the standard has it. The default.
  form | Into the form, beside `grant_type`.
`batch`
  max_messages | The most messages in one request.
  max_bytes | The most bytes of the body before compression, such as `500kB`.
  max_message_bytes | The most bytes of one message; a larger one is a dead letter.
  max_wait | How long a batch waits to fill. Default 1s.
`rate`
  requests | Requests in a time, such as `1000/s`.
  messages | Messages in a time, such as `30000/s`.
`retry`
  for | How long a message is tried again. Default 4h.
  wait_from | The headers that say how long to wait. Default Retry-After.
  max_wait | The longest wait that a header may ask for. Default 1h.
`dedupe`
  by | The output field, or fields, that it tells messages by.
  within | For how long it remembers them, such as `24h`.
  unsafe | `true`: it tells none that can be relied on; `responses` then say what becomes of `unanswered`.
a response rule
  if | A condition over status, headers and body.
  then | The outcome when it holds.
  results | Which messages the answer names, and what becomes of each: a reader, or a list of them.
  rest | The outcome of the messages that the answer does not name, when it names any.
a reader of `results`
  at | The list of what the answer says of single messages, such as `$body.errors`, or an object of them; several paths or readers as a list.
  list | Of a body with several lists the one that `index` counts in: its name, or where the item says it.
  index | Which message an item means: its place in the request, from 0, such as `$item.index`.
  value | Which message an item means: the one whose field `of` is equal to this, such as `$item.id`.
  of | The output field, dotted, that `value` is equal to.
  where | Which items count, in FQL over `item`, `key`, status, headers and body.
  reason | What the message's dead letter says, such as `"{{ item.message }}"`.
  then | The outcome of a message that is named, or a list of them with `if`.
the outcome
  ok | Acknowledged.
  retry | Again, with growing waits, within `retry.for`.
  throttle | Again, when the destination says so; everything that shares the credential waits.
  split | The batch is halved until the refused message stands alone; alone it is a dead letter.
  reject | Those messages are dead letters, with the response.
  stop | Credentials or configuration are wrong: nothing is lost, the lane stops.
the type of a setting
  string | Text.
  integer | A whole number.
  number | A number.
  boolean | true or false.
  url | An https url.
  list | A list of values, or of rows with named fields.
  map | Values by a key, which is text.
a value
  $literal | This value as it stands: the only way to write a string constant.
  $merge | These objects first, shallow, later wins; then the keys written beside it.
  $from | A value with checks.
  $use | A value of `values:`, put in as it is written there.
  $first | The first that is neither missing nor null.
  $pick | Those keys of an object.
  $drop | All but those keys of an object.
  $each | One value an item of a list, or a value of an object; with `key`, an object.
  $find | The first item of a list, or value of an object, for which a condition holds.
  $get | The member of an object by a name that another value gives; missing when there is none.
  $when | A choice by a condition; without `else`, missing.
  $lookup | A table from a value to a constant.
  $messages | In a request's body: the list of these actions' messages, where it has several.
`$from`
  filter | Filters over the value, before the checks: `sum | round(2)`.
  nulls | What null becomes: `keep` (sent), `omit` (left out) or `empty` (""). With a `type`, omit.
  empty | `omit` leaves out "", [] and {}.
  single | `wrap`, with `type: array`: one value where a list is meant is a list of one.
  type | What the value is turned into; what cannot be turned is invalid.
  enum | The constants that the value may be.
  format | A form that the whole text must have, such as `email`.
  pattern | A regular expression for the whole text.
  max_length | The most characters.
  max_bytes | The most bytes in UTF-8.
  max_age | The oldest time that is sent, such as `7d`.
  max_ahead | The farthest time in the future that is sent, such as `1h`.
  invalid | `error` makes the event a dead letter, `omit` leaves the value out.
  default | A constant for what is missing.
  required | Whether the event is a dead letter without it.
`$pick`
  keys | The keys to take, or a setting that lists them.
`$drop`
  keys | The keys to leave out, or a setting that lists them.
`$each`
  to | What each item (`$item`) becomes.
  where | Which items are taken, in FQL over `item` and `key`.
  key | Makes an object: the name of the item's entry. An item without one is left out; of equal names the last counts.
  single | `wrap`: one value where a list is meant is a list of one.
`$find`
  where | Which item is meant, in FQL over `item` and `key`.
  to | What the item becomes; without it, the item itself.
`$get`
  key | The member's name, such as `$.event`.
`$when`
  then | The value when the condition holds.
  else | The value when it does not.
`$lookup`
  in | Key -> constant, or a setting that is such a map.
  else | The value for a key that is not in the table.
the type of a value
  string | Text; a number becomes its digits (12345.0 is 12345), booleans are refused.
  number | A number; text only if it is a JSON number.
  integer | A number without a fraction.
  boolean | true or false; nothing else becomes one.
  object | An object; an empty list counts as one (PHP writes {} as []).
  array | A list.
  datetime | A time as ISO 8601 text.
  unix | A time as whole seconds since 1970.
  unix_ms | A time as milliseconds since 1970.
  unix_us | A time as microseconds since 1970.
the format of a text
  email | An address such as `ada@example.com`; the domain has a dot.
  uri | A URI with its scheme, such as `https://example.com/a?b=c` or `mailto:ada@example.com`.
  date | A date that exists, such as `2026-11-24`.
  datetime | A time as ISO 8601 text, such as `2026-11-24T10:00:00Z`.
  ipv4 | An IPv4 address such as `192.0.2.1`.
  ipv6 | An IPv6 address such as `2001:db8::1`.
  uuid | A UUID with its hyphens, in any case.
  e164 | A phone number such as `+4930123456`; the filter `e164` makes one.
  hostname | A host's name, such as `www.example.com`.
a connections file
  connections | What is sent where: one entry a connection, by name.
  sources | Where events come from, by name.
a connection
  destination | A shipped destination's name, or the path to a spec.
  enabled | `false` keeps the connection but sends nothing.
  sources | The sources whose events it takes: a name, or a list.
  integrations | The names by which an event's `integrations` switches this connection off, or `ignore`; without it, the destination's.
  redact | Members taken out of every event before any action sees it, such as `[$.traits.email, $.properties.products[*].price]`.
  order_by | Two messages with equal values of this are never in two requests at once, such as `$.userId`.
  settings | The destination's settings; a secret is `env:NAME` or `file:PATH`.
  tls | A private authority, and a certificate of one's own.
  plain_http | `true` lets settings name `http://` urls of an inner network; anybody on the way can read what is sent.
  request | Laid over the destination's request.
  shared | Laid over the destination's shared blocks.
  actions | Laid over the destination's actions; a new name adds one, `$omit` removes one.
`tls`
  ca | A file (`file:PATH`) of the authorities that this connection believes instead of the usual ones.
  certificate | A file of the certificate that it proves itself with.
  key | The file of the certificate's key, where the certificate's own does not hold it.
a source
  files | Files of JSON lines, or globs.
  http | The address to listen at, such as `127.0.0.1:8080`.
  stdin | `true`: standard input.
  write_keys | Who may send: `env:NAME` or `file:PATH`, one or a list.
  emits | The event types that it sends; an action that none can match is reported.
  from | Where a new connection begins: `start` or `now`.
  follow | Whether files are read on as they grow, and files of a glob that come later.
a tests file
  settings | The settings of every test.
  now | The instant at which the clock of every test begins: ISO 8601, or Unix seconds.
  tests | The tests, in order.
a test
  name | What the test shows; unique, a key of golden.json.
  event | The event.
  line | The event's line as raw text, for what is not an event.
  events | Several events, or lines as text, in order: they share batches as in a run.
  now | The instant at which the clock begins, instead of the file's.
  settings | Settings of this test, over those of the file.
  replies | The destination's answers, in order: `{status, headers, body}`; then 200.
  expect | What becomes of the event: one expectation, or a list, one a delivery.
  requests | The requests that result, in order: of each a part, and `messages`, how many it carries.
a reply
  status | The HTTP status, or `unsent` or `unanswered`. Default 200.
  headers | Header -> text.
  body | Text, or JSON.
an expectation
  action | The action that takes it.
  request | A part of the request.
  message | A part of the message; `<absent>` says that a key must not be there.
  rejected | Why it is a dead letter before sending.
  field | The output field at fault.
  filtered | Why nothing is sent: no_action, where, disabled or integrations.
  outcome | How the delivery ends: ok, dead or stop.
  attempts | How many requests were sent.
  waited | How long the retries waited, such as `2s`.
  reason | What the answer says of this message alone (`reason` of `results`).
"""


def _read(table: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    place = ""
    for line in table.strip().splitlines():
        if line.startswith("  "):
            key, doc = line.strip().split(" | ", 1)
            found[place][key] = doc
        else:
            place = line
            found[place] = {}
    return found


DOCS = _read(_TABLE)
DOCS["the request"] |= {word: held.doc for word, held in FORMATS.items()}
"""place -> word -> what it means. Markdown, one line."""


def doc(place: str, word: str) -> str:
    """What a word means at a place; empty for a word that the table does not have yet (a test refuses that)."""
    return DOCS.get(place, {}).get(word, "")
