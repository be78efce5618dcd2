"""Plant every bug, one at a time, in a copy of the tree, and see that the tests turn red.

    python -m tests.planted              all of them: `make planted`
    python -m tests.planted claimed      those whose name has this in it

Each has a test that must turn red by an assertion or an error of the product's own, not by a module
that can't be imported nor by running out of time; some have a seed of the simulator that must show
it, too. Prints a table; exits 1 if a bug was not found.
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
TIMEOUT_SECONDS = 300
NO_REASONS = re.compile(
    r"(Timeout|Failed: Timeout|ImportError|ModuleNotFound|SyntaxError|NameError)"
)
COPIED = (
    *("functions", "infra", "local", "shared", "tests"),
    *("function_app.py", "host.json", "pyproject.toml"),
)


@dataclass(frozen=True)
class Found:
    """What became of a planted bug: the red test and why it is red, the seed that shows it."""

    bug: Bug
    red: str
    reason: str
    seed: int | None
    seconds: float

    @property
    def is_found(self) -> bool:
        is_red = bool(self.red) and not NO_REASONS.match(self.reason)
        return is_red and (self.seed is not None or self.bug.seed is None)


def main() -> int:
    """1 if a bug was not found."""
    wanted = [bug for bug in BUGS if all(word in bug.name for word in sys.argv[1:])]
    if not wanted:
        print(f"No bug is named {' '.join(sys.argv[1:])}. tests/planted/bugs.py has the names.")
        return 1
    started = time.monotonic()
    with ThreadPoolExecutor(JOBS) as pool:
        found = []
        for each in pool.map(_try, wanted):
            found.append(each)
            print(_line(each), flush=True)
    if len(wanted) == len(BUGS):
        (ROOT / "build").mkdir(exist_ok=True)
        rows = [
            {"bug": each.bug.name, "red": each.red, "seed": each.seed, "found": each.is_found}
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
        red, reason = _first_red(bug, tree)
        seed = None if bug.seed is None else _seed(bug.seed, tree)
    return Found(bug, red, reason, seed, time.monotonic() - started)


def _ignored(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "node_modules"}  # what is compiled saves time


def _plant(bug: Bug, tree: Path) -> None:
    path = tree / bug.file
    text = path.read_text("utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its place stands {text.count(bug.old)} times in {bug.file}")
    path.write_text(text.replace(bug.old, bug.new), "utf-8")


def _first_red(bug: Bug, tree: Path) -> tuple[str, str]:
    """The test that fails, and its error; twice "" if it is green or has no end."""
    options = [
        "-x",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed",
        "0",
    ]
    done = _run(tree, "-m", "pytest", *options, f"{UNIT}{bug.tests}::{bug.test}")
    if done is None:
        return "", ""
    match = re.search(r"^FAILED (.+?)(?: - (.*))?$", done.stdout, re.MULTILINE)
    if match:
        return match[1].partition("::")[2], match[2] or ""
    if done.returncode:  # nothing is found by tests that can't be read
        raise RuntimeError(f"{bug.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return "", ""


def _seed(first: int, tree: Path) -> int | None:
    """The seed that shows it: `first`, or else, as workloads change, another one; None if none."""
    for start, end in ((first, first + 1), (0, SIM_SEEDS)):
        done = _run(tree, "-m", "tests.sim", "--stop", "--seeds", str(start), str(end))
        match = re.search(r"^make sim SEED=([0-9]+)", done.stdout if done else "", re.MULTILINE)
        if match:
            return int(match[1])
    return None


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "300"}
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
    seed = "none" if found.seed is None else str(found.seed)
    seed = "-" if found.bug.seed is None else seed
    red = f"{found.red}  {found.reason}" if found.red else "NOT FOUND"
    verdict = "found" if found.is_found else "MISSED"
    return f"{verdict:6} {found.bug.name:75.75} seed {seed:>4} {found.seconds:4.0f} s  {red}"


if __name__ == "__main__":
    sys.exit(main())
