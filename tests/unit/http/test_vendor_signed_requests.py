"""What a vendor signed is good for one purpose: an event. It opens no other route of its bridge."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.support.product import Answer, Product

BRIDGE = "/api/v1/bridges/studio"
SECRET = "the-secret-of-the-vendor-and-ours"
EVENT = json.dumps({"event": "room_finished", "to": "+442079460123"}).encode()
ROUTES = [
    f"{BRIDGE}/dial-outs",
    f"{BRIDGE}/dial-ins",
    f"{BRIDGE}/dial-outs/au_x.contoso/extend",
    f"{BRIDGE}/dial-outs/au_x.contoso/release",
]


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def mac(text: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(SECRET.encode(), text, algorithm).digest()


def livekit(second: int, path: str) -> tuple[dict[str, str], str]:
    digest = base64.b64encode(hashlib.sha256(EVENT).digest()).decode()
    claims = {"iss": "APIkey", "exp": second + 300, "nbf": second - 5, "sha256": digest}
    text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = base64.urlsafe_b64encode(mac(text.encode())).decode().rstrip("=")
    return {"authorization": f"{text}.{signature}"}, ""


def zoom(second: int, path: str) -> tuple[dict[str, str], str]:
    digest = mac(f"v0:{second}:".encode() + EVENT).hex()
    return {"x-zm-request-timestamp": str(second), "x-zm-signature": f"v0={digest}"}, ""


def twilio(second: int, path: str) -> tuple[dict[str, str], str]:
    digest = hashlib.sha256(EVENT).hexdigest()
    url = f"http://127.0.0.1:7071{path}?bodySHA256={digest}"
    signature = base64.b64encode(mac(url.encode(), "sha1")).decode()
    return {"x-twilio-signature": signature}, f"?bodySHA256={digest}"


SCHEMES = {"livekit": livekit, "zoom": zoom, "twilio": twilio}


def post(app: Product, scheme: str, path: str) -> Answer:
    headers, query = SCHEMES[scheme](int(app.clock.now().timestamp()), path)
    if "dial" in path:
        query = ""
    return app.post(f"{path}{query}", EVENT, key=None, headers={**headers, "idempotency-key": "x0"})


@pytest.fixture(params=list(SCHEMES))
def signed(request: pytest.FixtureRequest, app: Product) -> tuple[Product, str]:
    scheme = str(request.param)
    app.account()
    auth: dict[str, Any] = {"scheme": scheme, "secrets": [SECRET]}
    if scheme == "livekit":
        auth["username"] = "APIkey"
    body = {"dialect": scheme, "accounts": ["*"], "auth": auth}
    assert app.put(BRIDGE, body).status == 201
    return app, scheme


@pytest.mark.parametrize("path", ROUTES)
def test_a_captured_event_opens_no_other_route(signed: tuple[Product, str], path: str) -> None:
    app, scheme = signed

    answer = post(app, scheme, path)

    assert (answer.status, answer.code) == (401, "not_authenticated")


@pytest.mark.parametrize("path", ROUTES)
def test_a_bearer_token_opens_the_other_routes(signed: tuple[Product, str], path: str) -> None:
    app, _ = signed
    headers = {"idempotency-key": "x0"}
    assert app.post(path, EVENT, key=SECRET, headers=headers).status != 401


@pytest.mark.parametrize("scheme", ["livekit", "zoom"])
def test_an_event_is_let_in_where_events_are_posted(app: Product, scheme: str) -> None:
    auth = {"scheme": scheme, "secrets": [SECRET]}
    if scheme == "livekit":
        auth["username"] = "APIkey"
    app.put(BRIDGE, {"dialect": scheme, "accounts": ["*"], "auth": auth})

    assert post(app, scheme, f"{BRIDGE}/call-ended").status != 401
