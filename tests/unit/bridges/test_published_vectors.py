"""Authentication vectors that vendors publish, each with its source, and for every scheme both live
secrets and the window against replays.

A vector of LiveKit is an API key, a secret, a body and its claim `sha256`; the test signs the
token.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from shared.adapters.bridges import handshakes
from shared.domain.common.errors import ChecksumWrong, NotAuthenticated
from shared.domain.directory.credentials import verify_bridge
from shared.domain.directory.entities import Bridge
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth
from shared.domain.directory.vendor_signatures import zoom_encrypted_token
from tests.support.vendors import FORM, USER, bigbluebutton_checksum, jwt, sign

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SECOND = int(NOW.timestamp())


def is_let_in(
    auth: BridgeAuth, headers: Mapping[str, str], body: bytes, url: str, now: datetime = NOW
) -> bool:
    try:
        verify_bridge(auth, headers, body, now, url)
    except (NotAuthenticated, ChecksumWrong):
        return False
    return True


# Twilio

_PAGE = "https://mycompany.com/myapp.php?foo=1&bar=2"
_CALL = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
_JSON = b'{"property": "value", "boolean": true}'
_JSON_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
_DIGITS = [
    *(("Sid", "CA123"), ("SidAccount", "AC123")),
    *(("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")),
]
_PYTHON = "twilio/twilio-python tests/unit/test_request_validator.py"
_DOCUMENTED = {**_CALL, "Caller": "+12349013030", "From": "+12349013030"}
_REASONS = {**_CALL, "ReasonConferenceEnded": "test", "Reason": "Participant"}

TWILIO: dict[str, tuple[str, bytes, str, str, bool]] = {
    "twilio.com/docs/usage/security: the documented request": (
        *(_PAGE, urlencode(_DOCUMENTED).encode(), FORM),
        *("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", True),
    ),
    f"{_PYTHON}: a form": (
        *(_PAGE, urlencode(_CALL).encode(), FORM),
        *("RSOYDt4T1cUTdK1PDd93/VVr8B8=", True),
    ),
    f"{_PYTHON}: signed without the port": (
        *(_PAGE.replace(".com", ".com:1234"), urlencode(_CALL).encode(), FORM),
        *("RSOYDt4T1cUTdK1PDd93/VVr8B8=", True),
    ),
    f"{_PYTHON}: http, signed with the port": (
        "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
        *(urlencode(_CALL).encode(), FORM, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", True),
    ),
    f"{_PYTHON}: signed with port 443": (
        *(_PAGE, urlencode(_CALL).encode(), FORM),
        *("kvajT1Ptam85bY51eRf/AJRuM3w=", True),
    ),
    f"{_PYTHON}: JSON by its hash": (
        *(f"{_PAGE}&bodySHA256={_JSON_HASH}", _JSON, "application/json"),
        *("a9nBmqA0ju/hNViExpshrM61xv4=", True),
    ),
    f"{_PYTHON}: values of one field": (
        *(_PAGE, urlencode(_DIGITS).encode(), FORM),
        *("IK+Dwps556ElfBT0I3Rgjkr1wJU=", True),
    ),
    "twilio/twilio-go client/request_validator_test.go: order of the names": (
        *(_PAGE, urlencode(_REASONS).encode(), FORM),
        *("vOEb5UThFn24KEfnOFLQY2AE5FY=", True),
    ),
    "twilio/twilio-java RequestValidatorTest.java: no fields": (
        *(_PAGE, b"", FORM, "zYQTYrRWXE7LtzbG4PfP7/bkkGo=", True),
    ),
    "twilio/twilio-csharp RequestValidatorTest.cs: the case of the host": (
        *(_PAGE.replace("mycompany", "MyCompany"), urlencode(_CALL).encode(), FORM),
        *("g9IN/x4Cft2g517EjYvEvM/W7LU=", True),
    ),
    "twilio/twilio-csharp RequestValidatorTest.cs: the host in lower case": (
        *(_PAGE.replace("mycompany", "MyCompany"), urlencode(_CALL).encode(), FORM),
        *("RSOYDt4T1cUTdK1PDd93/VVr8B8=", False),
    ),
    "twilio/twilio-ruby request_validator_spec.rb: no signature": (
        *(_PAGE, urlencode(_CALL).encode(), FORM, "fake_signature", False),
    ),
    "twilio/twilio-ruby request_validator_spec.rb: JSON without its hash": (
        *(_PAGE, _JSON, "application/json", "a9nBmqA0ju/hNViExpshrM61xv4=", False),
    ),
}


@pytest.mark.parametrize("source", TWILIO)
def test_vectors_of_twilio(source: str) -> None:
    url, body, content_type, signature, is_valid = TWILIO[source]
    auth = BridgeAuth(AuthScheme.TWILIO, ("12345",))
    headers = {"content-type": content_type, "x-twilio-signature": signature}
    assert is_let_in(auth, headers, body, url) is is_valid


# Standard Webhooks

_WEBHOOK_KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_WEBHOOK_AT = 1614265330
_WEBHOOK = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(_WEBHOOK_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
_OTHERS = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
_RIGHT = _WEBHOOK["webhook-signature"]
_GO = "standard-webhooks libraries/go/webhook_test.go"
_PY = "standard-webhooks libraries/python/tests/test_webhooks.py"

STANDARD_WEBHOOKS: dict[str, tuple[dict[str, str], int, bool]] = {
    f"{_GO}: TestWebhookSign": ({}, 0, True),
    f"{_GO}: several signatures, one right": (
        {"webhook-signature": f"{_OTHERS} {_OTHERS.replace('v1', 'v2')} {_RIGHT} {_OTHERS}"},
        *(0, True),
    ),
    f"{_GO}: at the end of the tolerance": ({}, 300, True),
    f"{_GO}: an old timestamp": ({}, 301, False),
    f"{_GO}: a new timestamp": ({}, -301, False),
    f"{_PY}: an invalid signature": (
        {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="},
        *(0, False),
    ),
    f"{_PY}: no id": ({"webhook-id": ""}, 0, False),
    f"{_PY}: no timestamp": ({"webhook-timestamp": ""}, 0, False),
    f"{_PY}: a timestamp that is no number": ({"webhook-timestamp": "hello"}, 0, False),
    f"{_PY}: no signature": ({"webhook-signature": ""}, 0, False),
}


@pytest.mark.parametrize("prefix", ["", "whsec_"])
@pytest.mark.parametrize("source", STANDARD_WEBHOOKS)
def test_vectors_of_standard_webhooks(source: str, prefix: str) -> None:
    changes, age_seconds, is_valid = STANDARD_WEBHOOKS[source]
    auth = BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (prefix + _WEBHOOK_KEY,))
    now = datetime.fromtimestamp(_WEBHOOK_AT + age_seconds, UTC)
    body = b'{"test": 2432232314}'
    assert is_let_in(auth, {**_WEBHOOK, **changes}, body, "", now) is is_valid


# LiveKit

_ROOM = (
    b'{"event":"room_started", "room":{"sid":"RM_TkVjUvAqgzKz", "name":"mytestroom", '
    b'"emptyTimeout":300, "creationTime":"1628545903", '
    b'"turnPassword":"ICkSr2rEeslkN6e9bXL4Ji5zzMD5Z7zzr6ulOaxMj6N", '
    b'"enabledCodecs":[{"mime":"audio/opus"}, {"mime":"video/VP8"}]}}'
)
_ROOM_HASH = "CoEQz1chqJ9bnZRcORddjplkvpjmPujmLTR42DbefYI="

LIVEKIT: dict[str, tuple[str, str, str, bool]] = {
    "livekit/node-sdks packages/livekit-server-sdk/src/WebhookReceiver.test.ts": (
        *("abcdefg", "abababa", _ROOM_HASH, True),
    ),
    "livekit/server-sdk-kotlin WebhookReceiverTest.kt": (
        *("abcdefg", "abababababababababababababababababababababababababababababab", _ROOM_HASH),
        True,
    ),
    "livekit/python-sdks tests/api/test_webhook.py: test_bad_hash": (
        *("myapikey", "thiskeyistotallyunsafe"),
        *("z7zvI7lEID+KQPQYpjxSR5MiNewaDlSx82XGpAdqrxw=", False),
    ),
}


@pytest.mark.parametrize("source", LIVEKIT)
def test_vectors_of_livekit(source: str) -> None:
    key, secret, claim, is_valid = LIVEKIT[source]
    token = jwt(secret, {"iss": key, "exp": SECOND + 60, "sha256": claim})
    auth = BridgeAuth(AuthScheme.LIVEKIT, (secret,), key)
    assert is_let_in(auth, {"authorization": token}, _ROOM, "") is is_valid


# Zoom

_VALIDATION = (
    b'{"payload":{"plainToken":"xys8n8PGS7mAU0m5-YJjRA"},"event_ts":1720705455858,'
    b'"event":"endpoint.url_validation"}'
)
_ZOOM_SECRET = "4fv1RkqGQUq5sWbEz6hA5A"
_ZOOM_AT = "1720705455"
_ZOOM_SIGNATURE = "v0=93a1a675965ceb9c5a50c5dfb31f20e50f763be37a54ef74cd2d16a1a8e5c0d6"

ZOOM: dict[str, tuple[str, str, bytes, str, bool]] = {
    "WithValidSignature": (_ZOOM_SECRET, _ZOOM_AT, _VALIDATION, _ZOOM_SIGNATURE, True),
    "WithInvalidSignature": (
        *(_ZOOM_SECRET, _ZOOM_AT, _VALIDATION),
        *("v0=invalid_signature_hash", False),
    ),
    "WithWrongSecretToken": ("wrongSecretToken", _ZOOM_AT, _VALIDATION, _ZOOM_SIGNATURE, False),
    "WithWrongTimestamp": (_ZOOM_SECRET, "9999999999", _VALIDATION, _ZOOM_SIGNATURE, False),
    "WithUppercaseSignature": (
        *(_ZOOM_SECRET, _ZOOM_AT, _VALIDATION),
        *("v0=" + _ZOOM_SIGNATURE[3:].upper(), False),
    ),
    "WithEmptySignature": ("mySecret", "1234567890", b'{"test":"data"}', "", False),
}


@pytest.mark.parametrize("case", ZOOM)
def test_vectors_of_zoom(case: str) -> None:
    """Jericho/ZoomNet Source/ZoomNet.UnitTests/WebhookSignatureValidationTests.cs."""
    secret, timestamp, body, signature, is_valid = ZOOM[case]
    headers = {"x-zm-request-timestamp": timestamp, "x-zm-signature": signature}
    auth = BridgeAuth(AuthScheme.ZOOM, (secret,))
    now = datetime.fromtimestamp(int(timestamp), UTC)
    assert is_let_in(auth, headers, body, "", now) is is_valid


# BigBlueButton publishes the rule, and no vector: docs.bigbluebutton.org/development/webhooks


_CALLBACK = "https://perminute.example/hooks/bbb"
_EVENT = (
    "event=%7B%22data%22%3A%7B%22type%22%3A%22event%22%2C%22id%22%3A%22meeting-ended%22%7D%7D"
    "&timestamp=1532718316938&domain=bbb.example.com"
)


@pytest.mark.parametrize(
    ("algorithm", "checksum"),
    [
        ("sha1", "095ce75f24e288dbfbbfc472928c81de8efd20bd"),
        ("sha256", "46ccc6e2e97c7b4f999c174131c787381d192d9135e9d495f9c3408d7b7610ab"),
    ],
)
def test_the_rule_of_bigbluebutton(algorithm: str, checksum: str) -> None:
    secret = "639259d4-9dd8-4b25-bf01-95f9567eaf4b"
    assert bigbluebutton_checksum(_CALLBACK, _EVENT.encode(), secret, algorithm) == checksum
    auth = BridgeAuth(AuthScheme.BIGBLUEBUTTON, (secret,))
    url = f"{_CALLBACK}?checksum={checksum}"
    assert is_let_in(auth, {"content-type": FORM}, _EVENT.encode(), url)


# Handshakes


def _bridge(dialect: str, scheme: AuthScheme, *secrets: str) -> Bridge:
    auth = BridgeAuth(scheme, secrets)
    return Bridge("b", dialect, auth, frozenset({"*"}))


def test_the_handshake_of_event_grid() -> None:
    """The request and the response of learn.microsoft.com/azure/event-grid/
    end-point-validation-event-grid-events-schema."""
    request = [
        {
            "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
            "topic": "/subscriptions/xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "subject": "",
            "data": {
                "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6",
                "validationUrl": "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/"
                "myeventsub/validate?id=512d38b6-c7b8-40c8-89fe-f46f9e9622b6",
            },
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": "2022-10-28T04:23:35.1981776Z",
            "metadataVersion": "1",
            "dataVersion": "1",
        }
    ]
    bridge = _bridge("acs", AuthScheme.BEARER, "a-long-token")
    answer = handshakes.answer(bridge, {}, json.dumps(request).encode(), NOW)
    assert answer == {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}
    cloud_event = {"type": request[0]["eventType"], "data": request[0]["data"]}
    assert handshakes.answer(bridge, {}, json.dumps(cloud_event).encode(), NOW) == answer


@pytest.mark.parametrize("secrets", [(_ZOOM_SECRET, "another"), ("another", _ZOOM_SECRET)])
def test_the_handshake_of_zoom_is_signed_by_the_secret_that_signed_the_request(
    secrets: tuple[str, ...],
) -> None:
    headers = {"x-zm-request-timestamp": _ZOOM_AT, "x-zm-signature": _ZOOM_SIGNATURE}
    now = datetime.fromtimestamp(int(_ZOOM_AT), UTC)
    answer = handshakes.answer(
        _bridge("zoom", AuthScheme.ZOOM, *secrets), headers, _VALIDATION, now
    )
    token = "xys8n8PGS7mAU0m5-YJjRA"
    digest = hmac.new(_ZOOM_SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
    assert answer == {"plainToken": token, "encryptedToken": digest}
    assert zoom_encrypted_token(_ZOOM_SECRET, token) == digest


# Every scheme: two secrets, the window against replays, one changed byte

_OLD, _NEW = "c2VjcmV0LW9mLWJlZm9yZS0tMDEyMzQ1", "c2VjcmV0LW9mLXRvZGF5LS0tMDEyMzQ1"
_URL = "https://perminute.example/api/v1/bridges/b/call-ended"
_BODY = b"CallSid=CA1&From=%2B33170180042"
_WITH_TIME = (AuthScheme.STANDARD_WEBHOOKS, AuthScheme.LIVEKIT, AuthScheme.ZOOM)
_SIGNED_BODIES = (*_WITH_TIME, AuthScheme.TWILIO, AuthScheme.BIGBLUEBUTTON)


def _auth(scheme: AuthScheme, *secrets: str) -> BridgeAuth:
    return BridgeAuth(scheme, secrets, USER if scheme.has_username else None)


@pytest.mark.parametrize("scheme", AuthScheme)
def test_both_live_secrets_prove_and_a_replaced_one_does_not(scheme: AuthScheme) -> None:
    old, new = (sign(scheme, each, SECOND, _URL, _BODY) for each in (_OLD, _NEW))
    both, only_new = _auth(scheme, _NEW, _OLD), _auth(scheme, _NEW)
    assert is_let_in(both, old[0], _BODY, old[1])
    assert is_let_in(both, new[0], _BODY, new[1])
    assert is_let_in(only_new, new[0], _BODY, new[1])
    assert not is_let_in(only_new, old[0], _BODY, old[1])


@pytest.mark.parametrize("scheme", _WITH_TIME)
def test_a_request_is_refused_once_its_window_is_over(scheme: AuthScheme) -> None:
    headers, url = sign(scheme, _NEW, SECOND, _URL, _BODY)
    at = [datetime.fromtimestamp(SECOND + age, UTC) for age in (0, 290, 301)]
    found = [is_let_in(_auth(scheme, _NEW), headers, _BODY, url, now) for now in at]
    assert found == [True, True, False]


@pytest.mark.parametrize("scheme", _SIGNED_BODIES)
def test_one_changed_byte_of_the_body_is_refused(scheme: AuthScheme) -> None:
    headers, url = sign(scheme, _NEW, SECOND, _URL, _BODY)
    assert not is_let_in(_auth(scheme, _NEW), headers, _BODY.replace(b"CA1", b"CA2"), url)
