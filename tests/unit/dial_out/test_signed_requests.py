"""A signature covers id, time and body: a captured request serves for nothing but itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.calls import LONDON, TOLL, Calls
from tests.support.client import signed
from tests.support.product import Answer, Product

SECRET = "whsec_" + "QUJD" * 8
QUESTION = {"to": LONDON, "account": "contoso", "organizer_id": "ken"}


class Signer:
    """A bridge that signs, and an attacker with a captured request."""

    def __init__(self, app: Product) -> None:
        self.app = app
        self.calls = Calls(app)
        self.calls.put(
            "bridges/signer",
            {
                "dialect": "perminute",
                "accounts": ["*"],
                "auth": {"scheme": "standard-webhooks", "secrets": [SECRET]},
            },
        )

    def sign(self, body: Any) -> tuple[bytes, dict[str, str]]:
        content = json.dumps(body).encode()
        return content, signed(SECRET, content, at=self.app.clock.now().timestamp())

    def send(self, path: str, captured: tuple[bytes, dict[str, str]], **more: str) -> Answer:
        content, headers = captured
        headers = headers | {name.replace("_", "-"): text for name, text in more.items()}
        return self.app.post(f"/api/v1/bridges/signer/{path}", content, key=None, headers=headers)

    def authorization(self) -> str:
        answer = self.send("dial-outs", self.sign(QUESTION)).json
        assert answer["decision"] == "allow", answer
        return str(answer["authorization"])

    def held(self) -> str:
        return str(self.calls.account()["held"])


@pytest.fixture
def signer() -> Iterator[Signer]:
    app = Product()
    yield Signer(app)
    app.close()


@pytest.mark.parametrize("route", ["dial-outs", "dial-ins"])
def test_a_captured_question_places_no_second_hold(signer: Signer, route: str) -> None:
    captured = signer.sign(QUESTION if route == "dial-outs" else QUESTION | {"to": TOLL})
    first = signer.send(route, captured)
    held = signer.held()
    for number in range(3):
        again = signer.send(route, captured, idempotency_key=f"x{number}")
        assert (again.status, again.code) == (400, "idempotency_key_mismatch")
    assert signer.send(route, captured).json == first.json
    other = "dial-ins" if route == "dial-outs" else "dial-outs"
    assert signer.send(other, captured).code == "idempotency_key_reused"
    assert signer.held() == held != "0.00"


@pytest.mark.parametrize("quoted", ["{}", '"{}"'])
def test_an_idempotency_key_that_repeats_the_webhook_id_is_taken(
    signer: Signer, quoted: str
) -> None:
    captured = signer.sign(QUESTION)
    key = quoted.format(captured[1]["webhook-id"])
    assert signer.send("dial-outs", captured, idempotency_key=key).status == 200


def test_a_captured_release_gives_nothing_else_back(signer: Signer) -> None:
    mine, other = signer.authorization(), signer.authorization()
    captured = signer.sign({"authorization": mine, "release": True})

    assert signer.send(f"dial-outs/{mine}/release", captured).status == 200
    held = signer.held()
    refused = signer.send(f"dial-outs/{other}/release", captured)

    assert (refused.status, refused.pointers()) == (422, ["/authorization"])
    assert signer.held() == held != "0.00"


def test_a_captured_extension_extends_nothing_else_and_releases_nothing(signer: Signer) -> None:
    mine, other = signer.authorization(), signer.authorization()
    captured = signer.sign({"authorization": mine, "seconds": 1800})

    extended = signer.send(f"dial-outs/{mine}/extend", captured)
    assert extended.json["granted_seconds"] == 1800
    held = signer.held()
    refused = signer.send(f"dial-outs/{other}/extend", captured)
    assert (refused.status, refused.pointers()) == (422, ["/authorization"])
    refused = signer.send(f"dial-outs/{mine}/release", captured)
    assert (refused.status, refused.pointers()) == (422, ["/release"])
    assert signer.held() == held


@pytest.mark.parametrize(
    ("route", "body", "pointers"),
    [
        ("release", {}, ["/authorization", "/release"]),
        ("release", {"release": True}, ["/authorization"]),
        ("release", {"release": False, "authorization": "{}"}, ["/release"]),
        ("release", {"release": "true", "authorization": "{}"}, ["/release"]),
        ("release", {"authorization": "{}"}, ["/release"]),
        ("extend", {"seconds": 1800}, ["/authorization"]),
        ("extend", {"seconds": 1800, "authorization": None}, ["/authorization"]),
        ("extend", {"seconds": 1800, "authorization": "{}x"}, ["/authorization"]),
        ("extend", {"release": True, "authorization": "{}"}, ["/seconds"]),
    ],
)
def test_a_signed_body_that_does_not_name_its_call_is_refused(
    signer: Signer, route: str, body: dict[str, Any], pointers: list[str]
) -> None:
    authorization = signer.authorization()
    held = signer.held()
    text = body.get("authorization")
    named = {**body, "authorization": text.format(authorization)} if text else body

    refused = signer.send(f"dial-outs/{authorization}/{route}", signer.sign(named))

    assert (refused.status, refused.pointers()) == (422, pointers)
    assert signer.held() == held


def test_a_bridge_that_does_not_sign_may_leave_the_authorization_out(signer: Signer) -> None:
    calls = signer.calls
    authorization = calls.authorise()["authorization"]
    other = calls.send(f"dial-outs/{authorization}/release", {"authorization": "au_x.contoso"})
    assert other.pointers() == ["/authorization"]
    assert calls.extend(authorization, 1800).status == 200
    assert calls.release(authorization).status == 200
