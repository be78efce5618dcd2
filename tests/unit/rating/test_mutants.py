"""The breaks that the mutation run makes, and the list of those that no one can notice."""

import ast

from tests.mutation.__main__ import MODULES, explained_lines, read_module, stale_lines
from tests.mutation.mutants import mutants

SOURCE = '''
def least(values, low=1):
    """No mutant in here: 1 < 2."""
    for value in values:
        if value <= low:
            return min(value, low + 1)
    return None
'''


def test_every_decision_is_broken_once() -> None:
    """Comparisons, arithmetic, constants, conditions, results; docstrings stay."""
    found = [each.key for each in mutants(SOURCE)]

    assert sorted(found) == sorted([
        "def least(values, low=1): => plus one",
        "if value <= low: => condition negated",
        "if value <= low: => Lt",
        "return min(value, low + 1) => returns None",
        "return min(value, low + 1) => max",
        "return min(value, low + 1) => Sub",
        "return min(value, low + 1) => plus one",
    ])  # fmt: skip


def test_a_mutant_is_the_module_with_one_break() -> None:
    """It compiles, and nothing else has changed."""
    unbroken = ast.unparse(ast.parse(SOURCE)).splitlines()
    for mutant in mutants(SOURCE):
        broken = mutant.applied_to(SOURCE)
        compile(broken, "mutant", "exec")
        pairs = zip(unbroken, broken.splitlines(), strict=True)
        assert sum(before != after for before, after in pairs) == 1, mutant


def test_every_explained_survivor_is_a_break_of_today() -> None:
    """A change of such a line removes its explanation, or rewrites it."""
    assert list(stale_lines()) == []
    assert {line.partition(":")[0] for line in explained_lines()} <= set(MODULES)
    assert all(mutants(read_module(name)) for name in MODULES)
