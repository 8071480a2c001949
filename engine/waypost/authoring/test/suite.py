"""The tests of one spec, from its file to the verdict.

Takes a spec's path, its plan and which tests to run. Gives a Result: faults of tests.yaml, an Outcome for each test, how golden.json differs,
and the coverage where it was asked for. Writes only golden.json, and only with `update`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from waypost.authoring.test import golden
from waypost.authoring.test.case_run import Course, Destination, deliver
from waypost.authoring.test.cases import Case, read_cases
from waypost.authoring.test.coverage import Coverage
from waypost.authoring.test.judge import Failure, judge
from waypost.authoring.test.points import Points
from waypost.authoring.test.trace import Tracer
from waypost.compiler.pipeline import checked_text, read_file
from waypost.compiler.read.source import Source
from waypost.compiler.report.diagnostic import Report
from waypost.http.transport import Transport
from waypost.plan import Plan
from waypost.program.program import Program, link
from waypost.program.settings import SettingError

TESTS = "tests.yaml"
GOLDEN = "golden.json"


@dataclass(frozen=True)
class Wanted:
    """Which tests to run (`named`: those whose name contains it, in any case), and what else to do."""

    named: str = ""
    update: bool = False
    coverage: bool = False
    least: float | None = None


@dataclass(frozen=True)
class Outcome:
    """One test that ran; without failures it passed."""

    case: Case
    course: Course
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Result:
    """Of one spec. `report` holds what is wrong with tests.yaml, or with a spec that has no plan, `problem` what is wrong besides; `diff` how
    golden.json differs."""

    spec: Path
    source: Source
    report: Report | None = None
    problem: str = ""
    outcomes: tuple[Outcome, ...] = ()
    diff: str = ""
    coverage: Coverage | None = None
    least: float | None = None

    @property
    def golden(self) -> Path:
        return self.spec.with_name(GOLDEN)

    @property
    def below(self) -> bool:
        """Whether the coverage is under the least that was asked for."""
        return self.coverage is not None and self.least is not None and self.coverage.percent() < self.least

    @property
    def passed(self) -> int:
        return sum(not outcome.failures for outcome in self.outcomes)

    @property
    def failed(self) -> int:
        """Failed tests; a tests file that cannot be run, golden requests that differ and too little coverage count as one each."""
        faults = (self.report is not None, bool(self.problem), bool(self.diff), self.below)
        return len(self.outcomes) - self.passed + sum(faults)


def run_spec(spec: Path, plan: Plan, wanted: Wanted) -> Result:
    """Runs a spec's tests. Raises OSError when a file cannot be read or written, SettingError for a test's settings."""
    path = spec.with_name(TESTS)
    if not path.is_file():
        return Result(spec, Source(path.as_posix(), ""), problem="there are no tests")
    cases, report = read_cases(path, plan)
    if report.failed:
        return Result(spec, report.source, report)
    chosen = [case for case in cases if wanted.named.casefold() in case.name.casefold()]
    courses = asyncio.run(_deliver_all(plan, chosen))
    outcomes = tuple(
        Outcome(case, course, tuple(judge(case, course))) for case, course in zip(chosen, courses, strict=True)
    )
    return Result(
        spec,
        report.source,
        outcomes=outcomes,
        diff=_golden(spec.with_name(GOLDEN), cases, outcomes, wanted),
        coverage=_coverage(spec, outcomes) if wanted.coverage else None,
        least=wanted.least,
    )


async def _deliver_all(plan: Plan, cases: list[Case]) -> list[Course]:
    destination = Destination()
    transport = Transport(script=destination.answer)
    programs: dict[str, Program] = {}
    try:
        courses = []
        for case in cases:
            # Tests mostly share their settings, and linking costs more than mapping one event.
            key = repr(sorted(case.settings.items()))
            if key not in programs:
                programs[key] = _linked(plan, case)
            courses.append(await deliver(programs[key], case, transport, destination))
        return courses
    finally:
        await transport.close()


def _linked(plan: Plan, case: Case) -> Program:
    """Raises SettingError, which names the test: what a template makes of its settings, and whether they choose a host, is known here."""
    try:
        return link(plan, case.settings)
    except SettingError as error:
        raise SettingError("\n".join(f"the test `{case.name}`: {line}" for line in str(error).splitlines())) from None


def _golden(path: Path, cases: list[Case], outcomes: tuple[Outcome, ...], wanted: Wanted) -> str:
    """The difference from the reviewed file; with `update` the file is written instead."""
    ran = {outcome.case.name: golden.rows(outcome.course.ended, several=outcome.case.several) for outcome in outcomes}
    if not wanted.update:
        return golden.diff(path, ran, whole=not wanted.named)
    held = golden.reviewed(path) or {}
    whole = golden.merged([case.name for case in cases], ran, held if wanted.named else {})
    path.write_text(golden.text(whole), encoding="utf-8")
    return ""


def _coverage(spec: Path, outcomes: tuple[Outcome, ...]) -> Coverage:
    from waypost.compiler.lower import lower

    file = read_file(spec)
    checked, report = checked_text(file.source.text, file.source.path)
    assert checked is not None, "the spec was compiled just now"
    # The plan is lowered from this very Spec: its nodes are the ones whose places are known.
    points = Points(checked, report.source)
    tracer = Tracer(points, lower(checked, report.source))
    for outcome in outcomes:
        tracer.trace(outcome.case, outcome.course)
    return Coverage(report.source, tuple(points.all), frozenset(tracer.reached))
