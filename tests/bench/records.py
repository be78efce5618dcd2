"""The shape of a measured figure, for every module of this folder."""

from collections.abc import Callable
from typing import Any


def wanted(name: str, only: str | None) -> bool:
    """Whether a figure is to be measured: `only` is its name, or the beginning of it."""
    return only is None or name.startswith(only)


def record(
    name: str,
    value: float,
    unit: str,
    baseline: str,
    baseline_value: float,
    goal: str,
    met: Callable[[float], bool],
) -> dict[str, Any]:
    """One figure beside its baseline; `met` decides upon value / baseline_value."""
    ratio = value / baseline_value
    return {
        "name": name,
        "value": round(value, 6),
        "unit": unit,
        "baseline": baseline,
        "baseline_value": round(baseline_value, 6),
        "ratio": round(ratio, 6),
        "goal": goal,
        "met": met(ratio),
    }
