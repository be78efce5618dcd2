"""Signatures of Twilio, LiveKit, BigBlueButton and Zoom."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from shared.domain.common.errors import ChecksumWrong, Invalid, NotAuthenticated
from shared.domain.directory.credentials import Verified, verify_bridge
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth, check_auth
from shared.domain.directory.vendor_signatures import zoom_encrypted_token

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SECOND = int(NOW.timestamp())
FORM = {"content-type": "application/x-www-form-urlencoded"}
URL = "https://perminute.example/api/v1/bridges/b/call-ended"
FIELDS = {"CallSid": "CA01", "CallStatus": "completed", "From": "+33170180042", "Empty": ""}
BODY = urlencode(FIELDS).encode()
OLD, NEW = "the-secret-of-before", "the-secret-of-today"


def verified(auth: BridgeAuth, headers: dict[str, str], body: bytes, url: str = URL) -> bool:
    try:
        return verify_bridge(auth, headers, body, NOW, url) == Verified()
    except NotAuthenticated:
        return False


def twilio_signature(token: str, url: str, fields: dict[str, str] | None = None) -> str:
    signed = url + "".join(name + value for name, value in sorted((fields or {}).items()))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), "sha1").digest()).decode()


def jwt(secret: str, body: bytes, **changes: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": "APIkey", "exp": SECOND + 300, "nbf": SECOND - 5, "sha256": digest} | changes
    head = {"alg": claims.pop("alg", "HS256"), "typ": "JWT"}
    text = f"{part(head)}.{part(claims)}"
    mac = hmac.new(secret.encode(), text.encode(), "sha256").digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def zoom_headers(secret: str, body: bytes, at: int = SECOND) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, "sha256").hexdigest()
    return {"x-zm-request-timestamp": str(at), "x-zm-signature": f"v0={digest}"}


TWILIO = BridgeAuth(AuthScheme.TWILIO, (NEW, OLD))
LIVEKIT = BridgeAuth(AuthScheme.LIVEKIT, (NEW, OLD), "APIkey")
BBB = BridgeAuth(AuthScheme.BIGBLUEBUTTON, (NEW, OLD))
ZOOM = BridgeAuth(AuthScheme.ZOOM, (NEW, OLD))


@pytest.mark.parametrize("token", [OLD, NEW])
@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_twilio_signs_url_and_form_with_or_without_the_port(token: str, port: str) -> None:
    called = URL.replace(".example", f".example{port}")
    headers = FORM | {"x-twilio-signature": twilio_signature(token, URL, FIELDS)}
    assert verified(TWILIO, headers, BODY, called)
    headers = FORM | {"x-twilio-signature": twilio_signature(token, called, FIELDS)}
    assert verified(TWILIO, headers, BODY, called)
    assert not verified(TWILIO, headers, BODY + b"&x=1", called)
    assert not verified(TWILIO, headers, BODY, called + "?x=1")
    assert not verified(TWILIO, FORM, BODY, called)


def test_twilio_published_vector() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    auth = BridgeAuth(AuthScheme.TWILIO, ("12345",))
    headers = FORM | {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert verified(auth, headers, urlencode(fields).encode(), url)
    assert not verified(auth, headers, urlencode(fields).encode(), url + "&bar=3")


def test_twilio_json_needs_its_hash_in_the_query() -> None:
    body = b'{"property": "value"}'
    url = f"{URL}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"content-type": "application/json", "x-twilio-signature": twilio_signature(NEW, url)}
    assert verified(TWILIO, headers, body, url)
    assert not verified(TWILIO, headers, body + b" ", url)
    bare = {"content-type": "application/json", "x-twilio-signature": twilio_signature(NEW, URL)}
    assert not verified(TWILIO, bare, body)


@pytest.mark.parametrize("secret", [OLD, NEW])
@pytest.mark.parametrize("prefix", ["", "Bearer "])
def test_livekit_signs_the_hash_of_the_body(secret: str, prefix: str) -> None:
    assert verified(LIVEKIT, {"authorization": prefix + jwt(secret, BODY)}, BODY)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"exp": SECOND - 61},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": SECOND + 61},
        {"sha256": "AAAA"},
        {"sha256": None},
        {"alg": "none"},
    ],
)
def test_livekit_refuses_what_is_another_or_expired(changes: dict[str, Any]) -> None:
    assert not verified(LIVEKIT, {"authorization": jwt(NEW, BODY, **changes)}, BODY)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "é.é.é", "." * 5, "x" * 5_000])
def test_what_is_no_jwt_is_refused(token: str) -> None:
    assert not verified(LIVEKIT, {"authorization": token}, BODY)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("secret", [OLD, NEW])
@pytest.mark.parametrize("query", ["", "x=1&"])
def test_bigbluebutton_hashes_url_body_and_secret(algorithm: str, secret: str, query: str) -> None:
    fields = {"domain": "bbb.example", "event": '[{"data":{"id":"é"}}]', "timestamp": 1795000000000}
    body = "&".join(f"{name}={quote_plus(str(value))}" for name, value in fields.items()).encode()
    callback = URL if not query else f"{URL}?{query.rstrip('&')}"
    older = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    for content in (body, older):
        digest = hashlib.new(algorithm, callback.encode() + content + secret.encode()).hexdigest()
        assert verified(BBB, FORM, body, f"{URL}?{query}checksum={digest}")
        assert not verified(BBB, FORM, body + b"x", f"{URL}?{query}checksum={digest}")
    empty = hashlib.new(algorithm, callback.encode() + b"{}" + secret.encode()).hexdigest()
    assert not verified(BBB, FORM, body, f"{URL}?{query}checksum={empty}")


def test_a_wrong_checksum_is_an_error_of_its_own() -> None:
    for url in (URL, f"{URL}?checksum=00", f"{URL}?checksum={'0' * 40}"):
        with pytest.raises(ChecksumWrong):
            verify_bridge(BBB, FORM, BODY, NOW, url)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_zoom_signs_time_and_body(secret: str) -> None:
    assert verified(ZOOM, zoom_headers(secret, BODY, SECOND - 299), BODY)
    assert not verified(ZOOM, zoom_headers(secret, BODY, SECOND - 301), BODY)
    assert not verified(ZOOM, zoom_headers(secret, BODY, SECOND + 301), BODY)
    assert not verified(ZOOM, zoom_headers(secret, BODY), BODY + b" ")
    assert not verified(ZOOM, zoom_headers("another", BODY), BODY)
    assert not verified(ZOOM, {}, BODY)


def test_zoom_validates_a_url_by_an_encrypted_token() -> None:
    expected = hmac.new(NEW.encode(), b"qgg8vlvZRS6UYooatFL8Aw", "sha256").hexdigest()
    assert zoom_encrypted_token(NEW, "qgg8vlvZRS6UYooatFL8Aw") == expected


@pytest.mark.parametrize("auth", [TWILIO, LIVEKIT, BBB, ZOOM])
def test_with_a_vendors_scheme_a_secret_is_a_bearer_token(auth: BridgeAuth) -> None:
    assert verified(auth, {"authorization": f"Bearer {OLD}"}, BODY)
    assert not verified(auth, {"authorization": "Bearer another-secret"}, BODY)


def test_livekit_needs_its_api_key() -> None:
    check_auth(BridgeAuth(AuthScheme.LIVEKIT, ("s",), "APIkey"))
    with pytest.raises(Invalid):
        check_auth(BridgeAuth(AuthScheme.LIVEKIT, ("s",)))
    with pytest.raises(Invalid):
        check_auth(BridgeAuth(AuthScheme.ZOOM, ("s",), "APIkey"))


def test_the_published_example_of_twilio() -> None:
    """The request that Twilio's documentation and client libraries sign."""
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    auth = BridgeAuth(AuthScheme.TWILIO, ("12345",))
    headers = {**FORM, "x-twilio-signature": "0/KCTR6DLpKmkAf8muzZqo1nDgQ="}
    assert verified(auth, headers, urlencode(fields).encode(), url)
    assert not verified(auth, headers, urlencode({**fields, "Digits": "1235"}).encode(), url)
