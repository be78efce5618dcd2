"""Plant every bug, one at a time, in a copy of the tree, and see that the tests turn red.

    python -m tests.planted              all of them: `make planted`
    python -m tests.planted claimed      those whose name has this in it

Each stops at its first red test. Prints a table; exits 1 if a bug was not found.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.planted.bugs import BUGS, UNIT, Bug

ROOT = Path(__file__).resolve().parent.parent.parent
JOBS = 2
SIM_SEEDS = 120
TIMEOUT_SECONDS = 400
COPIED = ("functions", "local", "shared", "tests", "function_app.py", "host.json", "pyproject.toml")


@dataclass(frozen=True)
class Found:
    """What became of a planted bug: the first red test, and the seeds that the simulator took."""

    bug: Bug
    red: str
    seeds: int | None
    seconds: float

    @property
    def is_found(self) -> bool:
        return bool(self.red) and (self.seeds is not None or not self.bug.sim)


def main() -> int:
    """1 if a bug was not found."""
    wanted = [bug for bug in BUGS if all(word in bug.name for word in sys.argv[1:])]
    started = time.monotonic()
    with ThreadPoolExecutor(JOBS) as pool:
        found = []
        for each in pool.map(_try, wanted):
            found.append(each)
            print(_line(each), flush=True)
    if len(wanted) == len(BUGS):
        (ROOT / "build").mkdir(exist_ok=True)
        rows = [
            {"bug": each.bug.name, "red": each.red, "seeds": each.seeds, "found": each.is_found}
            for each in found
        ]
        (ROOT / "build/planted.json").write_text(json.dumps(rows, indent=1), "utf-8")
    missed = [each for each in found if not each.is_found]
    seconds = time.monotonic() - started
    print(f"{len(found)} bugs planted, {len(missed)} not found, {seconds:.0f} s")
    return 1 if missed else 0


def _try(bug: Bug) -> Found:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=_ignored)
            else:
                shutil.copy(source, tree / name)
        _plant(bug, tree)
        red = _first_red(bug, tree)
        seeds = _seeds(tree) if bug.sim else None
    return Found(bug, red, seeds, time.monotonic() - started)


def _ignored(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"__pycache__", "node_modules"}}


def _plant(bug: Bug, tree: Path) -> None:
    path = tree / bug.file
    text = path.read_text("utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its place stands {text.count(bug.old)} times in {bug.file}")
    path.write_text(text.replace(bug.old, bug.new), "utf-8")


def _first_red(bug: Bug, tree: Path) -> str:
    """The first test that fails, or that ends in no time; "" if all are green."""
    options = [
        "-x",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "300",
        "--hypothesis-seed",
        "0",
    ]
    done = _run(tree, "-m", "pytest", *options, UNIT + bug.tests)
    if done is None:
        return "no end"
    match = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    if match:
        return match[1].rpartition("::")[2]
    if done.returncode:  # nothing is found by tests that can't be read
        raise RuntimeError(f"{bug.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return ""


def _seeds(tree: Path) -> int | None:
    """How many seeds the simulator took until it found something; None if it found nothing."""
    done = _run(tree, "-m", "tests.sim", "--stop", "--seeds", "0", str(SIM_SEEDS))
    if done is None:
        return None
    match = re.search(r"^([0-9,]+) seeds, ([0-9]+) failed", done.stdout, re.MULTILINE)
    return int(match[1].replace(",", "")) if match and match[2] != "0" else None


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _line(found: Found) -> str:
    seeds = "-" if not found.bug.sim else "none" if found.seeds is None else str(found.seeds)
    red = found.red or "NOT FOUND"
    verdict = "found" if found.is_found else "MISSED"
    return f"{verdict:6} {found.bug.name:75.75} seeds {seeds:>5} {found.seconds:4.0f} s  {red:.70}"


if __name__ == "__main__":
    sys.exit(main())
