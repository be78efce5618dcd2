"""The places of the planted bugs are where `make planted` searches for them."""

from pathlib import Path

import pytest

from tests.planted.bugs import BUGS, UNIT, Bug

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_has_its_one_place(bug: Bug) -> None:
    assert (ROOT / bug.file).read_text("utf-8").count(bug.old) == 1
    assert f"def {bug.test}(" in (ROOT / UNIT / bug.tests).read_text("utf-8")


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 12
    assert len({bug.name for bug in BUGS}) == len(BUGS)
