"""Two sources that would read one pipe, or standard input: what one has read the other never sees, so they are refused before anything is read.

Takes the sources of a connections file. Raises SourceError. A regular file is another thing: each lane has a cursor of its own in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from waypost.events.lines import SourceError
from waypost.plan import Feed
from waypost.sources.file import expand
from waypost.sources.stream import is_stream


def refuse_shared_streams(feeds: Iterable[Feed]) -> None:
    readers: dict[str, tuple[str, str]] = {}
    for feed in feeds:
        for key, shown in dict(_streams(feed)).items():
            if key in readers:
                other, as_shown = readers[key]
                also = "" if as_shown == shown else f" (`{as_shown}` there)"
                raise SourceError(
                    f"the sources `{other}` and `{feed.name}` both read {shown}{also}: each line would reach one of them only; "
                    "make one source of them, and name it in every connection that wants its events"
                )
            readers[key] = feed.name, shown


def _streams(feed: Feed) -> Iterable[tuple[str, str]]:
    """(what it is, how it is called) of each input that cannot be read twice."""
    if feed.stdin:
        yield "stdin", "standard input"
        try:
            own = os.fstat(0)
        except OSError:
            return
        yield f"{own.st_dev}:{own.st_ino}", "standard input"
    for name in feed.files:
        try:
            paths = expand(name)
        except SourceError:
            # Said where it is opened.
            continue
        for path in paths:
            if str(path) != os.devnull and is_stream(path):
                status = path.stat()
                yield f"{status.st_dev}:{status.st_ino}", str(path)
