"""The oracle's cases hold, and its runner reports when they don't."""

import copy
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.__main__ import GOLDEN, main
from tests.oracle.runner import Outcome, run_case

CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case(case: dict[str, Any]) -> None:
    """Exact where the other engine is exact, right where it is wrong."""
    outcome, detail = run_case(case)

    assert outcome is not Outcome.FAILED, detail


def test_only_what_may_be_is_not_applicable() -> None:
    """Free units, forced duration, re-rating, and a case without any interval."""
    skipped = {case["id"] for case in CASES if run_case(case)[0] is Outcome.NOT_APPLICABLE}

    assert skipped == {"B11", "B12", "B13", "D18", "D19", "F03"}


def test_every_kind_runs() -> None:
    """Rates, errors, max usage and debits, the wrong ones among them."""
    counts = Counter(
        (case["kind"], case["class"]) for case in CASES if run_case(case)[0] is Outcome.HELD
    )

    assert counts == {
        ("rate", "exact"): 33,
        ("rate", "increment_prerounding"): 6,
        ("debit", "exact"): 2,
        ("debit", "increment_prerounding"): 1,
        ("max_usage", "authorization"): 6,
        ("error", "error"): 3,
    }


def altered(case_id: str, **changes: object) -> dict[str, Any]:
    case = copy.deepcopy(next(each for each in CASES if each["id"] == case_id))
    return case | changes


@pytest.mark.parametrize(
    "case",
    [
        altered("A01", exact_rounded_once_at_end="2701.0001"),
        altered("A22", exact_rounded_once_at_end="0.3001"),
        altered("A22", expected_cost="0.3"),
        altered("A01", kind="error"),
        altered("A18", balance_after="0.71"),
        altered("B02", expected_max_usage_s=9998),
        altered("B02", expected_max_usage_s=10_000),
        altered("F01", exact_unrounded="0.4666666666666667"),
        altered("A01", destination_prefixes=["0257"]),
    ],
    ids=lambda case: case["id"],
)
def test_a_wrong_expectation_fails(case: dict[str, Any]) -> None:
    """The runner is not green by nature."""
    assert run_case(case)[0] is Outcome.FAILED


def test_a_call_that_no_interval_covers_has_no_rate() -> None:
    """Never silently zero."""
    case = altered("A01", kind="error", exact_rounded_once_at_end=None, exact_unrounded=None)
    case["rate_intervals"] = case["rate_intervals"][:1]
    case["call"]["start"] = "2012-02-04T17:30:00Z"  # a Saturday

    assert run_case(case) == (Outcome.HELD, "")


def test_intervals_can_have_a_maximum_and_dates() -> None:
    """A cap over two slots, and the month days of another interval."""
    case = altered("D04", expected_cost="0.5", exact_rounded_once_at_end="0.5")
    for interval in case["rate_intervals"]:
        interval |= {"max_cost": "0.5", "max_cost_strategy": "*free"}

    assert run_case(case) == (Outcome.HELD, "")


def test_the_command_prints_failures_and_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line per failed case, one for the counts, and the exit code."""
    file = tmp_path / "cases.json"
    file.write_text(
        json.dumps({"cases": [altered("A01"), altered("A02", exact_rounded_once_at_end="1")]})
    )

    assert main([file]) == 1
    assert capsys.readouterr().out == (
        "FAILED A02 (rate): expected 1, got 2700\n1 held, 1 failed, 0 not applicable\n"
    )
    assert main([GOLDEN]) == 0
    file.write_text(json.dumps({"cases": []}))
    assert main([file]) == 1


def test_the_command_runs_as_a_module() -> None:
    """As it stands in the instructions."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.oracle", str(GOLDEN)],
        cwd=GOLDEN.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "51 held, 0 failed, 6 not applicable\n")
