"""The process of a planted bug, which is forked from one that has the product imported."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType

from tests.planted.bugs import UNIT, Bug

ROOT = Path(__file__).resolve().parent.parent.parent
SIM_SEEDS = 120
OUTPUT = "output.txt"


def apart(folder: str, run: Callable[[Bug], int], bug: Bug) -> None:
    """The process: output and the examples of Hypothesis are in its own folder."""
    from hypothesis.configuration import set_hypothesis_home_dir

    set_hypothesis_home_dir(folder)
    os.environ["COLUMNS"] = "300"
    with (Path(folder) / OUTPUT).open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.exit(run(bug))


def run_test(bug: Bug) -> int:
    """The exit code of pytest, which prints the test that fails and its error."""
    import pytest

    _plant(bug)
    without = ("randomly", "cacheprovider", "xdist", "unraisableexception")
    options = [
        "-x",
        "-q",
        "--tb=native",
        "--hypothesis-seed=0",
        *(f"-pno:{each}" for each in without),
    ]
    return int(pytest.main([*options, f"{UNIT}{bug.tests}::{bug.test}"]))


def run_seeds(bug: Bug) -> int:
    """0; prints the seed that shows the bug: its own, or else, as workloads change, another one."""
    from tests.sim.run import simulate_quietly, spare_the_collector

    _plant(bug)
    spare_the_collector()
    assert bug.seed is not None
    for seed in (bug.seed, *range(SIM_SEEDS)):
        if simulate_quietly(seed).problems:
            print(f"seed {seed}")
            break
    return 0


def _plant(bug: Bug) -> None:
    """Give each function of this process that the bug changes its changed code."""
    text = (ROOT / bug.file).read_text("utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its place is {text.count(bug.old)} times in {bug.file}")
    before = _codes(compile(text, bug.file, "exec", dont_inherit=True))
    after = _codes(compile(text.replace(bug.old, bug.new), bug.file, "exec", dont_inherit=True))
    changed = {old: after[name] for name, old in before.items() if after.get(name, old) != old}
    module = bug.file.removesuffix(".py").replace("/", ".")
    found = [each for each in gc.get_objects() if type(each) is FunctionType]
    functions = [each for each in found if each.__module__ == module and each.__code__ in changed]
    if not functions:
        raise ValueError(f"{bug.name}: no function of {module} is changed")
    for function in functions:
        function.__code__ = changed[function.__code__]


def _codes(module: CodeType) -> dict[tuple[str, int], CodeType]:
    """The code of every function, by its name and its number among those of the same name."""
    found: dict[tuple[str, int], CodeType] = {}
    names: Counter[str] = Counter()
    waiting = [module]
    while waiting:
        for inner in waiting.pop(0).co_consts:
            if isinstance(inner, CodeType):
                found[inner.co_qualname, names[inner.co_qualname]] = inner
                names[inner.co_qualname] += 1
                waiting.append(inner)
    return found
