"""One phone call may be many attempts, channels and records: it is charged once, and no attempt
that failed takes the credit of the call that goes on."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.common.kinds import LegKind
from shared.domain.legs.hangup_causes import frees_hold
from shared.domain.legs.leg import QueuedLeg
from tests.support.calls import CARD, PARIS, TOLL, Calls
from tests.support.product import Product

FREEING = [
    *("1", "17", "18", "19", "21", "28", "487", "Q.850;cause=17", 'Q.850;cause=21;text="no"'),
    *("SIP;cause=486", "SIP;cause=603", "SIP 487", "17 USER_BUSY", "486 Busy Here"),
    *("UNALLOCATED_NUMBER", "USER_BUSY", "NO_USER_RESPONSE", "NO_ANSWER", "CALL_REJECTED"),
    *("INVALID_NUMBER_FORMAT", "ORIGINATOR_CANCEL", "user_busy", "User busy", "NO ANSWER"),
    *("NOANSWER", "BUSY", "CANCEL", "Busy Here", "busy", "no-answer", "canceled", "Decline"),
    *("AST_CAUSE_USER_BUSY", "User alerting, no answer", "Unallocated (unassigned) number"),
]
KEEPING = [
    *("2", "3", "16", "20", "22", "27", "31", "34", "38", "41", "42", "44", "58", "88", "102"),
    *("127", "0", "502", "600", "603", "604", "605", "606", "607", "999", "SIP;cause=503"),
    *("NORMAL_TEMPORARY_FAILURE", "NO_ROUTE_DESTINATION", "NORMAL_CIRCUIT_CONGESTION"),
    *("DESTINATION_OUT_OF_ORDER", "NETWORK_OUT_OF_ORDER", "SUBSCRIBER_ABSENT", "LOSE_RACE"),
    *("RECOVERY_ON_TIMER_EXPIRE", "PICKED_OFF", "SWITCH_CONGESTION", "USER_NOT_REGISTERED"),
    *("GATEWAY_DOWN", "PROGRESS_TIMEOUT", "ALLOTTED_TIMEOUT", "NORMAL_UNSPECIFIED", "CONGESTION"),
    *("CHANUNAVAIL", "FAILED", "MANAGER_REQUEST", "MEDIA_TIMEOUT", "INCOMPATIBLE_DESTINATION"),
    *("NORMAL_CLEARING", "Service Unavailable", "a word of tomorrow", "busy?no", "SIP;cause=17"),
    *("Q.850;cause=486", "٧١", "1717"),
]


@pytest.fixture
def calls() -> Iterator[Calls]:
    app = Product()
    yield Calls(app)
    app.close()


def charge(calls: Calls, queued: QueuedLeg) -> Any:
    """What becomes of a leg; the hold book has caught up then."""
    app = calls.app
    (outcome,) = app.run(app.container.charge_legs([queued], seconds=60))
    app.run(app.container.holds.catch_up("contoso"))
    return outcome


def shown(calls: Calls, queued: QueuedLeg) -> Any:
    answer = calls.app.get(f"/api/v1/accounts/contoso/legs/{queued.leg.key}")
    assert answer.status == 200, answer.body
    return answer.json


def failed(calls: Calls, authorization: str | None, cause: str | None, **more: Any) -> QueuedLeg:
    return calls.ended(authorization, answered_at=None, talk_seconds=0, hangup_cause=cause, **more)


def held(calls: Calls) -> str:
    return str(calls.account()["held"])


def debits(calls: Calls) -> list[str]:
    answer = calls.app.get("/api/v1/accounts/contoso/entries?kind=debit&limit=1000")
    return [entry["amount"] for entry in answer.json["items"] if entry["amount"] != "0.00"]


@pytest.mark.parametrize("cause", [None, "", "  ", *FREEING])
def test_a_cause_of_the_called_party_frees_the_hold(cause: str | None) -> None:
    assert frees_hold(cause)


@pytest.mark.parametrize("cause", KEEPING)
def test_a_cause_of_the_route_or_of_a_race_keeps_the_hold(cause: str) -> None:
    assert not frees_hold(cause)


@pytest.mark.parametrize(
    ("cause", "is_free"),
    [*((each, True) for each in (None, "17", "NO_ANSWER", "ORIGINATOR_CANCEL")),
     *((each, False) for each in ("41", "NORMAL_TEMPORARY_FAILURE", "LOSE_RACE", "who knows"))],
)  # fmt: skip
def test_an_unanswered_attempt_frees_the_hold_or_leaves_it_to_the_answered_one(
    calls: Calls, cause: str | None, is_free: bool
) -> None:
    authorization = calls.authorise()["authorization"]

    charge(calls, failed(calls, authorization, cause))

    assert held(calls) == ("0.00" if is_free else "0.20")
    assert calls.extend(authorization, 1800).status == (409 if is_free else 200)
    answered = calls.ended(authorization)
    charge(calls, answered)
    assert shown(calls, answered)["flags"] == (["hold_released"] if is_free else [])
    assert held(calls) == "0.00"


def test_the_credit_of_a_call_that_goes_on_is_not_granted_again(calls: Calls) -> None:
    calls.app.post(
        "/api/v1/accounts/contoso/adjustments",
        {"amount": "-9.75", "reason": "leaves 0.25"},
        headers={"idempotency-key": "less"},
    )
    authorization = calls.authorise()["authorization"]
    charge(calls, failed(calls, authorization, "NORMAL_TEMPORARY_FAILURE"))
    assert calls.authorise()["reason"] == "credit_exhausted"
    charge(calls, calls.ended(authorization))
    assert calls.account()["balance"] == "0.16"


@pytest.mark.parametrize("cause", ["NO_ANSWER", "NORMAL_TEMPORARY_FAILURE"])
def test_a_hold_found_by_the_leg_id_shows_its_authorization(calls: Calls, cause: str) -> None:
    authorization = calls.authorise(leg_id="mine")["authorization"]
    other = failed(calls, None, cause, leg_id="other")
    charge(calls, other)
    assert held(calls) == "0.20"
    assert shown(calls, other)["authorization"] is None
    mine = calls.ended(leg_id="mine")
    charge(calls, mine)
    assert shown(calls, mine)["authorization"] == authorization
    assert held(calls) == "0.00"


@pytest.mark.parametrize(("cause", "left"), [("NO_ANSWER", "0.00"), ("LOSE_RACE", "0.20")])
def test_the_cause_decides_for_a_hold_found_by_the_leg_id_too(
    calls: Calls, cause: str, left: str
) -> None:
    calls.authorise(leg_id="mine")
    charge(calls, failed(calls, None, cause, leg_id="mine"))
    assert held(calls) == left


def test_a_leg_after_its_hold_expired_states_it(calls: Calls) -> None:
    authorization = calls.authorise()["authorization"]
    calls.app.clock.advance(900 + 120 + 900)
    leg = calls.ended(authorization)
    charge(calls, leg)
    assert shown(calls, leg)["flags"] == ["late", "hold_expired"]


def test_a_leg_after_a_release_states_it(calls: Calls) -> None:
    authorization = calls.authorise()["authorization"]
    assert calls.release(authorization).status == 200
    leg = calls.ended(authorization)
    charge(calls, leg)
    assert shown(calls, leg)["flags"] == ["hold_released"]


def test_a_second_answered_leg_of_an_authorization_is_parked(calls: Calls) -> None:
    authorization = calls.authorise()["authorization"]
    first, twin = calls.ended(authorization), calls.ended(authorization)

    assert charge(calls, first).status == "charged"
    outcome = charge(calls, twin)

    assert (outcome.status, outcome.parked.reason) == ("parked", "authorization_used")
    assert first.leg.key in outcome.parked.detail
    assert charge(calls, first).status == "repeated"
    assert len(debits(calls)) == 1
    assert calls.app.get("/api/v1/accounts/contoso/verify").json["problems"] == []


def test_a_parked_twin_is_charged_once_its_authorization_is_dropped(calls: Calls) -> None:
    """Where it was a call of its own; where it was not, it is dismissed."""
    authorization = calls.authorise()["authorization"]
    twin = calls.ended(authorization)
    charge(calls, calls.ended(authorization))
    parked = charge(calls, twin).parked
    path = f"/api/v1/parked-legs/{parked.id}/replay"
    assert calls.app.post(path, {}).json["reason"] == "authorization_used"
    replayed = calls.app.post(path, {"leg": {"authorization": None}})
    assert replayed.json["status"] == "replayed", replayed.body
    assert len(debits(calls)) == 2


def test_a_leg_that_came_in_under_a_dial_outs_authorization_is_the_dial_out(calls: Calls) -> None:
    authorization = calls.authorise()["authorization"]
    inbound = calls.ended(authorization, kind=LegKind.DIAL_IN)
    charge(calls, inbound)
    assert shown(calls, inbound)["kind"] == "dial_out"
    outcome = charge(calls, calls.ended(authorization))
    assert outcome.parked.reason == "authorization_used"
    assert len(debits(calls)) == 1


def test_a_caller_to_another_number_under_a_dial_outs_authorization_is_parked(
    calls: Calls,
) -> None:
    authorization = calls.authorise()["authorization"]
    inbound = calls.ended(authorization, kind=LegKind.DIAL_IN, to_number=TOLL)
    assert charge(calls, inbound).parked.reason == "inconsistent"
    assert held(calls) == "0.20"
    assert charge(calls, calls.ended(authorization)).status == "charged"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_three_answered_channels_of_one_call_are_one_debit_in_any_order(
    calls: Calls, order: Sequence[int]
) -> None:
    authorization = calls.authorise()["authorization"]
    channels = [
        calls.ended(authorization),
        calls.ended(authorization, kind=LegKind.DIAL_IN),
        calls.ended(authorization, kind=None, from_number=None),
    ]
    outcomes = [charge(calls, channels[index]) for index in order]
    assert [outcome.status for outcome in outcomes] == ["charged", "parked", "parked"]
    assert len(debits(calls)) == 1


def test_twins_in_one_batch_and_in_two_processes_are_one_debit(calls: Calls) -> None:
    app = calls.app
    other = Product(app.tables, app.clock, topic=calls.topic)
    for _ in range(5):
        authorization = calls.authorise()["authorization"]
        twins = [calls.ended(authorization) for _ in range(8)]

        async def both(twins: list[QueuedLeg] = twins) -> list[Any]:
            halves = await asyncio.gather(
                app.container.charge_legs(twins[:4], seconds=60),
                other.container.charge_legs(twins[4:], seconds=60),
            )
            return [outcome for half in halves for outcome in half]

        outcomes = app.run(both())
        assert sorted(outcome.status for outcome in outcomes) == ["charged", *["parked"] * 7]
    assert len(debits(calls)) == 5
    assert app.get("/api/v1/accounts/contoso/verify").json["problems"] == []


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("failed"), st.sampled_from([None, *FREEING[:6], *KEEPING[:6]])),
        st.tuples(st.just("answered"), st.sampled_from([0, 5, 183])),
        st.tuples(st.just("answered_in"), st.just(183)),
        st.tuples(st.just("again"), st.integers(0, 5)),
        st.tuples(st.just("release"), st.none()),
        st.tuples(st.just("later"), st.sampled_from([60, 1000, 5000])),
        st.tuples(st.just("extend"), st.sampled_from([600, 1800, 3600])),
        st.tuples(st.just("by leg id"), st.none()),
        st.tuples(st.just("other content"), st.integers(0, 5)),
        st.tuples(st.just("voip"), st.none()),
        st.tuples(st.just("replay"), st.none()),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_one_phone_call_is_one_charge_and_its_hold_stays_while_it_may_run(
    steps: list[tuple[str, Any]],
) -> None:
    """Any order of attempts, twins, extensions, releases, corrections and late records of one
    authorization, whether a leg names it or is found by its id."""
    app = Product()
    try:
        calls = Calls(app)
        authorization = calls.authorise(leg_id="placed")["authorization"]
        start = app.clock.now()
        expires_at = start + timedelta(seconds=900 + 120 + 900)
        posted: list[QueuedLeg] = []
        charged = 0
        is_open = True
        for step, value in steps:
            if step == "later":
                app.clock.advance(value)
            elif step == "release":
                assert calls.release(authorization).status == 200
                is_open = False
            elif step == "extend":
                is_held = is_open and app.clock.now() < expires_at
                extended = calls.extend(authorization, value)
                assert extended.status == (200 if is_held else 409)
                if is_held:
                    seconds = extended.json["granted_seconds"]
                    ends = start + timedelta(seconds=seconds + 120 + 900)
                    expires_at = max(expires_at, ends)
            elif step == "voip":
                charge(calls, calls.ended(authorization, kind=LegKind.VOIP, to_number=None))
            elif step == "other content" and posted:
                queued = posted[value % len(posted)]
                other = replace(queued, leg=replace(queued.leg, organizer="somebody else"))
                assert charge(calls, other).status == "parked"
            elif step == "replay":
                for item in app.get("/api/v1/parked-legs?status=open").json["items"]:
                    app.post(f"/api/v1/parked-legs/{item['id']}/replay", {})
            elif step == "again" and posted:
                assert charge(calls, posted[value % len(posted)]).status != "charged"
            elif step == "failed":
                posted.append(failed(calls, authorization, value))
                charge(calls, posted[-1])
                is_open = is_open and not frees_hold(value)
            elif step in {"answered", "answered_in", "by leg id"}:
                kind = LegKind.DIAL_IN if step == "answered_in" else LegKind.DIAL_OUT
                facts = {"talk_seconds": value, "kind": kind}
                if step == "by leg id":
                    if any(each.leg.leg_id == "placed" for each in posted):
                        continue
                    facts = {"leg_id": "placed"}
                named = None if step == "by leg id" else authorization
                posted.append(calls.ended(named, **facts))
                outcome = charge(calls, posted[-1])
                assert outcome.status == ("parked" if charged else "charged")
                charged += 1
                is_open = False
            is_held = is_open and app.clock.now() < expires_at
            assert (Decimal(held(calls)) > 0) == is_held
            assert len(debits(calls)) <= 1
        assert app.get("/api/v1/accounts/contoso/verify").json["problems"] == []
    finally:
        app.close()


def test_a_voip_leg_neither_settles_nor_frees_the_hold_of_the_phone_leg(calls: Calls) -> None:
    authorization = calls.authorise(PARIS)["authorization"]
    charge(calls, calls.ended(authorization, kind=LegKind.VOIP))
    assert held(calls) == "0.30"
    assert charge(calls, calls.ended(authorization, to_number=PARIS)).status == "charged"


@pytest.mark.parametrize("default", [None, "fabrikam"])
def test_a_leg_that_names_no_account_is_of_the_account_for_which_the_call_was_allowed(
    calls: Calls, default: str | None
) -> None:
    """The default account of the bridge has no hold for it."""
    calls.app.account("fabrikam", rate_card=CARD)
    if default is not None:
        path = "/api/v1/bridges/pbx"
        patch = {"default_account": default}
        assert calls.app.call("PATCH", path, patch).status == 200
    for leg in (
        calls.ended(calls.authorise()["authorization"], account=None),
        calls.ended(
            calls.come_in()["authorization"],
            account=None,
            kind=LegKind.DIAL_IN,
            to_number=TOLL,
            organizer=None,
        ),
    ):
        outcome = charge(calls, leg)
        assert (outcome.status, outcome.account) == ("charged", "contoso")
    assert held(calls) == "0.00"
