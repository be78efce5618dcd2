"""Runs of the simulator from the command line.

    python -m tests.sim --seed 7 --log           one run, with every step of it
    python -m tests.sim --seeds 0 500            many, with what they met
    python -m tests.sim --minutes 10 --jobs 2    new ones until time is up

    python -m tests.sim --seeds 0 500 --covered  as the tests: none may be blind either

Exits 1 if a run found something, or, with `--covered`, if some fault never happened in all of them
or no one died at some crash point.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.sim.faults import Rates
from tests.sim.run import Outcome, simulate, simulate_quietly, spare_the_collector
from tests.support.crash_points import POINTS

FIGURES = Path(__file__).resolve().parent.parent.parent / "build/sim.jsonl"


def main() -> int:
    """The number of seeds that failed, as an exit code."""
    wanted = _arguments()
    spare_the_collector()
    if wanted.seed is not None:
        return _one(wanted.seed, wanted.steps, log=wanted.log)
    return _many(wanted)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--steps", type=int, help="what callers do, how often; drawn if left out")
    parser.add_argument("--log", action="store_true", help="print every step of a replay")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 200), metavar=("FROM", "TO"))
    parser.add_argument("--minutes", type=float, help="go on from FROM until time is up")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--covered", action="store_true", help="fail if all of them are blind")
    parser.add_argument("--stop", action="store_true", help="at the first seed that fails")
    return parser.parse_args()


def _one(seed: int, steps: int | None, *, log: bool) -> int:
    outcome = simulate(seed, steps, print if log else None)
    for problem in outcome.problems:
        print(problem)
    print(f"seed {seed}: {len(outcome.problems)} problems, {outcome.loop_steps} steps of the loop")
    return 1 if outcome.problems else 0


def _many(wanted: argparse.Namespace) -> int:
    started = time.monotonic()
    total, failed, seeds = Outcome(-1), 0, list[int]()
    for outcome in _outcomes(wanted, started):
        seeds.append(outcome.seed)
        total.add(outcome)
        if outcome.problems:
            failed += 1
            print(f"make sim SEED={outcome.seed}  # {len(outcome.problems)} problems, first:")
            print(f"    {outcome.problems[0]}", flush=True)
            if wanted.stop:
                break
    seconds = time.monotonic() - started
    _report(total, len(seeds), failed, seconds)
    missed = _missed(total) if wanted.covered else []
    _write(total, seeds, failed, seconds)
    if missed:
        print(f"never met: {', '.join(missed)}")
    return 1 if failed or missed else 0


def _outcomes(wanted: argparse.Namespace, started: float) -> Iterator[Outcome]:
    seeds = _seeds(wanted, started)
    if wanted.jobs == 1:
        yield from map(simulate_quietly, seeds)
        return
    pools = multiprocessing.get_context("spawn")
    with pools.Pool(wanted.jobs, initializer=spare_the_collector) as pool:
        yield from pool.imap(simulate_quietly, seeds, chunksize=4)
        pool.terminate()


def _missed(total: Outcome) -> list[str]:
    """What never happened: the runs would be blind there."""
    return [each for each in Rates.__annotations__ if not total.faults[each]] + [
        each for each in POINTS if not total.crashes[each]
    ]


def _seeds(wanted: argparse.Namespace, started: float) -> Iterator[int]:
    first, last = wanted.seeds
    if wanted.minutes is None:
        yield from range(first, last)
        return
    seed = first
    while time.monotonic() - started < wanted.minutes * 60:
        yield seed
        seed += 1


def _write(total: Outcome, seeds: list[int], failed: int, seconds: float) -> None:
    """A line for docs/reliability.md (`make reliability`)."""
    FIGURES.parent.mkdir(exist_ok=True)
    figures = {
        "seeds": len(seeds),
        "range": [min(seeds), max(seeds)] if seeds else None,
        "failed": failed,
        "seconds": round(seconds, 1),
        "loop_steps": total.loop_steps,
        "calls": sum(total.labels.values()),
        "faults": dict(total.faults),
        "deaths": {point: total.crashes[point] for point in POINTS},
        "other_deaths": sum(n for place, n in total.crashes.items() if place not in POINTS),
        "counts": dict(total.counts),
    }
    with FIGURES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")


def _report(total: Outcome, runs: int, failed: int, seconds: float) -> None:
    counters: dict[str, Counter[str]] = {
        "injected": total.faults,
        "died at": total.crashes,
        "happened": total.counts,
    }
    for title, counter in counters.items():
        items = ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items()))
        print(f"{title}: {items}")
    labels = total.labels
    print(f"calls to the outside: {sum(labels.values()):,} at {len(labels)} labels")
    print(f"{runs:,} seeds, {failed} failed, {seconds:.0f} s, {runs / seconds:.1f} seeds/s")


if __name__ == "__main__":
    sys.exit(main())
