"""Recharges, alerts, webhooks and the outlook, through all processes."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e.deployment import Deployment, leg
from tests.support.client import Json, eventually

AUTO = {"trigger": "20.00", "amount": "50.00", "max_per_day": 2}
DEAR_SECONDS = 60 * 60  # costs 0.77


class Receiver:
    """A customer's server: keeps what it receives and answers as the test says."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append((headers, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on the terminal."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    @property
    def events(self) -> list[Json]:
        return [json.loads(body) for _, body in self.got]

    def of_type(self, kind: str) -> list[Json]:
        return [event for event in self.events if event["type"] == kind]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def signed_by(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Standard Webhooks, as its specification says; shares no code with the product."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{right}" in headers["webhook-signature"].split(" ")


def result(
    deployment: Deployment, recharge: str, status: str, amount: str = "50.00", **more: Any
) -> Json:
    body = {"status": status, "amount": amount, "currency": "USD", **more}
    answer = deployment.admin.request("POST", f"recharges/{recharge}/result", body)
    assert answer.status == 200, answer
    found: Json = answer.json()
    return found


def test_a_recharge_is_requested_by_a_signed_webhook_and_paid_once(
    deployment: Deployment, receiver: Receiver
) -> None:
    account = deployment.account("21.00", auto_recharge=AUTO)
    secret = deployment.admin.put(
        f"accounts/{account}/webhooks/payments",
        {"url": receiver.url, "events": ["recharge.requested"]},
    )["secret"]
    deployment.post(*[leg(account, talk_seconds=DEAR_SECONDS) for _ in range(2)])
    assert eventually(lambda: receiver.got, 15)
    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert signed_by(secret, headers, body)
    assert event["id"] == headers["webhook-id"]
    data = event["data"]
    assert (data["amount"], data["currency"]) == ("50.00", "USD")

    declined = result(deployment, data["recharge"], "declined", reference="card 4242")
    assert declined["status"] == "declined"
    deployment.events(account, {"recharge.declined": 1})

    etag = deployment.admin.get(f"accounts/{account}")["etag"]
    again = {"currency": "USD", "rate_card": "e2e", "usage_location": "FR", "auto_recharge": AUTO}
    answer = deployment.admin.request("PUT", f"accounts/{account}", again, if_match=etag)
    assert answer.status == 200, answer
    assert eventually(lambda: len(receiver.of_type("recharge.requested")) == 2, 15)
    second = receiver.of_type("recharge.requested")[1]["data"]["recharge"]
    paid = [result(deployment, second, "succeeded", reference="card 4343") for _ in range(3)]
    assert paid[0] == paid[1] == paid[2]
    assert deployment.balance(account) == Decimal("21.00") - 2 * Decimal("0.77") + 50
    events = deployment.events(account, {"recharge.succeeded": 1, "credits.topped_up": 2})
    assert [event["type"] for event in events if event["type"].startswith("recharge.")] == [
        *("recharge.requested", "recharge.declined"),
        *("recharge.requested", "recharge.succeeded"),
    ]
    listed = deployment.admin.items(f"accounts/{account}/recharges")
    assert [each["status"] for each in listed] == ["succeeded", "declined"]
    deployment.verified(account)


@pytest.mark.extended
def test_a_webhook_that_fails_at_first_gets_the_event_again_within_ten_seconds(
    deployment: Deployment, receiver: Receiver
) -> None:
    account = deployment.account(None)
    deployment.admin.put(f"accounts/{account}/webhooks/erp", {"url": receiver.url, "events": ["*"]})
    receiver.statuses = [500]
    deployment.top_up(account, "5.00")
    assert eventually(lambda: len(receiver.got) == 2, 20)
    first, second = receiver.got
    assert first[1] == second[1]
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    seconds = int(second[0]["webhook-timestamp"]) - int(first[0]["webhook-timestamp"])
    assert seconds <= 10
    path = f"accounts/{account}/webhooks/erp/deliveries"
    assert eventually(lambda: deployment.admin.items(path)[0]["status"] == "delivered", 5)
    (delivery,) = deployment.admin.items(path)
    assert delivery["attempts"] == 2
    answer = deployment.admin.request("POST", f"{path}/{delivery['id']}/replay", {})
    assert answer.status == 202
    assert eventually(lambda: len(receiver.got) == 3, 15)


def test_an_alert_is_listed_and_acknowledged_and_the_outlook_is_there(
    deployment: Deployment,
) -> None:
    account = deployment.account("22.00", alerts=[{"name": "low", "below": "21.50"}])
    deployment.post(leg(account, talk_seconds=DEAR_SECONDS))
    (low,) = [
        event
        for event in deployment.events(account, {"credits.low": 1})
        if event["type"] == "credits.low"
    ]
    (listed,) = deployment.admin.items(f"accounts/{account}/alerts")
    assert (listed["id"], listed["status"]) == (low["data"]["alert_id"], "open")
    path = f"accounts/{account}/alerts/{listed['id']}/acknowledge"
    assert deployment.admin.request("POST", path, {}).json()["status"] == "acknowledged"
    outlook = deployment.admin.get(f"accounts/{account}/outlook")
    assert (outlook["balance"], outlook["available"]) == ("21.23", "21.23")
    deployment.verified(account)
