"""Breaks the engine in every small way and reports which breaks no test notices.

`python -m tests.mutation [MODULE[:PART/PARTS]…]`, e.g. `tariff` or `tariff:1/3`. Each mutant is
tested in a child process of its own, a child for each processor at a time, which stops at the first
red test. Survivors must stand in `explained.txt` with their reason, and nothing may stand there
that is no break any more. What stands there is taken as surviving and not tested again. Exit 0 only
if at least 90 % of each module are killed and every survivor is explained.
"""

import importlib
import importlib.abc
import importlib.machinery
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from importlib.metadata import entry_points
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
EXPLAINED = Path(__file__).with_name("explained.txt")
DOMAIN = ROOT / "shared/domain"
UNIT = "tests/unit/rating"
MODULES = (
    "money",
    "terms",
    "time_bands",
    "tariff",
    "prefix_index",
    "packing",
    "rate_card",
    "rating",
)
# The file that knows the module best runs alone first: most mutants die there.
FIRST = {
    "money": "test_money.py",
    "terms": "test_rate_card_checks.py",
    "time_bands": "test_bands.py",
    "tariff": "test_charges.py",
    "prefix_index": "test_prefixes.py",
    "packing": "test_packing.py",
    "rate_card": "test_rate_card_checks.py",
    "rating": "test_charges.py",
}
THEN = (
    "test_charges.py",
    "test_bands.py",
    "test_max_usage.py",
    "test_partly_paid.py",
    "test_rate_card_checks.py",
    "test_packing.py",
    "test_prefixes.py",
    "test_slow_model.py",
    "test_rate_card_lint.py",
    "test_rate_card_diff.py",
)
# Slow, and they say nothing here that the others don't.
LEFT_OUT = (
    "test_prefixes.py::test_fifty_thousand_prefixes_hold_in_two_megabytes",
    "test_slow_model.py::test_band_changes_are_where_the_wall_clock_says",
    "test_slow_model.py::test_one_card_rates_calls_of_many_days",
    *(
        f"test_slow_model.py::test_ten_thousand_random_calls_cost_what_the_slow_model_says[{part}]"
        for part in range(1, 50)
    ),
)
KILLED_PER_CENT_MIN = 90
JOBS = os.process_cpu_count() or 1
# CPU time, so that a busy machine kills no mutant. The first file takes two seconds at most; it is
# where a mutant that never ends is met. A mutant over its CPU time counts as killed, and the report
# has the number of them; a child that ends by any other signal ends the run.
FIRST_CPU_SECONDS_MAX = 8
CHILD_CPU_SECONDS_MAX = 30


class _MutatedLoader(importlib.abc.InspectLoader):
    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, fullname: str) -> str:
        del fullname
        return self._source


class _MutatedFinder(importlib.abc.MetaPathFinder):
    """Gives the mutated source for one module."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname != self._name:
            return None
        return spec_from_loader(fullname, _MutatedLoader(self._source))


def main(names: Sequence[str]) -> int:
    """The exit code."""
    if unknown := {name.partition(":")[0] for name in names} - set(MODULES):
        print(f"No module is named {', '.join(sorted(unknown))}. Choose of {', '.join(MODULES)}.")
        return 1
    if stale := list(stale_lines()):
        print("explained.txt names breaks that are none:", *stale, sep="\n")
        return 1
    _warm_up()
    parts = names or MODULES
    first = parts[0].partition(":")[0]
    if _wait_for(_start(first, read_module(first))):
        print("the tests are red without any mutant")
        return 1
    begin = time.monotonic()
    explained = set(explained_lines())
    survivors = Counter[str]()
    unexplained = endless = 0
    totals = {part: len(_part_of(part)) for part in parts}
    for part, line, status in _judged(parts, explained):
        if _is_over_its_time(status):
            endless += 1
            print(f"ENDLESS {line}", flush=True)
        if status:
            continue
        survivors[part] += 1
        if line not in explained:
            unexplained += 1
            print(f"SURVIVED {line}", flush=True)
    for part, total in [*totals.items(), ("together", sum(totals.values()))]:
        alive = survivors.total() if part == "together" else survivors[part]
        print(f"{part}: {total - alive} of {total} killed, {_per_cent(total - alive, total)} %")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds, seconds = used.ru_utime + used.ru_stime, time.monotonic() - begin
    print(f"{endless} of the killed ones ended by their CPU time")
    print(f"{unexplained} unexplained; {seconds:.0f} s, {cpu_seconds:.0f} s of CPU")
    enough = all(
        _per_cent(total - survivors[part], total) >= KILLED_PER_CENT_MIN
        for part, total in totals.items()
    )
    return 0 if enough and not unexplained else 1


def _is_over_its_time(status: int) -> bool:
    """True if a child ended by its CPU time. Raises for another signal, such as that of a machine
    without memory, which is no verdict."""
    if not os.WIFSIGNALED(status):
        return False
    assert os.WTERMSIG(status) == signal.SIGXCPU, f"a child ended by signal {os.WTERMSIG(status)}"
    return True


def _judged(parts: Sequence[str], explained: AbstractSet[str]) -> Iterator[tuple[str, str, int]]:
    """(part, line of explained.txt, wait status: 0 if it survived) of every mutant, as they end."""
    running: dict[int, tuple[str, str]] = {}
    for part in parts:
        module = part.partition(":")[0]
        source = read_module(module)
        for mutant in _part_of(part):
            line = f"{module}: {mutant.key}"
            if line in explained:
                yield part, line, 0
                continue
            if len(running) == JOBS:
                yield _next_ended(running)
            running[_start(module, mutant.applied_to(source))] = part, line
    while running:
        yield _next_ended(running)


def _next_ended(running: dict[int, tuple[str, str]]) -> tuple[str, str, int]:
    child, status = os.wait()
    return *running.pop(child), status


def _warm_up() -> None:
    """Imports what every child needs and none of which is mutated: they inherit it."""
    for name in ("hypothesis", "pydantic", "phonenumbers", "tests.support.azurite"):
        importlib.import_module(name)
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    mutable = [name for name in sys.modules if name.startswith("shared.domain.")]
    assert not mutable, f"{mutable} would not be mutated in the children"


def read_module(name: str) -> str:
    """The source of a module of the domain."""
    return (DOMAIN / _subject(name) / f"{name}.py").read_text(encoding="utf-8")


def _subject(name: str) -> str:
    return "common" if name == "money" else "rating"


def explained_lines() -> list[str]:
    """The survivors that are known, one a line; their reasons stand in comments above them."""
    lines = EXPLAINED.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def stale_lines() -> Iterator[str]:
    """What is explained and is no break of any module."""
    breaks = {f"{name}: {each.key}" for name in MODULES for each in mutants(read_module(name))}
    return (line for line in explained_lines() if line not in breaks)


def _part_of(name: str) -> list[Mutant]:
    """All mutants of a module, or every third from the first on for "tariff:1/3"."""
    module, _, part = name.partition(":")
    found = list(mutants(read_module(module)))
    if not part:
        return found
    number, _, parts = part.partition("/")
    return found[int(number) - 1 :: int(parts)]


def _per_cent(killed: int, total: int) -> int:
    return 100 * killed // max(total, 1)


def _start(name: str, source: str) -> int:
    """The child that tests this source of a module: it fails if any test goes red, the import
    fails, or the tests don't end in time."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _test_and_exit(name, source)
    return child


def _wait_for(child: int) -> int:
    return os.waitpid(child, 0)[1]


def _test_and_exit(name: str, source: str) -> None:
    """In the child: exit 0 if every test is green."""
    import pytest

    # The hard limit is one of SIGKILL, which the system sends for other reasons too.
    hard = CHILD_CPU_SECONDS_MAX + 5
    resource.setrlimit(resource.RLIMIT_CPU, (FIRST_CPU_SECONDS_MAX, hard))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, _MutatedFinder(f"shared.domain.{_subject(name)}.{name}", source))
    # No one reads what is printed, so nothing is prepared for it.
    options = ["-x", "-q", "--assert=plain", "--tb=no", "-p", "no:randomly"]
    options += ["-p", "no:cacheprovider", "-p", "no:xdist"]
    options += [f"--deselect={UNIT}/{test}" for test in LEFT_OUT]
    rest = [f"{UNIT}/{file}" for file in THEN if file != FIRST[name]]
    code = 1
    try:
        code = int(pytest.main([*options, f"{UNIT}/{FIRST[name]}"]))
        if not code:
            resource.setrlimit(resource.RLIMIT_CPU, (CHILD_CPU_SECONDS_MAX, hard))
            code = int(pytest.main([*options, *rest]))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
