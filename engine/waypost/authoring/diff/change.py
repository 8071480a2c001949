"""One change between two plans, as data; and the registry of the kinds of change.

A kind is breaking or not, never sometimes: what a reader of `--fail-on breaking` must look at is decided here and nowhere else. Breaking
means that a run which worked may stop or send less, that somebody who reads the destination may miss a field or find another type, or that
ids change, so that what was sent before is sent again. What cannot be told counts as breaking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

BREAKING: Final = {
    "destination_renamed": "the destination or connection has another name, which goes into `meta.id`",
    "setting_removed": "a setting is gone: a run that gives it is refused",
    "setting_required": "a setting must be given now",
    "setting_type": "a setting takes another type",
    "setting_default": "a setting that nobody gives has another value",
    "choice_removed": "a choice of a setting is gone",
    "choice_changed": "a choice of a setting stands for other data",
    "auth_changed": "the requests are signed in another way",
    "method_changed": "the requests use another method",
    "url_changed": "the requests go to another url",
    "dedupe_changed": "the destination deduplicates by other fields",
    "action_removed": "an action is gone: its messages stop",
    "action_renamed": "an action has another name, which goes into `meta.id`",
    "action_disabled": "an action is switched off: its messages stop",
    "action_clash": "a new action sends the events of another one under the same id: the destination keeps one of the two",
    "integrations_changed": "other names of an event's `integrations` switch the destination off, or none does any more",
    "trigger_narrower": "a condition takes fewer events",
    "trigger_unclear": "a condition changed, and it cannot be told which events that costs",
    "items_changed": "an action makes its messages from other items",
    "require_added": "an action needs fields that it did not need",
    "field_removed": "a field is gone from the output",
    "field_narrower": "a field has a value less often, or holds less",
    "type_changed": "a field has another type",
    "check_tighter": "a check refuses values that passed",
    "id_changed": "a field that identifies a message has another value: what was sent before counts as new",
}
TOLD: Final = {
    "title_changed": "a title, description, link or category, or a label of a setting",
    "setting_added": "a new setting that need not be given",
    "setting_looser": "a setting need not be given any more, or is a secret now or no longer",
    "choice_added": "a setting has another choice",
    "probe_changed": "the credential check is another request",
    "connection_changed": "a connection has other sources or another order",
    "limit_changed": "a limit of the requests: batch, rate, retry, timeout, concurrency, compression",
    "response_changed": "an answer of the destination has another outcome",
    "dedupe_window": "for how long the destination deduplicates, or that it does",
    "action_added": "a new action",
    "action_enabled": "an action is switched on",
    "trigger_wider": "a condition takes more events",
    "trigger_rewritten": "a condition is written in another way and takes the same events",
    "require_removed": "an action needs fewer fields",
    "field_added": "a new field in the output",
    "field_changed": "a field comes from elsewhere or is made in another way",
    "check_looser": "a check refuses less",
}
KINDS: Final = {**BREAKING, **TOLD}


@dataclass(frozen=True)
class Found:
    """A difference of two values: what kind, at which keys of the output, and why, in words. `old` and `new` are in the spec's notation."""

    kind: str
    path: tuple[str, ...]
    reason: str
    old: str = ""
    new: str = ""


class Change(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`actions` is empty for what concerns the whole destination; `field` is a dotted output field or a word of the spec (`trigger`,
    `request.url`). `old_at` and `new_at` are `file:line:column`, or the file alone where the plan keeps no position."""

    kind: str
    breaking: bool
    actions: tuple[str, ...] = ()
    field: str = ""
    reason: str
    old: str = ""
    new: str = ""
    old_at: str = ""
    new_at: str = ""
    path: tuple[str, ...] = ()
    """The keys of `field` below the mapping: what the sample's messages are asked for."""
