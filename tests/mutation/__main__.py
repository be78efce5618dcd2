"""Breaks the engine in every small way and tells which breaks no test notices.

`python -m tests.mutation [MODULE…]`, e.g. `tariff`. Each mutant is tested in a child process of its
own, which stops at the first red test. Survivors must stand in `explained.txt` with their reason;
exit 0 only if at least 90 % are killed and every survivor is explained.
"""

import importlib
import importlib.abc
import importlib.machinery
import os
import resource
import sys
import time
from collections.abc import Sequence
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
EXPLAINED = Path(__file__).with_name("explained.txt")
DOMAIN = ROOT / "shared/domain"
UNIT = "tests/unit/rating"
MODULES = ("money", "terms", "bands", "tariff", "rate_index", "rate_packing", "rates", "rating")
# The file that knows the module best comes first: most mutants die there.
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
    *(
        f"test_slow_model.py::test_ten_thousand_random_calls_cost_what_the_slow_model_says[{part}]"
        for part in range(1, 10)
    ),
)
KILLED_PER_CENT_MIN = 90
CHILD_CPU_SECONDS_MAX = 15


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
    for warm in ("pytest", "hypothesis", "pydantic", "phonenumbers"):
        importlib.import_module(warm)
    explained = _explained()
    killed = total = 0
    unexplained: list[str] = []
    for name in names or MODULES:
        begin = time.monotonic()
        survivors: list[Mutant] = []
        source = (DOMAIN / f"{name}.py").read_text(encoding="utf-8")
        if _is_killed(name, Mutant(0, "nothing", source, "")):
            print(f"{name}: the tests are red without any mutant")
            return 1
        found = list(mutants(source))
        for mutant in found:
            if not _is_killed(name, mutant):
                survivors.append(mutant)
                known = f"{name}: {mutant.key}" in explained
                print(f"{'explained' if known else 'SURVIVED'} {name}: {mutant.key}", flush=True)
                if not known:
                    unexplained.append(mutant.key)
        killed += len(found) - len(survivors)
        total += len(found)
        print(
            f"{name}: {len(found) - len(survivors)} of {len(found)} killed "
            f"in {time.monotonic() - begin:.0f} s",
            flush=True,
        )
    per_cent = 100 * killed / max(total, 1)
    print(f"{killed} of {total} killed: {per_cent:.1f} %; {len(unexplained)} unexplained")
    return 0 if per_cent >= KILLED_PER_CENT_MIN and not unexplained else 1


def _explained() -> set[str]:
    """The survivors that are known, one a line; their reasons stand in comments above them."""
    lines = EXPLAINED.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def _is_killed(name: str, mutant: Mutant) -> bool:
    """Whether any test goes red, the import fails, or the tests don't end in time."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _test_and_exit(name, mutant)
    _, status = os.waitpid(child, 0)
    return status != 0


def _test_and_exit(name: str, mutant: Mutant) -> None:
    """In the child: exit 0 if every test is green."""
    import pytest

    # CPU time, so that a busy machine kills no mutant.
    resource.setrlimit(resource.RLIMIT_CPU, (CHILD_CPU_SECONDS_MAX, CHILD_CPU_SECONDS_MAX))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, _MutatedFinder(f"shared.domain.{name}", mutant.source))
    files = dict.fromkeys([FIRST[name], *THEN])
    code = 1
    try:
        options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist"]
        options += [f"--deselect={UNIT}/{test}" for test in LEFT_OUT]
        code = int(pytest.main([*options, *(f"{UNIT}/{file}" for file in files)]))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
