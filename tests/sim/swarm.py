"""Two thousand histories of a product whose world fails: every leg once, no cent lost, all at rest.

`SIM_FIRST_SEED` moves on to other histories, `SIM_SEEDS` says how many; `make soak` goes on for as
long as wanted. A failure prints the line that plays it again.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST = int(os.environ.get("SIM_FIRST_SEED", "0"))
SEEDS = int(os.environ.get("SIM_SEEDS", "2000"))
PARTS = 8
KNOWN = [int(line.split()[0]) for line in (Path(__file__).parent / "seeds.txt").open()]
"""Seeds that found something once, each with what it was."""


def _sim(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.sim", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_breaks_a_promise(part: int) -> None:
    """Exactly once, nothing lost, nothing granted that is not paid for, and everything at rest."""
    first, last = (FIRST + SEEDS * edge // PARTS for edge in (part, part + 1))
    done = _sim("--seeds", first, last)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", KNOWN)
def test_a_history_that_found_something_finds_nothing_any_more(seed: int) -> None:
    done = _sim("--seed", seed)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]


def test_the_same_seed_is_the_same_history_to_the_last_step() -> None:
    one, other = (_sim("--seed", 11, "--log") for _ in range(2))
    assert one.stdout == other.stdout
    assert len(one.stdout.splitlines()) > 200


def test_the_swarm_meets_every_fault_and_dies_on_every_way() -> None:
    """Else the runs would be blind where nothing ever happens."""
    from tests.sim.faults import Rates
    from tests.sim.run import Outcome, simulate

    total = Outcome(-1)
    for seed in range(60):
        total.add(simulate(seed, 20))
        if total.faults.keys() >= set(Rates.__annotations__) and len(total.crashes) >= 12:
            break
    assert total.faults.keys() == set(Rates.__annotations__)
    tables = ("ledger", "holds", "legs", "parked", "due", "inbox")
    ways = {f"{table}.{side}_write" for table in tables for side in ("before", "after")}
    ways |= {"queue.before_send", "queue.after_send", "topic.before_publish", "topic.after_publish"}
    assert total.labels.keys() >= ways
    assert len(total.crashes) >= 12
