"""Bridges that report a leg in several events, on the running product: timer, wait, one charge."""

import base64
import hmac
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.e2e.deployment import LONDON, Deployment, london_price
from tests.support.client import Answer, Json, unique

TOKEN = "an-auth-token-of-the-vendor"


class Twilio:
    """A Twilio account that posts to one bridge."""

    def __init__(self, deployment: Deployment, **settings: Any) -> None:
        self.deployment = deployment
        self.name, self.account = unique("tw"), deployment.account()
        body = {
            "dialect": "twilio",
            "auth": {"scheme": "twilio", "secrets": [TOKEN]},
            "accounts": [self.account],
            "default_account": self.account,
            "wait_seconds": 3,
            **settings,
        }
        deployment.admin.put(f"bridges/{self.name}", body)
        self.ended = format_datetime(datetime.now(UTC).replace(microsecond=0))

    def post(self, **fields: str) -> Answer:
        path = f"/api/v1/bridges/{self.name}/call-ended"
        signed = f"{self.deployment.http.base_url}{path}" + "".join(
            name + fields[name] for name in sorted(fields)
        )
        mac = hmac.new(TOKEN.encode(), signed.encode(), "sha1").digest()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": base64.b64encode(mac).decode(),
        }
        return self.deployment.http.send("POST", path, urlencode(fields).encode(), headers)

    def completed(self, call: str) -> Answer:
        return self.post(
            CallSid=call,
            To=LONDON,
            From="+33170180055",
            Direction="outbound-api",
            CallStatus="completed",
            CallDuration="61",
            Timestamp=self.ended,
        )

    def joined(self, call: str) -> Answer:
        return self.post(
            CallSid=call,
            ConferenceSid="CF1",
            FriendlyName=f"{self.name}-room",
            StatusCallbackEvent="participant-join",
            Timestamp=self.ended,
        )

    def charge(self, call: str) -> Json:
        return self.deployment.leg(self.account, call, self.name)


@pytest.mark.parametrize("is_conference_first", [False, True])
def test_callbacks_of_a_call_are_one_charge(
    deployment: Deployment, *, is_conference_first: bool
) -> None:
    twilio = Twilio(deployment, wait_seconds=600)
    call = unique("CA")
    posts = [twilio.joined, twilio.completed]
    for post in posts if is_conference_first else reversed(posts):
        assert post(call).status == 202
        assert post(call).status == 202
    charge = twilio.charge(call)
    assert Decimal(charge["amount"]) == london_price(61)
    assert charge["conference"] == f"{twilio.name}-room"
    assert len(deployment.debits(twilio.account, 1)) == 1


@pytest.mark.extended
@pytest.mark.extended
def test_a_leg_without_its_conference_is_charged_by_the_timer(deployment: Deployment) -> None:
    twilio = Twilio(deployment)
    call = unique("CA")
    assert twilio.completed(call).json()["legs"][0]["status"] == "waiting"
    charge = twilio.charge(call)
    assert "conference_unknown" in charge["flags"]
    assert len(deployment.debits(twilio.account, 1)) == 1


@pytest.mark.extended
def test_a_leg_that_only_its_conference_can_assign_is_incomplete_until_it_comes(
    deployment: Deployment,
) -> None:
    twilio = Twilio(deployment, default_account=None)
    call = unique("CA")
    twilio.completed(call)
    parked = deployment.parked(call, twilio.name)
    assert (parked["reason"], parked["status"]) == ("incomplete", "open")
    path = f"accounts/{twilio.account}/conferences/{twilio.name}-room"
    deployment.admin.put(path, {"organizer": "ann@example.com"})
    twilio.joined(call)
    assert Decimal(twilio.charge(call)["amount"]) == london_price(61)
    [closed] = deployment.all_parked(call, twilio.name)
    assert closed["status"] == "replayed"
