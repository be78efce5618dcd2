"""Breaks the engine in every small way and tells which breaks no test notices.

`python -m tests.mutation [MODULE[:PART/PARTS]…]`, e.g. `tariff` or `tariff:1/3`. Each mutant is
tested in a child process of its own, which stops at the first red test. Survivors must stand in
`explained.txt` with their reason, and nothing may stand there that is no break any more. What
stands there is taken as surviving and not tested again. That the tests are green without any mutant
is looked at with a whole module, or its first part. Exit 0 only if at least 90 % are killed and
every survivor is explained.
"""

import importlib
import importlib.abc
import importlib.machinery
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
EXPLAINED = Path(__file__).with_name("explained.txt")
DOMAIN = ROOT / "shared/domain"
UNIT = "tests/unit/rating"
MODULES = ("money", "terms", "bands", "tariff", "rate_index", "rate_packing", "rates", "rating")
# The file that knows the module best runs alone first: most mutants die there.
FIRST = {
    "money": "test_money.py",
    "terms": "test_rate_card_checks.py",
    "bands": "test_bands.py",
    "tariff": "test_charges.py",
    "rate_index": "test_prefixes.py",
    "rate_packing": "test_packing.py",
    "rates": "test_rate_card_checks.py",
    "rating": "test_charges.py",
}
THEN = (
    "test_charges.py",
    "test_bands.py",
    "test_max_usage.py",
    "test_rate_card_checks.py",
    "test_packing.py",
    "test_prefixes.py",
    "test_slow_model.py",
    "test_rate_card_lint.py",
)
# Slow, and they say nothing here that the others don't.
LEFT_OUT = (
    "test_prefixes.py::test_two_hundred_thousand_prefixes_hold_in_eight_megabytes",
    "test_slow_model.py::test_band_changes_are_where_the_wall_clock_says",
    "test_slow_model.py::test_one_card_rates_calls_of_many_days",
    *(
        f"test_slow_model.py::test_ten_thousand_random_calls_cost_what_the_slow_model_says[{part}]"
        for part in range(1, 50)
    ),
)
KILLED_PER_CENT_MIN = 90
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
    if stale := list(stale_lines()):
        print("explained.txt names breaks that are none:", *stale, sep="\n")
        return 1
    _warm_up()
    explained = set(explained_lines())
    killed = total = unexplained = 0
    for name in names or MODULES:
        module, _, part = name.partition(":")
        source = read_module(module)
        if part.partition("/")[0] in {"", "1"} and _is_killed(module, source):
            print(f"{module}: the tests are red without any mutant")
            return 1
        begin = time.monotonic()
        chosen = _part_of(list(mutants(source)), part)
        survivors = 0
        for mutant in chosen:
            line = f"{module}: {mutant.key}"
            if line in explained:
                survivors += 1
            elif not _is_killed(module, mutant.applied_to(source)):
                survivors += 1
                unexplained += 1
                print(f"SURVIVED {line}", flush=True)
        killed += len(chosen) - survivors
        total += len(chosen)
        seconds = time.monotonic() - begin
        print(
            f"{name}: {len(chosen) - survivors} of {len(chosen)} killed in {seconds:.0f} s",
            flush=True,
        )
    per_cent = 100 * killed / max(total, 1)
    print(f"{killed} of {total} killed: {per_cent:.1f} %; {unexplained} unexplained")
    return 0 if per_cent >= KILLED_PER_CENT_MIN and not unexplained else 1


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
    return (DOMAIN / f"{name}.py").read_text(encoding="utf-8")


def explained_lines() -> list[str]:
    """The survivors that are known, one a line; their reasons stand in comments above them."""
    lines = EXPLAINED.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def stale_lines() -> Iterator[str]:
    """What is explained and is no break of any module."""
    breaks = {f"{name}: {each.key}" for name in MODULES for each in mutants(read_module(name))}
    return (line for line in explained_lines() if line not in breaks)


def _part_of(found: list[Mutant], part: str) -> list[Mutant]:
    """All of them, or every third from the first on for "1/3"."""
    if not part:
        return found
    number, _, parts = part.partition("/")
    return found[int(number) - 1 :: int(parts)]


def _is_killed(name: str, source: str) -> bool:
    """Whether any test goes red, the import fails, or the tests don't end in time."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _test_and_exit(name, source)
    _, status = os.waitpid(child, 0)
    return status != 0


def _test_and_exit(name: str, source: str) -> None:
    """In the child: exit 0 if every test is green."""
    import pytest

    # CPU time, so that a busy machine kills no mutant.
    resource.setrlimit(resource.RLIMIT_CPU, (CHILD_CPU_SECONDS_MAX, CHILD_CPU_SECONDS_MAX))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, _MutatedFinder(f"shared.domain.{name}", source))
    options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist"]
    options += [f"--deselect={UNIT}/{test}" for test in LEFT_OUT]
    rest = [f"{UNIT}/{file}" for file in THEN if file != FIRST[name]]
    code = 1
    try:
        code = int(
            pytest.main([*options, f"{UNIT}/{FIRST[name]}"]) or pytest.main([*options, *rest])
        )
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
