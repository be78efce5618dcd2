"""Posts of bridges at the edge: schemes, handshakes, trial posts."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.product import Product

SECRET = "a-token-of-the-vendor"
FIELDS = {
    "CallSid": "CA9",
    "From": "+33170180055",
    "To": "+442079460011",
    "Direction": "outbound-api",
    "CallStatus": "completed",
    "CallDuration": "60",
    "Timestamp": "Mon, 23 Nov 2026 09:00:00 +0000",
}
FORM = {"content-type": "application/x-www-form-urlencoded"}
PUBLIC = "https://calls.example/hooks/perminute"


def put(app: Product, name: str, dialect: str, **settings: Any) -> None:
    auth = {"scheme": dialect, "secrets": [SECRET], **settings.pop("auth", {})}
    body = {"dialect": dialect, "accounts": ["*"], "auth": auth, **settings}
    assert app.put(f"/api/v1/bridges/{name}", body).status == 201


def twilio_headers(url: str) -> dict[str, str]:
    signed = url + "".join(name + FIELDS[name] for name in sorted(FIELDS))
    mac = hmac.new(SECRET.encode(), signed.encode(), "sha1").digest()
    return {**FORM, "x-twilio-signature": base64.b64encode(mac).decode()}


def post(app: Product, path: str, body: bytes, headers: dict[str, str]) -> Any:
    return app.call("POST", f"/api/v1/bridges/{path}", body, key=None, headers=headers)


def test_a_public_url_is_what_the_vendor_signed(app: Product) -> None:
    put(app, "tw", "twilio", public_url=PUBLIC)
    body = urlencode(FIELDS).encode()
    answer = post(app, "tw/call-ended?x=1", body, twilio_headers(f"{PUBLIC}?x=1"))
    assert answer.status == 202
    assert answer.json["legs"] == [
        {"leg": "tw~CA9", "status": "waiting", "missing": ["conference"]}
    ]
    assert post(app, "tw/call-ended?x=2", body, twilio_headers(f"{PUBLIC}?x=1")).status == 401


def test_an_unknown_bridge_and_wrong_credentials_get_one_answer(app: Product) -> None:
    put(app, "tw", "twilio")
    put(app, "zo", "zoom")
    answers = []
    for name in ("tw", "zo", "nobody"):
        answer = post(app, f"{name}/call-ended", b"{}", dict(FORM))
        shown = {**answer.json, "instance": "", "request_id": ""}
        answers.append((answer.status, answer.headers.get("www-authenticate"), shown))
        options = app.call(
            "OPTIONS",
            f"/api/v1/bridges/{name}/call-ended",
            key=None,
            headers={"webhook-request-origin": "eventgrid.azure.net"},
        )
        assert options.status == 200
        assert options.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401


def test_a_wrong_checksum_of_bigbluebutton_is_forbidden(app: Product) -> None:
    put(app, "bbb1", "bigbluebutton", public_url=PUBLIC)
    body = urlencode({"event": "[]", "timestamp": "1"}).encode()
    refused = post(app, "bbb1/call-ended?checksum=00", body, dict(FORM))
    assert (refused.status, refused.code) == (403, "checksum_wrong")
    digest = hashlib.sha256(PUBLIC.encode() + body + SECRET.encode()).hexdigest()
    assert post(app, f"bbb1/call-ended?checksum={digest}", body, dict(FORM)).status == 202


def test_handshakes_are_answered_once_the_sender_is_authenticated(app: Product) -> None:
    put(app, "acs1", "acs", auth={"scheme": "bearer"})
    event = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "code-1"},
    }
    body = json.dumps([event]).encode()
    assert post(app, "acs1/call-ended", body, {}).status == 401
    answer = post(app, "acs1/call-ended", body, {"authorization": f"Bearer {SECRET}"})
    assert (answer.status, answer.json) == (200, {"validationResponse": "code-1"})


@pytest.mark.parametrize(
    ("dialect", "settings", "pointer"),
    [
        ("twilio", {"auth": {"scheme": "zoom", "secrets": ["x"]}}, "/auth/scheme"),
        ("twilio", {"auth": {"scheme": "twilio"}}, "/auth/secrets"),
        ("livekit", {"auth": {"scheme": "livekit", "secrets": ["x"]}}, "/auth/username"),
        ("twilio", {"public_url": "https://x.example/a?b=1"}, "/public_url"),
        ("zoom", {"service_number": "0170180001"}, "/service_number"),
        ("zoom", {"wait_seconds": 0}, "/wait_seconds"),
        ("freeswitch", {"meetings_from": "b"}, "/meetings_from"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    app: Product, dialect: str, settings: dict[str, Any], pointer: str
) -> None:
    body = {"dialect": dialect, "accounts": ["*"], **settings}
    answer = app.put("/api/v1/bridges/b", body)
    assert answer.status == 422
    assert answer.pointers() == [pointer]


def test_a_trial_post_shows_each_step_and_keeps_nothing(app: Product) -> None:
    app.account("contoso")
    put(app, "tw", "twilio", default_account="contoso")
    path = "/api/v1/bridges/tw/try"
    joined = {
        "CallSid": "CA9",
        "ConferenceSid": "CF1",
        "FriendlyName": "weekly",
        "StatusCallbackEvent": "participant-join",
    }
    tried = app.post(path, [FIELDS, joined]).json
    assert (tried["outcome"], tried["account"]) == ("leg", "contoso")
    assert tried["would_park"] == "rate_missing"
    assert tried["leg"]["conference"] == "weekly"
    assert [each["step"] for each in tried["steps"]] == ["read", "assembled", "resolved", "rated"]
    waiting = app.post(path, FIELDS).json
    assert (waiting["outcome"], waiting["missing"]) == ("waiting", ["conference"])
    ignored = app.post(path, {**FIELDS, "CallStatus": "ringing", "CallDuration": ""}).json
    assert ignored["outcome"] == "ignored"
    assert app.post(path, {"x": "1"}).json["outcome"] == "unreadable"
    assert app.post("/api/v1/bridges/nobody/try", {}).code == "bridge_unknown"
    reader = app.api_key("reader")
    assert app.call("POST", path, FIELDS, key=reader).status == 403
    rows = app.run(app.tables.scan("calls", limit=10)).rows
    assert rows == ()


def test_a_trial_post_joins_the_meeting_that_is_known(app: Product) -> None:
    app.account("contoso")
    put(app, "room1", "jitsi", auth={"scheme": "bearer"})
    put(app, "bbb1", "bigbluebutton")
    leg = {
        "leg_id": "sip-1",
        "conference_id": "71347",
        "kind": "dial_out",
        "to": "+442079460011",
        "started_at": "2026-11-23T09:00:00Z",
        "answered_at": "2026-11-23T09:00:00Z",
        "ended_at": "2026-11-23T09:01:00Z",
    }
    body = {"dialect": "perminute", "accounts": ["*"], "meetings_from": "bbb1"}
    assert app.put("/api/v1/bridges/trunk", body).status == 201
    path = "/api/v1/bridges/trunk/try"
    waiting = app.post(path, leg).json
    assert (waiting["outcome"], waiting["missing"]) == ("waiting", ["conference"])
    assert [each["step"] for each in waiting["steps"]] == ["read", "meeting", "resolved", "rated"]
    meeting = {
        "voice-conf": "71347",
        "create-time": 1795424400000,
        "metadata": {"perminute-account": "contoso", "perminute-organizer": "ken"},
    }
    created = {"data": {"id": "meeting-created", "attributes": {"meeting": meeting}}}
    headers = {"authorization": f"Bearer {SECRET}"}
    assert post(app, "bbb1/call-ended", json.dumps(created).encode(), headers).status == 202
    tried = app.post(path, leg).json
    assert (tried["outcome"], tried["account"]) == ("leg", "contoso")
    assert tried["leg"]["organizer"] == "ken"
    kept = [row.key for row in app.run(app.tables.scan("calls", limit=10)).rows]
    assert len([key for key in kept if key.startswith("event|")]) == 1  # the meeting
    wrong = app.put("/api/v1/bridges/trunk2", {**body, "meetings_from": "trunk"})
    assert [each["pointer"] for each in wrong.json["warnings"]] == ["/meetings_from"]
