"""`waypost diff OLD NEW`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import click

from waypost.authoring.diff.change import Change
from waypost.authoring.diff.compare import compare
from waypost.authoring.diff.render import FORMATS, Comparison
from waypost.authoring.diff.sample import Sample, Summary
from waypost.cli import colours
from waypost.cli.common import FINDINGS, read_settings, refuse
from waypost.cli.revisions import sides
from waypost.cli.show import stand_ins
from waypost.plan import Plan


@click.command(name="diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--events", type=click.Path(), help="A file of events, one JSON object a line: count what it changes there."
)
@click.option(
    "--examples", default=3, show_default=True, type=click.IntRange(0, 1000), help="Examples an action and kind."
)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting; others get a stand-in on both sides."
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="human", help="How it is shown.")
@click.option("--fail-on", type=click.Choice(["breaking", "any"]), help="Exit status 1 when there is such a change.")
def command(
    old: str, new: str, events: str | None, examples: int, pairs: tuple[str, ...], form: str, fail_on: str | None
) -> None:
    """Show what changes from OLD to NEW: breaking or not, and with --events what it does to messages.

    OLD and NEW are specs, plans, shipped names or REV:PATH. A git revision as OLD takes the path of NEW; REV..REV as OLD compares the path NEW
    at both.
    """
    left, right = sides(old, new)
    changes = compare(left.plan, right.plan)
    sample = None
    if events is not None:
        sample = _sample(left.plan, right.plan, pairs, events, changes, examples)
    elif pairs:
        refuse("--set serves --events: the comparison itself needs no settings")
    found = Comparison(
        name=right.plan.name, old=left.shown, new=right.shown, changes=changes, events=events or "", sample=sample
    )
    text = FORMATS[form](found)
    click.echo(colours.rows(text) if form == "human" else text, nl=False)
    if (fail_on == "any" and changes) or (fail_on == "breaking" and found.breaking()):
        click.get_current_context().exit(FINDINGS)


def _sample(old: Plan, new: Plan, pairs: Iterable[str], events: str, changes: list[Change], examples: int) -> Summary:
    from waypost.events.lines import SourceError, lines_of
    from waypost.program.program import link
    from waypost.program.settings import SettingError
    from waypost.sources.file import FileSource
    from waypost.sources.stream import StreamSource, is_stream

    given = _settings(old, new, pairs)
    try:
        before, after = (
            link(plan, {name: given[name] for name in plan.settings if name in given}) for plan in (old, new)
        )
        path = Path(events)
        source = StreamSource(path) if is_stream(path) else FileSource(path)
    except (SettingError, SourceError) as error:
        refuse(str(error))
    sample = Sample(before, after, changes, examples, time.time())
    try:
        while (pieces := source.read()) is not None:
            sample.take(lines_of(pieces), source.first_line)
    except SourceError as error:
        refuse(str(error))
    finally:
        source.close()
    return sample.summary


def _settings(old: Plan, new: Plan, pairs: Iterable[str]) -> dict[str, object]:
    """What was given, else one stand-in for both sides; a setting that only one side has is not the other's fault."""
    given = read_settings(pairs, new)
    for name in given:
        if name not in old.settings and name not in new.settings:
            refuse(
                f"there is no setting `{name}` on either side (there is: {', '.join({**old.settings, **new.settings}) or 'none'})"
            )
    found: dict[str, object] = stand_ins(old, new)
    for name, setting in old.settings.items():
        other = new.settings.get(name)
        common = [key for key in setting.choices if other is not None and key in other.choices]
        if name in found and common:
            found[name] = common[0]
    return {**found, **given}
