"""Builds the wheel by flit, with the verifiers of the repository's `tools/` inside."""

import shutil
from pathlib import Path
from typing import Any

from flit_core import buildapi
from flit_core.buildapi import build_editable, get_requires_for_build_wheel

__all__ = ["build_editable", "build_wheel", "get_requires_for_build_wheel"]
HERE = Path(__file__).resolve().parent


def build_wheel(wheel_directory: str, *options: Any) -> str:
    """The name of the wheel."""
    inside = HERE / "perminute_cli" / "verifiers"
    inside.mkdir(exist_ok=True)
    try:
        for path in (HERE.parent / "tools").glob("*.py"):
            shutil.copyfile(path, inside / path.name)
        return str(buildapi.build_wheel(wheel_directory, *options))
    finally:
        shutil.rmtree(inside)
