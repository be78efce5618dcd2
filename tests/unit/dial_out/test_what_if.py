"""What another policy would have denied of past dial-outs, and saved."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.domain.common import limits
from tests.support.calls import LONDON, NEW_YORK, PARIS, Calls
from tests.support.product import Product


@pytest.fixture
def calls() -> Iterator[Calls]:
    app = Product()
    yield Calls(app)
    app.close()


def what_if(calls: Calls, /, period: Any = None, **policy: Any) -> Any:
    answer = calls.control("what-if", {"policy": policy} | (period or {}))
    assert answer.status == 200, answer.body
    return answer.json


def test_lists_would_have_denied_and_saved(calls: Calls) -> None:
    for to in (LONDON, LONDON, PARIS, NEW_YORK):
        calls.charged(to_number=to)
    found = what_if(calls, blocked_regions=["GB"], max_price_per_minute="0.05")
    assert (found["legs"], found["denied"], found["saved"]) == (4, 3, "0.58")
    assert found["by_reason"] == {
        "rate_over_ceiling": {"legs": 1, "saved": "0.40"},
        "region_blocked": {"legs": 2, "saved": "0.18"},
    }
    assert found["items"][0]["reason"] == "region_blocked"
    assert "more" in found
    assert calls.dial_out_state()["open"] == []


def test_the_policy_in_force_stays_and_an_empty_one_denies_nothing(calls: Calls) -> None:
    calls.charged()
    found = what_if(calls)
    assert (found["legs"], found["denied"], found["items"]) == (1, 0, [])
    assert calls.authorise()["decision"] == "allow"


def test_a_budget_is_counted_over_the_calls_that_it_lets_through(calls: Calls) -> None:
    """Each call cost 0.09: two fit into 0.20, day by day."""
    clock = calls.app.clock
    for _ in range(2):
        for _ in range(3):
            clock.advance(600)
            calls.charged()
        clock.advance(24 * 3600)
    found = what_if(calls, budgets={"day": {"amount": "0.20"}})
    assert (found["denied"], found["saved"]) == (2, "0.18")
    assert set(found["by_reason"]) == {"budget_exceeded"}


def test_velocity_is_counted_too(calls: Calls) -> None:
    for _ in range(3):
        calls.charged()
    assert what_if(calls, velocity={"concurrent": 2})["denied"] == 1
    calls.app.clock.advance(600)
    calls.charged()
    assert what_if(calls, velocity={"concurrent": 2})["denied"] == 1
    assert what_if(calls, velocity={"per_hour": 1})["denied"] == 3


def test_the_breaker_would_have_stopped_dial_out_for_an_hour(calls: Calls) -> None:
    for seconds in (0, 600, 600, 3600):
        calls.app.clock.advance(seconds)
        calls.charged(talk_seconds=60)
    found = what_if(calls, velocity={"cost_per_ten_minutes": "0.05"})
    assert {item["reason"] for item in found["items"]} == {"dial_out_stopped"}
    assert found["denied"] == 2


def test_only_the_period_is_evaluated(calls: Calls) -> None:
    calls.charged()
    calls.app.clock.advance(3600)
    calls.charged()
    period = {"from": "2026-11-23T10:30:00Z"}
    assert what_if(calls, period, blocked_regions=["GB"])["denied"] == 1
    period = {"to": "2026-11-23T10:30:00Z"}
    assert what_if(calls, period, blocked_regions=["GB"])["denied"] == 1
    assert calls.control("what-if", {"policy": {}, "from": "yesterday"}).status == 422


def test_a_period_with_more_calls_than_are_judged_states_it(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        calls.charged()
    assert (what_if(calls)["legs"], what_if(calls)["more"]) == (3, False)
    monkeypatch.setattr(limits, "WHAT_IF_LEGS_MAX", 2)
    assert (what_if(calls)["legs"], what_if(calls)["more"]) == (2, True)
    monkeypatch.setattr(limits, "WHAT_IF_DEBITS_MAX", 1)
    assert (what_if(calls)["legs"], what_if(calls)["more"]) == (1, True)


def test_a_leg_whose_number_was_erased_is_not_judged(calls: Calls) -> None:
    calls.charged()
    erased = calls.app.post("/api/v1/accounts/contoso/erasures", {"number": LONDON})
    assert erased.status == 200, erased.body
    found = what_if(calls, blocked_regions=["GB"])
    assert (found["legs"], found["unknown"], found["denied"]) == (0, 1, 0)


def test_readers_may_simulate_and_unknown_accounts_are_not_found(calls: Calls) -> None:
    key = calls.app.api_key("reader")
    path = "/api/v1/accounts/{}/dial-out-policy/what-if"
    assert calls.app.post(path.format("contoso"), {"policy": {}}, key=key).status == 200
    assert calls.app.post(path.format("nobody"), {"policy": {}}).status == 404


def test_legs_are_read_together_not_one_by_one(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(40):
        calls.charged()
    reads: list[str] = []
    tables = calls.app.tables
    for name in ("get", "query"):
        method = getattr(tables, name)

        async def counted(*key: Any, method: Any = method, name: str = name, **more: Any) -> Any:
            reads.append(name)
            return await method(*key, **more)

        monkeypatch.setattr(tables, name, counted)

    assert what_if(calls, blocked_regions=["GB"])["denied"] == 40

    assert len(reads) <= 10


def test_a_number_is_tried_with_every_check_and_nothing_is_kept(calls: Calls) -> None:
    calls.organizer("maria")
    organizer = {"organizer_id": "maria"}
    tried = calls.control("try", {"to": LONDON, **organizer}).json
    assert (tried["decision"], tried["destination"]["region"]) == ("allow", "GB")
    assert [each["outcome"] for each in tried["checks"]] == ["pass"] * len(tried["checks"])
    assert "authorization" not in tried
    assert calls.dial_out_state()["open"] == []
    assert calls.control("try", {"to": LONDON}).json["reason"] == "organizer_unknown"
    assert calls.control("try", {"to": "112"}).json["reason"] == "emergency_number"
    assert calls.control("try", {"to": LONDON, "colour": "red"}).status == 422
