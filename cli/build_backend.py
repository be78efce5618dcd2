"""Builds the package by flit, with the verifiers of the repository's `tools/` inside. A source
distribution has them already."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flit_core import buildapi
from flit_core.buildapi import (
    build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]
HERE = Path(__file__).resolve().parent


def build_wheel(wheel_directory: str, *options: Any) -> str:
    """The name of the wheel."""
    with _verifiers():
        return str(buildapi.build_wheel(wheel_directory, *options))


def build_sdist(sdist_directory: str, *options: Any) -> str:
    """The name of the source distribution."""
    with _verifiers():
        return str(buildapi.build_sdist(sdist_directory, *options))


@contextmanager
def _verifiers() -> Iterator[None]:
    """The verifiers are inside the package as long as it is built."""
    tools, inside = HERE.parent / "tools", HERE / "perminute_cli" / "verifiers"
    if not (tools / "verify_receipt.py").is_file():
        yield
        return
    inside.mkdir(exist_ok=True)
    try:
        for path in tools.glob("*.py"):
            shutil.copyfile(path, inside / path.name)
        yield
    finally:
        shutil.rmtree(inside)
