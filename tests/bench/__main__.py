"""`python -m tests.bench [ONLY=name]`: measure, print a table, write `build/bench.json`.

A module `bench_*.py` registers by having `records(only)`, which yields one dictionary per figure:
`name`, `value`, `unit`, `baseline`, `baseline_value`, `ratio` (value / baseline_value), `goal` (a
text such as "ratio <= 1/15") and `met`; `records.record` makes one. `only` is a name, the beginning
of a name, or None.
"""

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent
RESULT = BENCH.parents[1] / "build/bench.json"


def main() -> int:
    """Runs the modules one after the other. Exit code 1 if a goal is missed or nothing matches."""
    only = _only(sys.argv[1:])
    measured: list[dict[str, Any]] = []
    started = time.monotonic()
    for record in _records(only):
        print(_line(record), flush=True)
        measured.append(record)
    if not measured:
        print(f"make bench: no figure begins with {only}. `make bench` prints all names.")
        return 1
    _write(measured, only)
    missed = [record["name"] for record in measured if not record["met"]]
    print(f"{len(measured)} figures in {time.monotonic() - started:.0f} s, {len(missed)} missed")
    return 1 if missed else 0


def _only(arguments: list[str]) -> str | None:
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name != "ONLY":
            sys.exit(f"The argument {argument} is unknown. Write ONLY=name, or nothing.")
        return value or None
    return None


def _records(only: str | None) -> Iterator[dict[str, Any]]:
    for path in sorted(BENCH.glob("bench_*.py")):
        module = importlib.import_module(f"tests.bench.{path.stem}")
        yield from module.records(only)


def _line(record: dict[str, Any]) -> str:
    verdict = "met" if record["met"] else "MISSED"
    return (
        f"{record['name']:36} {record['value']:>12,.3f} {record['unit']:12} "
        f"{record['baseline']}: {record['baseline_value']:,.3f}; "
        f"ratio {record['ratio']:.3f}, goal {record['goal']}: {verdict}"
    )


def _write(measured: list[dict[str, Any]], only: str | None) -> None:
    """A run of some figures keeps the others of the last run."""
    kept: list[dict[str, Any]] = []
    if only is not None and RESULT.exists():
        new = {record["name"] for record in measured}
        old = json.loads(RESULT.read_text(encoding="utf-8"))
        kept = [record for record in old if record["name"] not in new]
    RESULT.parent.mkdir(exist_ok=True)
    content = json.dumps(kept + measured, indent=2) + "\n"
    RESULT.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
