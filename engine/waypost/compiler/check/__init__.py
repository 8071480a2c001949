"""The checks: each a function of a whole Spec that reports what compiles but cannot be meant. Order is that of the tables in the docs."""

from __future__ import annotations

from waypost.compiler.check import constants, fields, mappings, requests, secrets, triggers
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.spec import Spec

CHECKS = (triggers.check, fields.check, mappings.check, constants.check, requests.check, secrets.check)


def check(spec: Spec, report: Report) -> None:
    """Every check, all findings."""
    for one in CHECKS:
        one(spec, report)
