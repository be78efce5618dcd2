"""Two thousand histories of a product whose world fails: every leg once, no cent lost, all at rest.

`SIM_FIRST_SEED` moves on to other histories, `SIM_SEEDS` says how many; `make soak` goes on for as
long as wanted. A failure prints the line that plays it again.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.faults import Rates

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
    done = _sim("--seeds", 0, 60)
    counted = {
        title: set(re.findall(r"([a-z_.]+) [0-9,]+(?:,|$)", text))
        for title, _, text in (line.partition(": ") for line in done.stdout.splitlines())
    }
    assert counted["injected"] == set(Rates.__annotations__)
    ways = {"ledger.before_write", "ledger.after_write", "legs.before_write", "legs.after_write"}
    ways |= {"queue.before_send", "queue.after_send", "ledger.read", "due.read"}
    assert counted["died at"] >= ways
    assert len(counted["died at"]) >= 16
