"""A place of an input that was not read, because it is gone or damaged: said when it is found, counted in the ledger, and a run with one does
not end with 0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """`at` is the offset at which it was found; `size` its bytes, as far as they are known."""

    text: str
    at: int
    size: int
