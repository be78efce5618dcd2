"""Who sent it: Standard Webhooks, Basic, Bearer and API keys."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.common.errors import Invalid, NotAuthenticated
from shared.domain.directory.credentials import (
    Verified,
    new_api_key,
    new_webhook_secret,
    presented_api_key,
    verify_bridge,
)
from shared.domain.directory.request_signatures import (
    AuthScheme,
    BridgeAuth,
    check_auth,
    sign_webhook,
)
from tests.unit.http.fuzzing import fuzz

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SECOND = int(NOW.timestamp())
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OTHER = "whsec_" + base64.b64encode(KEY[::-1]).decode()
BODY = b'{"leg_id": "7c1d-1"}'
WEBHOOKS = BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (SECRET,))


class CountingIds:
    """Tokens that differ from each other."""

    def __init__(self) -> None:
        self._numbers = count()

    def token(self, bytes_count: int) -> str:
        return f"token-{bytes_count}-{next(self._numbers):030d}"


def independent_signature(webhook_id: str, timestamp: str, body: bytes, key: bytes = KEY) -> str:
    message = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def signed(body: bytes = BODY, at: int = SECOND, key: bytes = KEY) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": independent_signature("msg_1", str(at), body, key),
    }


def basic(user: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def test_a_signed_request_is_let_in_and_its_id_is_known() -> None:
    assert verify_bridge(WEBHOOKS, signed(), BODY, NOW) == Verified("msg_1")


def test_our_own_signature_is_the_one_of_the_specification() -> None:
    assert sign_webhook(SECRET, "msg_1", SECOND, BODY) == signed()["webhook-signature"]


@pytest.mark.parametrize("key", [KEY, KEY[::-1]])
def test_both_live_secrets_are_good(key: bytes) -> None:
    auth = BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (SECRET, OTHER))
    assert verify_bridge(auth, signed(key=key), BODY, NOW).webhook_id == "msg_1"


def test_one_right_signature_among_several_is_enough() -> None:
    headers = signed()
    wrong = independent_signature("msg_1", str(SECOND), b"other")
    headers["webhook-signature"] = f"v1a,xyz {wrong} v1 , {headers['webhook-signature']} v2,AAAA"
    assert verify_bridge(WEBHOOKS, headers, BODY, NOW).webhook_id == "msg_1"


@pytest.mark.parametrize("age_seconds", [300, -300, 0])
def test_five_minutes_of_difference_are_allowed(age_seconds: int) -> None:
    assert verify_bridge(WEBHOOKS, signed(at=SECOND - age_seconds), BODY, NOW).webhook_id


REFUSED: dict[str, tuple[BridgeAuth | None, dict[str, str]]] = {
    "nothing": (WEBHOOKS, {}),
    "unknown bridge": (None, signed()),
    "unknown bridge, guessed key": (None, signed(key=bytes(33))),
    "stale": (WEBHOOKS, signed(at=SECOND - 301)),
    "from the future": (WEBHOOKS, signed(at=SECOND + 301)),
    "other body": (WEBHOOKS, signed(body=BODY + b" ")),
    "other secret": (WEBHOOKS, signed(key=bytes(32))),
    "other id": (WEBHOOKS, signed() | {"webhook-id": "msg_2"}),
    "other time": (WEBHOOKS, signed() | {"webhook-timestamp": str(SECOND - 1)}),
    "no id": (WEBHOOKS, signed() | {"webhook-id": ""}),
    "time that is no number": (WEBHOOKS, signed() | {"webhook-timestamp": "hello"}),
    "time in other digits": (WEBHOOKS, signed() | {"webhook-timestamp": "١٧٩٥٤٢٨٠٠٠"}),
    "huge time": (WEBHOOKS, signed() | {"webhook-timestamp": "9" * 500}),
    "no signature": (WEBHOOKS, signed() | {"webhook-signature": ""}),
    "no base64": (WEBHOOKS, signed() | {"webhook-signature": "v1,é\ud800!"}),
    "unknown version": (WEBHOOKS, signed() | {"webhook-signature": "v2,AAAA"}),
    "too many": (WEBHOOKS, signed() | {"webhook-signature": "v1,AAAA " * 10_000}),
    "Basic where a signature belongs": (WEBHOOKS, basic("fs", "correct horse")),
    "no secret": (BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, ()), signed()),
    "empty secret": (BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, ("whsec_",)), signed(key=b"")),
}


@pytest.mark.parametrize(("auth", "headers"), REFUSED.values(), ids=REFUSED.keys())
def test_all_that_is_refused_is_refused_with_the_same_words(
    auth: BridgeAuth | None, headers: dict[str, str]
) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        verify_bridge(auth, headers, BODY, NOW)
    assert caught.value.code == "not_authenticated"
    assert caught.value.detail.startswith("The credentials are missing, wrong or expired. ")
    assert caught.value.__notes__  # for the log


BASIC = BridgeAuth(AuthScheme.BASIC, ("correct horse", "battery staple"), "fs")


@pytest.mark.parametrize("password", ["correct horse", "battery staple"])
def test_basic_takes_both_live_passwords(password: str) -> None:
    assert verify_bridge(BASIC, basic("fs", password), BODY, NOW) == Verified()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("fs", "correct"),
        basic("FS", "correct horse"),
        basic("", ""),
        basic("fs", ""),
        basic("fs:correct horse", ""),
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic ééé"},
        {"authorization": "Basic " + "A" * 5000},
        {"authorization": "Bearer correct horse"},
    ],
)
def test_basic_refuses_all_else(headers: dict[str, str]) -> None:
    for auth in (
        BASIC,
        BridgeAuth(AuthScheme.BASIC, (), "fs"),
        BridgeAuth(AuthScheme.BASIC, ("",)),
    ):
        with pytest.raises(NotAuthenticated):
            verify_bridge(auth, headers, BODY, NOW)


def test_bearer_takes_both_live_tokens_and_no_other() -> None:
    auth = BridgeAuth(AuthScheme.BEARER, ("token-token-1", "token-token-2"))
    for token in auth.secrets:
        assert verify_bridge(auth, {"authorization": f"bearer {token}"}, BODY, NOW) == Verified()
    for header in ("", "Bearer", "Bearer token", "Bearer \ud800", "Basic token-token-1"):
        with pytest.raises(NotAuthenticated):
            verify_bridge(auth, {"authorization": header}, BODY, NOW)


@pytest.mark.parametrize(
    ("auth", "pointers"),
    [
        (WEBHOOKS, []),
        (BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (SECRET[6:], OTHER)), []),
        (BASIC, []),
        (BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, ()), ["/secrets"]),
        (BridgeAuth(AuthScheme.BEARER, ("a" * 20,) * 3), ["/secrets"]),
        (BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (SECRET, "whsec_")), ["/secrets/1"]),
        (BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, ("whsec_é",)), ["/secrets/0"]),
        (
            BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (base64.b64encode(bytes(65)).decode(),)),
            ["/secrets/0"],
        ),
        (BridgeAuth(AuthScheme.BASIC, ("correct horse",)), ["/username"]),
        (BridgeAuth(AuthScheme.BASIC, ("correct horse",), "a:b"), ["/username"]),
        (BridgeAuth(AuthScheme.BEARER, ("short",), "fs"), ["/secrets/0", "/username"]),
    ],
)
def test_credentials_are_checked_when_they_are_configured(
    auth: BridgeAuth, pointers: list[str]
) -> None:
    if not pointers:
        check_auth(auth)
        return
    with pytest.raises(Invalid) as caught:
        check_auth(auth)
    assert [error.pointer for error in caught.value.errors] == pointers


def test_a_made_secret_can_be_used_and_none_is_shown_in_a_trace() -> None:
    ids = CountingIds()
    secret = new_webhook_secret(ids.token)
    auth = BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (secret, new_webhook_secret(ids.token)))
    check_auth(auth)
    assert secret not in repr(auth)
    assert secret != auth.secrets[1]


def test_an_api_key_is_recognised_by_its_hash() -> None:
    ids = CountingIds()
    made, other = new_api_key(ids.token), new_api_key(ids.token)
    presented = presented_api_key({"authorization": f"Bearer {made.key}"})
    assert presented.key_id == made.key_id
    assert presented.matches(made.secret_hash)
    assert not presented.matches(other.secret_hash)
    assert not presented.matches(None)
    assert not presented.matches("")
    assert made.key not in repr(made)
    assert presented.secret not in repr(presented)
    assert presented.secret not in made.secret_hash


@pytest.mark.parametrize(
    "token", ["", "pm_", "pm_0123456789abcdef_", "pm_x_" + "a" * 32, "é", "a.b.c"]
)
def test_what_is_no_api_key_is_not_authenticated(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        presented_api_key({"authorization": f"Bearer {token}"})


_HEADERS = st.dictionaries(
    st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "authorization"]),
    st.text(max_size=60)
    | st.sampled_from([str(SECOND), "msg_1", "Basic Zg==", "Bearer x", "v1,AAAA v1,"]),
)


@fuzz
@given(_HEADERS, st.binary(max_size=50), st.sampled_from([WEBHOOKS, BASIC, None]))
def test_any_headers_and_bytes_are_refused_and_nothing_else_happens(
    headers: dict[str, str], body: bytes, auth: BridgeAuth | None
) -> None:
    with pytest.raises(NotAuthenticated):
        verify_bridge(auth, headers, body, NOW)
    with pytest.raises(NotAuthenticated):
        presented_api_key(headers)


VECTORS = Path(__file__).parents[2] / "fixtures" / "standard_webhooks.json"


def test_signature_vectors_hold() -> None:
    for vector in json.loads(VECTORS.read_text()):
        auth = BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (vector["secret"],))
        now = datetime.fromtimestamp(vector["verify_at"], UTC)
        try:
            verify_bridge(auth, vector["headers"], vector["raw_body"].encode(), now)
        except NotAuthenticated:
            assert not vector["valid"], vector["id"]
        else:
            assert vector["valid"], vector["id"]
