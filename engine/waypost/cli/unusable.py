"""What a system error is that no command has met with words of its own: a name, a folder, a limit or a disk, and nobody's fault here.

Takes the error. Gives one line and a status, or None where it may be ours. Commands say what they know more of where they meet it; this is
for the many places at which a path is first looked at.
"""

from __future__ import annotations

import errno
import os

USAGE = 2
FULL = 70

NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM)
"""What a path may be that nothing can be done with: too long, a link to itself, within a file, closed to us."""
FILES = (errno.EMFILE, errno.ENFILE)
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def told(error: OSError) -> tuple[str, int] | None:
    name = _cut(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    if error.errno in NAMES and name:
        return f"cannot use {name}: {error.strerror}", USAGE
    if error.errno in FILES:
        return "too many open files: this process may have more with `ulimit -n`", USAGE
    if error.errno in DISK:
        return f"cannot write{f' {name}' if name else ''}: {error.strerror}", FULL
    if error.errno == errno.ENOENT and not name:
        return _no_folder(error)
    return None


def _no_folder(error: OSError) -> tuple[str, int]:
    """Nothing was named: what is not there is the working folder, or one for temporary files."""
    try:
        os.getcwd()
    except OSError:
        return "the folder in which this runs is gone: change to another one", USAGE
    return str(error.strerror), USAGE


def _cut(name: str) -> str:
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in name)
    return shown if len(shown) <= 300 else f"{shown[:300]}…"
