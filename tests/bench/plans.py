"""Specs made to measure: many actions, many fields, a share of templates, templates everywhere. Each is YAML, compiled as an author's is."""

from __future__ import annotations

from waypost.cli.show import stand_ins
from waypost.compiler.pipeline import compile_text
from waypost.plan import Plan
from waypost.program.program import Program, link

HEAD = """spec: 1
name: bench
request:
  post: https://bench.example/v1/events
  body: {events: $messages}
  batch: {max_messages: 500}
actions:
"""
TEMPLATES = {
    "email": "{{ event.properties.email | lower }}",
    "mail": "{{ event.properties.email | trim | lower }}",
    "event": "{{ event.event | upper }}",
    "user": "{{ event.userId | lower }}",
    "locale": "{{ event.context.locale | replace('-', '_') }}",
    "order": "{{ event.properties.order_id | upper | trim }}",
    "coupon": "{{ event.properties.coupon | default('none') }}",
    "currency": "{{ event.properties.currency | default('EUR') | lower }}",
    "title": "{{ event.context.page.title | trim }}",
    "path": "{{ event.context.page.path | replace('/', '.') | lower }}",
}
"""One or two filters each, which Jinja has under the same names."""


def program_of(text: str) -> Program:
    plan = plan_of(text)
    return link(plan, stand_ins(plan))


def plan_of(text: str) -> Plan:
    plan, report = compile_text(text, "specs/bench/destination.yaml")
    assert plan is not None, [item.message for item in report.diagnostics]
    return plan


def templates() -> str:
    rows = "".join(f'      {name}: "{text}"\n' for name, text in TEMPLATES.items())
    return f'{HEAD}  send:\n    trigger: type = "track"\n    mapping:\n{rows}'


def fields(count: int, templated: int = 0) -> str:
    """One action with so many fields, each from a property of its own; the first `templated` of them by a template with a filter."""
    rows = "".join(
        f'      f{index}: "{{{{ event.properties.p{index} | lower }}}}"\n'
        if index < templated
        else f"      f{index}: $.properties.p{index}\n"
        for index in range(count)
    )
    return f'{HEAD}  send:\n    trigger: type = "track"\n    mapping:\n{rows}'


def actions(count: int) -> str:
    """So many actions, each for an event name of its own."""
    return HEAD + "".join(
        f'  send_{index}:\n    trigger: type = "track" and event = "Event {index}"\n'
        "    mapping:\n      id: $.messageId\n      user: {$from: $.userId, type: string}\n      event: $.event\n      data: $.properties\n"
        for index in range(count)
    )
