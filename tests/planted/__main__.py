"""Plant every bug, one at a time, in a separate process, and see that the tests turn red.

    python -m tests.planted              all of them: `make planted`
    python -m tests.planted claimed      those whose name has this in it

Each process is forked from one that has the product imported. There the functions that the changed
source defines replace those of the product; a bug that changes anything else raises ValueError.

Each has a test that must turn red by an assertion or an error of the product's own, not by a module
that can't be imported nor by running out of time; some have a seed of the simulator that must show
it, too. Prints a table; exits 1 if a bug was not found.
"""

import json
import multiprocessing
import re
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.planted.bugs import BUGS, Bug
from tests.planted.process import OUTPUT, ROOT, apart, run_seeds, run_test

JOBS = 2
TIMEOUT_SECONDS = 300
NO_REASONS = re.compile(
    r"(Timeout|Failed: Timeout|ImportError|ModuleNotFound|SyntaxError|NameError)"
)
FORKS = multiprocessing.get_context("forkserver")


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
    FORKS.set_forkserver_preload(["tests.planted.preloaded"])
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
    red, reason = _first_red(bug)
    seed = None if bug.seed is None else _seed(bug)
    return Found(bug, red, reason, seed, time.monotonic() - started)


def _first_red(bug: Bug) -> tuple[str, str]:
    """The test that fails, and its error; twice "" if it is green or has no end."""
    code, output = _in_process(run_test, bug)
    match = re.search(r"^FAILED (.+?)(?: - (.*))?$", output, re.MULTILINE)
    if match:
        return match[1].partition("::")[2], match[2] or ""
    if code:  # nothing is found by tests that can't be read
        raise RuntimeError(f"{bug.name}: {output[-4000:]}")
    return "", ""


def _seed(bug: Bug) -> int | None:
    """A seed that shows it; None if there is none."""
    _, output = _in_process(run_seeds, bug)
    match = re.search(r"^seed ([0-9]+)$", output, re.MULTILINE)
    return int(match[1]) if match else None


def _in_process(run: Callable[[Bug], int], bug: Bug) -> tuple[int | None, str]:
    """Exit code and output of a process that runs this; no code if it has no end."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        process = FORKS.Process(target=apart, args=(folder, run, bug))
        process.start()
        process.join(TIMEOUT_SECONDS)
        process.kill()
        process.join()
        if process.exitcode is not None and process.exitcode < 0:
            return None, ""
        return process.exitcode, (Path(folder) / OUTPUT).read_text("utf-8", "replace")


def _line(found: Found) -> str:
    seed = "none" if found.seed is None else str(found.seed)
    seed = "-" if found.bug.seed is None else seed
    red = f"{found.red}  {found.reason}" if found.red else "NOT FOUND"
    verdict = "found" if found.is_found else "MISSED"
    return f"{verdict:6} {found.bug.name:75.75} seed {seed:>4} {found.seconds:4.0f} s  {red}"


if __name__ == "__main__":
    sys.exit(main())
