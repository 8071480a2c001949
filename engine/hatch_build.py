"""Compiles the kernel when Waypost is installed or packed: hatchling calls this (pyproject.toml).

Takes the Cython files of engine/waypost/program/kernel. Gives the extension module beside them, which a wheel holds and an editable install
finds there. Where there is no C compiler, or with WAYPOST_PURE=1 in the environment, nothing is compiled and Waypost runs without, more slowly
(docs/decisions/0010-kernel.md); it says so, for a package built like that should not be one by chance.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "waypost.program.kernel.machine"
SOURCES = ("machine.pyx", "machine.pxd", "judge.pxd", "read.pxd", "scan.pxd", "texts.pxd", "write.pxd")


class KernelHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before the files of a wheel are collected, editable or not."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or os.environ.get("WAYPOST_PURE") == "1":
            return
        room = Path(self.root, "engine", *MODULE.split(".")[:-1])
        try:
            built = compiled(room)
        except Exception as error:  # whatever a compiler or its absence raises: an installation without kernel is whole
            self.app.display_warning(
                f"waypost: the kernel was not compiled, events will be mapped more slowly: {error}"
            )
            return
        build_data.update(pure_python=False, infer_tag=True)
        build_data["artifacts"].append(built.relative_to(self.root).as_posix())


def digest(room: Path) -> str:
    """What an extension module says it was compiled from."""
    found = hashlib.sha256()
    for name in SOURCES:
        found.update((room / name).read_bytes())
    return found.hexdigest()


def compiled(room: Path, into: Path | None = None, flags: Sequence[str] = ("-O3", "-g0")) -> Path:
    """Compiles the kernel of the folder `room` into it (or into another folder). Raises what the compiler raises."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    with TemporaryDirectory() as scratch:
        here = Extension(
            MODULE,
            [str(room / SOURCES[0])],
            define_macros=[("WAYPOST_SOURCE", f'"{digest(room)}"')],
            extra_compile_args=list(flags),
            extra_link_args=[flag for flag in flags if flag.startswith("-fsanitize")],
        )
        modules = cythonize([here], include_path=[str(room.parents[2])], build_dir=scratch, quiet=True)
        command = build_ext(Distribution({"ext_modules": modules}))
        command.build_temp = command.build_lib = scratch
        command.ensure_finalized()
        command.run()
        made = Path(command.get_ext_fullpath(MODULE))
        target = (into or room) / made.name
        # A new file, for one that is loaded must not be written to.
        target.unlink(missing_ok=True)
        target.write_bytes(made.read_bytes())
        return target
