"""No false alarm: whatever an account lives through, its receipts and months verify."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proof.histories import BASE, History

FIRST, ALL = 3, 300


@pytest.fixture(scope="module")
def tools() -> Iterator[Any]:
    """The modules of the two verifiers."""
    folder = str(Path(__file__).parents[2] / "tools")
    sys.path.insert(0, folder)
    import verify_month
    import verify_receipt

    yield verify_receipt, verify_month
    sys.path.remove(folder)


def check(seed: int, tools: Any) -> tuple[int, int]:
    """(receipts, months) that were verified; raises `Wrong` at the first alarm."""
    verify_receipt, verify_month = tools
    with History(seed) as history:
        history.play(is_closed=seed % 3 > 0)
        assert history.sound()
        keys = history.proof_keys()
        receipts = history.receipts()
        roots = [root for each in receipts for root in verify_receipt.verify(each, keys)]
        verify_receipt.compare(roots)
        months = history.months()
        for lines in months:
            verify_month.verify(lines, keys)
        assert history.get(f"{BASE}/verify").json["problems"] == []
    return len(receipts), len(months)


@pytest.mark.parametrize("seed", range(FIRST))
def test_a_history_verifies(seed: int, tools: Any) -> None:
    receipts, months = check(seed, tools)
    assert receipts > 0
    assert months > 0


@pytest.mark.extended
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(10))
def test_no_history_raises_a_false_alarm(part: int, tools: Any) -> None:
    size = (ALL - FIRST) // 10 + 1
    first = FIRST + part * size
    verified = [check(seed, tools) for seed in range(first, min(first + size, ALL))]
    assert sum(receipts for receipts, _ in verified) > len(verified)
