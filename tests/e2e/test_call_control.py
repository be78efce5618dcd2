"""Calls in progress over the whole stack: seconds left, the alert, and the demo's bridge that hangs
up where Perminute says so."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from local.demo.control import DemoCall, HangingUpBridge
from local.demo.wire import Admin as DemoAdmin
from local.demo.wire import BridgeClient as DemoBridge
from local.demo.wire import standard_webhooks
from tests.e2e.deployment import LONDON, Deployment, card, rate, slot
from tests.support.client import Json, eventually, unique

pytestmark = pytest.mark.extended
WITHIN_SECONDS = 2.0
WAIT_SECONDS = 60.0
CARD = "five-cents"


@pytest.fixture(scope="module")
def bridge(deployment: Deployment) -> Iterator[HangingUpBridge]:
    """The demo's bridge, with a control URL."""
    version = card(rate("44", slot("0.05", 1)))
    deployment.admin.put(f"rate-cards/{CARD}/versions/2020-01-01T00:00:00Z", version)
    signing = deployment.new_bridge(accounts=["*"])
    admin = DemoAdmin(deployment.stack.base_url, deployment.stack.admin_key)
    wire = DemoBridge(deployment.stack.base_url, signing.name, standard_webhooks(signing.secret))
    hanging_up = HangingUpBridge(admin, wire)
    yield hanging_up
    hanging_up.close()


def question(deployment: Deployment, account: str, seconds: int = 240) -> Json:
    organizer = deployment.organizer(account)
    requested = {"to": LONDON, "account": account, "organizer_id": organizer}
    return {**requested, "requested_seconds": seconds}


def ended(call: DemoCall) -> Json:
    assert eventually(lambda: call.ended_by, WAIT_SECONDS), "call.end did not come"
    return call.ended_by


def test_three_legs_at_five_cents_a_minute_last_400_seconds_on_a_dollar(
    deployment: Deployment, bridge: HangingUpBridge
) -> None:
    rules = [{"name": "soon", "minutes_left": 6}]
    account = deployment.account("1.00", rate_card=CARD, alerts=rules)
    requested = question(deployment, account)
    begun = time.monotonic()
    calls = [bridge.dial(requested) for _ in range(3)]

    body: Any = deployment.admin.get(f"accounts/{account}/calls")
    took = time.monotonic() - begun
    assert (body["burn_per_minute"], len(body["items"])) == ("0.15", 3)
    assert 400 - took - 1 <= body["seconds_left"] <= 400
    assert body["shedding_order"] == [item["authorization"] for item in body["items"]]

    def running_out() -> list[Json]:
        events = deployment.topic.events(account)
        return [event for event in events if event["type"] == "credits.running_out"]

    assert eventually(running_out, 2 * WAIT_SECONDS)
    (event,) = running_out()
    order = [call["authorization"] for call in event["data"]["calls"]]
    assert sorted(order) == sorted(call.authorization for call in calls)
    assert event["data"]["seconds_left"] <= 360
    deployment.admin.request("POST", f"accounts/{account}/dial-out-policy/stop", {"reason": "end"})
    for call in calls:
        ended(call)


def test_after_a_stop_the_bridge_hangs_up_and_the_leg_is_charged(
    deployment: Deployment, bridge: HangingUpBridge
) -> None:
    account = deployment.account("1.00", rate_card=CARD)
    policy = f"accounts/{account}/dial-out-policy"
    waits: list[float] = []
    for _ in range(3):  # a busy machine may be late once
        call = bridge.dial(question(deployment, account))
        bridge.answer(call)
        stopped = time.monotonic()
        answer = deployment.admin.request("POST", f"{policy}/stop", {"reason": unique("odd")})
        assert answer.status == 200
        data = ended(call)["data"]
        waits.append(call.ended - stopped)
        assert data["reason"] == "dial_out_stopped"
        assert data["leg_id"] == call.leg_id
        assert deployment.leg(account, call.leg_id, bridge._bridge.name)["status"] == "charged"
        assert deployment.admin.request("POST", f"{policy}/restart", {}).status == 200
    print(f"call.end came after {', '.join(f'{wait:.3f}' for wait in waits)} s")
    assert min(waits) < WITHIN_SECONDS
    assert deployment.admin.get(f"accounts/{account}/calls")["items"] == []


def test_a_short_grant_is_warned_of_and_ended_after_a_restart_of_the_process(
    deployment: Deployment, bridge: HangingUpBridge
) -> None:
    account = deployment.account("0.02", rate_card=CARD)
    call = bridge.dial(question(deployment, account, 900))
    assert deployment.admin.get(f"accounts/{account}")["held"] == "0.02"
    assert eventually(
        lambda: call.authorization in [each["data"]["authorization"] for each in bridge.warnings],
        WAIT_SECONDS,
    )
    deployment.stack.restart("http")
    data = eventually(lambda: call.ended_by, 3 * WAIT_SECONDS)["data"]
    assert data["reason"] == "credit_exhausted"
    assert eventually(
        lambda: Decimal(deployment.admin.get(f"accounts/{account}")["held"]) == 0, WAIT_SECONDS
    )
