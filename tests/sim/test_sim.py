"""Two thousand histories on failing storage and bus: every leg once, no cent lost, all at rest.

In each a process dies for certain at one of the crash points, beside all that chance does. Each
part of `make test-all` must have met every fault and every crash point, else it would be blind
there.
`SIM_FIRST_SEED` moves on to other histories, `SIM_SEEDS` says how many; `make soak` goes on for as
long as wanted. A failure prints the line that plays it again.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crash_points import POINTS

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST = int(os.environ.get("SIM_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("SIM_SEEDS", "2000"))
PARTS = 4
SHORT = SEEDS // 40  # what `make test` runs; the others are for `make test-all`


def _sim(*arguments: object, hash_seed: str = "random") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    return done.stdout


def _play(first: int, last: int) -> None:
    covered = ["--covered"] * (last - first >= 10 * len(POINTS))
    print(_sim("--seeds", FIRST + first, FIRST + last, *covered))


@pytest.mark.timeout(1800)
@pytest.mark.extended
@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_breaks_a_promise(part: int) -> None:
    """Exactly once, nothing lost, nothing granted that is not paid for, and everything at rest."""
    first, last = (SHORT + (SEEDS - SHORT) * edge // PARTS for edge in (part, part + 1))
    _play(first, last)


def test_no_history_of_the_first_ones_breaks_a_promise() -> None:
    _play(0, SHORT)


@pytest.mark.timeout(300)
@pytest.mark.extended
def test_a_seed_is_one_history_to_the_last_step_in_whatever_order_sets_are_kept() -> None:
    logs = [_sim("--seed", 11, "--log", hash_seed=hash_seed) for hash_seed in ("1", "2")]
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) > 200
