"""A simulated year: every crossing alerted once, no recharge twice, ceilings held, lots expired."""

import os

import pytest

from tests.unit.credits.year import played

ACCOUNTS = int(os.environ.get("YEAR_ACCOUNTS", "200"))
SEED = int(os.environ.get("YEAR_SEED", "1"))


@pytest.mark.extended
@pytest.mark.timeout(max(600, ACCOUNTS * 2))
def test_a_year_of_many_accounts_is_as_the_independent_model_says() -> None:
    year = played(ACCOUNTS, SEED)
    assert year.problems == []
    for what in (
        *("credits.low", "credits.empty", "credits.overdrawn", "credits.expiring"),
        *("recharge.requested", "recharge.succeeded", "recharge.declined", "recharge.suspended"),
        *("recharge.unanswered", "lots expired", "ticks missed", "ticks doubled", "ticks at once"),
        *("died before publishing", "requested in vain", "answers pending", "alerts acknowledged"),
    ):
        assert year.counts[what] > 0, f"the year had no {what}"
