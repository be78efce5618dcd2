"""What makes no sense is refused with a problem document, and nothing is written."""

import contextlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.deployment import LONDON, Deployment, leg
from tests.support.client import Answer, Json, SigningBridge, basic, signed, unique

PROBLEM_FIELDS = {"type", "title", "status", "detail", "instance", "code"}
DEEP = b"[" * 50_000 + b"]" * 50_000
BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "json_invalid"),
    "no JSON": (b"leg ended", 400, "json_invalid"),
    "half a JSON": (b'{"leg_id": "a"', 400, "json_invalid"),
    "JSON and more": (b"{} {}", 400, "json_invalid"),
    "wrong UTF-8": (b'{"leg_id": "\xff\xfe"}', 400, "json_invalid"),
    "UTF-16": (json.dumps({"leg_id": "a"}).encode("utf-16"), 400, "json_invalid"),
    "half a surrogate pair": (rb'{"leg_id": "\ud800"}', 400, "json_invalid"),
    "a NUL": (rb'{"leg_id": "a\u0000b"}', 400, "json_invalid"),
    "NaN": (b'{"talk_seconds": NaN}', 400, "json_invalid"),
    "Infinity": (b'{"talk_seconds": -Infinity}', 400, "json_invalid"),
    "a number of 5,000 digits": (b'{"talk_seconds": ' + b"9" * 5_000 + b"}", 400, "json_invalid"),
    "a number that fills the memory": (b'{"talk_seconds": 1e999999999}', 400, "json_invalid"),
    "a key twice": (b'{"leg_id": "a", "leg_id": "b"}', 400, "json_invalid"),
    "50,000 nested arrays": (DEEP, 400, "json_invalid"),
    "50,000 nested objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400, "json_invalid"),
    "50,000 open arrays": (b"[" * 50_000, 400, "json_invalid"),
    "2 MB": (b'{"leg_id": "' + b"a" * 2_000_000 + b'"}', 413, "too_large"),
    "1,001 legs": (b"[" + b",".join([b"{}"] * 1_001) + b"]", 413, "too_large"),
    "no leg": (b"[]", 422, "invalid"),
    "null": (b"null", 422, "invalid"),
    "a text": (b'"leg"', 422, "invalid"),
    "an empty object": (b"{}", 422, "invalid"),
    "an array of arrays": (b"[[]]", 422, "invalid"),
}
FIELDS: dict[str, tuple[Json, str]] = {
    "a leg id that is a number": ({"leg_id": 5}, "/leg_id"),
    "a leg id that is empty": ({"leg_id": ""}, "/leg_id"),
    "a leg id of 201 characters": ({"leg_id": "a" * 201}, "/leg_id"),
    "a leg id with a line break": ({"leg_id": "a\nb"}, "/leg_id"),
    "a leg id that is an object": ({"leg_id": {"a": 1}}, "/leg_id"),
    "a kind that no one knows": ({"kind": "fax"}, "/kind"),
    "a kind that is a list": ({"kind": ["dial_in"]}, "/kind"),
    "an account that is no id": ({"account": "../other"}, "/account"),
    "an account that is a number": ({"account": 7}, "/account"),
    "a number that is a number": ({"to": 442079460123}, "/to"),
    "a time without a zone": ({"ended_at": "2026-11-23T10:00:00"}, "/ended_at"),
    "a time that is no time": ({"started_at": "yesterday"}, "/started_at"),
    "a time that is a number": ({"ended_at": 1795431600}, "/ended_at"),
    "a day that is none": ({"ended_at": "2026-02-30T10:00:00Z"}, "/ended_at"),
    "a year of five digits": ({"ended_at": "12026-02-03T10:00:00Z"}, "/ended_at"),
    "an end before the answer": ({"ended_at": "2020-01-01T00:00:00Z"}, "/ended_at"),
    "an answer before the start": ({"answered_at": "2020-01-01T00:00:00Z"}, "/answered_at"),
    "a negative duration": ({"talk_seconds": -1}, "/talk_seconds"),
    "half a second": ({"talk_seconds": 1.5}, "/talk_seconds"),
    "a duration that is a text": ({"talk_seconds": "183"}, "/talk_seconds"),
    "a duration that is true": ({"talk_seconds": True}, "/talk_seconds"),
    "a duration of 38 digits": ({"talk_seconds": 10**37}, "/talk_seconds"),
    "talk without an answer": ({"answered_at": None}, "/talk_seconds"),
}


def assert_problem(answer: Answer, status: int, code: str, instance: str | None = None) -> Json:
    """The answer is a problem document of RFC 9457 that gives nothing away."""
    assert (answer.status, answer.code) == (status, code), answer
    body: Json = answer.json()
    assert body.keys() >= PROBLEM_FIELDS
    assert body["status"] == status
    assert instance is None or body["instance"] == instance
    assert answer.headers["x-request-id"]
    assert b"Traceback" not in answer.body
    assert b'File "' not in answer.body
    return body


@pytest.fixture(scope="module")
def account(deployment: Deployment) -> str:
    return deployment.account()


@pytest.fixture(scope="module")
def bridge(deployment: Deployment, account: str) -> SigningBridge:
    return deployment.new_bridge(accounts=[account], default_account=account)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_written(deployment: Deployment, account: str, bridge: SigningBridge) -> Any:
    """All that this module posts leaves no entry and no parked leg."""
    yield
    # The queue is in order: once this one is charged, the others would have been.
    deployment.charged(account, leg(account), bridge)
    assert [entry["kind"] for entry in deployment.entries(account)] == ["top_up", "debit"]
    assert not [
        item for item in deployment.admin.items("parked-legs") if item["bridge"] == bridge.name
    ]
    assert deployment.admin.get(f"accounts/{account}")["held"] == "0.00"


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_leg_is_refused(bridge: SigningBridge, name: str) -> None:
    body, status, code = BODIES[name]
    answer = bridge.ended(body)
    assert_problem(answer, status, code, f"/api/v1/bridges/{bridge.name}/call-ended")


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_makes_no_sense_is_named(
    bridge: SigningBridge, account: str, name: str
) -> None:
    changes, pointer = FIELDS[name]
    answer = bridge.ended(leg(account) | changes)
    problem = assert_problem(answer, 422, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_one_malformed_leg_refuses_them_all(bridge: SigningBridge, account: str) -> None:
    legs = [leg(account), leg(account), leg(account) | {"ended_at": "soon"}]
    problem = assert_problem(bridge.ended(legs), 422, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["/2/ended_at"]


def _unsigned(_: SigningBridge, __: bytes) -> Json:
    return {}


def _tampered(bridge: SigningBridge, body: bytes) -> Json:
    return signed(bridge.secret, body + b" ")


def _stale(bridge: SigningBridge, body: bytes) -> Json:
    return signed(bridge.secret, body, at=time.time() - 330)


def _early(bridge: SigningBridge, body: bytes) -> Json:
    return signed(bridge.secret, body, at=time.time() + 330)


def _foreign(_: SigningBridge, body: bytes) -> Json:
    return signed("whsec_" + "QUJD" * 8, body)


def _other_time(bridge: SigningBridge, body: bytes) -> Json:
    return signed(bridge.secret, body) | {"webhook-timestamp": str(int(time.time()) - 1)}


def _no_number(bridge: SigningBridge, body: bytes) -> Json:
    return signed(bridge.secret, body) | {"webhook-timestamp": "now"}


def _no_id(bridge: SigningBridge, body: bytes) -> Json:
    return {k: v for k, v in signed(bridge.secret, body).items() if k != "webhook-id"}


def _garbage(bridge: SigningBridge, body: bytes) -> Json:
    return signed(bridge.secret, body) | {"webhook-signature": "v1,=== v2,x \xff"}


def _password(bridge: SigningBridge, _: bytes) -> Json:
    return basic(bridge.name, bridge.secret)


@pytest.mark.parametrize(
    "proof",
    [
        *(_unsigned, _tampered, _stale, _early, _foreign),
        *(_other_time, _no_number, _no_id, _garbage, _password),
    ],
)
def test_who_does_not_prove_himself_is_not_let_in(
    deployment: Deployment,
    bridge: SigningBridge,
    account: str,
    proof: Callable[[SigningBridge, bytes], Json],
) -> None:
    for path, body in (
        ("call-ended", leg(account)),
        ("dial-outs", {"to": LONDON}),
        ("dial-outs/au_x/release", {}),
    ):
        content = json.dumps(body).encode()
        answer = deployment.http.send(
            *("POST", f"/api/v1/bridges/{bridge.name}/{path}", content),
            {"content-type": "application/json"} | proof(bridge, content),
        )
        assert_problem(answer, 401, "not_authenticated")


def test_an_unknown_bridge_is_answered_like_a_wrong_signature(
    deployment: Deployment, bridge: SigningBridge, account: str
) -> None:
    stranger = SigningBridge(deployment.http, unique("nobody"), bridge.secret)
    unknown = assert_problem(stranger.ended(leg(account)), 401, "not_authenticated")
    wrong = SigningBridge(deployment.http, bridge.name, "whsec_" + "QUJD" * 8).ended(leg(account))
    assert unknown["detail"] == assert_problem(wrong, 401, "not_authenticated")["detail"]


def test_a_compressed_body_is_not_read(bridge: SigningBridge, account: str) -> None:
    answer = bridge.ended(leg(account), {"content-encoding": "gzip"})
    assert_problem(answer, 415, "encoding_unsupported")


QUESTIONS: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "body_missing"),
    "no JSON": (b"+44", 400, "json_invalid"),
    "50,000 nested arrays": (DEEP, 400, "json_invalid"),
    "300 KB": (b'{"to": "' + b"1" * 300_000 + b'"}', 413, "too_large"),
    "a list": (b"[]", 422, "invalid"),
    "no number": (b"{}", 422, "invalid"),
    "a number that is a number": (b'{"to": 442079460123}', 422, "invalid"),
    "seconds below one": (b'{"to": "+44", "requested_seconds": 0}', 422, "invalid"),
    "seconds that are a text": (b'{"to": "+44", "requested_seconds": "60"}', 422, "invalid"),
    "seconds without end": (b'{"to": "+44", "requested_seconds": 1e30}', 422, "invalid"),
    "an account that is no id": (b'{"to": "+44", "account": "A/B"}', 422, "invalid"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_makes_no_sense_is_refused(bridge: SigningBridge, name: str) -> None:
    body, status, code = QUESTIONS[name]
    answer = bridge.post("dial-outs", body)
    assert_problem(answer, status, code)


ADMIN_BODIES: dict[str, tuple[str, str, bytes, int, str]] = {
    "no JSON": ("PUT", "accounts/{new}", b"{", 400, "json_invalid"),
    "50,000 nested arrays": ("PUT", "accounts/{new}", DEEP, 400, "json_invalid"),
    "an unknown field": (
        *("PUT", "accounts/{new}"),
        *(b'{"currency": "USD", "colour": "red"}', 422, "invalid"),
    ),
    "no currency": ("PUT", "accounts/{new}", b"{}", 422, "invalid"),
    "a currency that is none": ("PUT", "accounts/{new}", b'{"currency": "usd"}', 422, "invalid"),
    "an amount that is a number": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": 10.5}', 422, "invalid"),
    ),
    "an amount of seven decimals": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": "1.0000001"}', 422, "invalid"),
    ),
    "an amount in words": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": "NaN"}', 422, "invalid"),
    ),
    "an amount with an exponent": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": "1e3"}', 422, "invalid"),
    ),
    "an amount in foreign digits": (
        *("POST", "accounts/{account}/top-ups"),
        *('{"amount": "١٢"}'.encode(), 422, "invalid"),
    ),
    "an amount beyond all money": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": "99999999999999999999"}', 422, "invalid"),
    ),
    "an amount of zero": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": "0"}', 422, "amount_not_positive"),
    ),
    "a negative amount": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": "-5"}', 422, "amount_not_positive"),
    ),
    "credits that are over": (
        *("POST", "accounts/{account}/top-ups"),
        *(b'{"amount": "5", "expires_at": "2020-01-01T00:00:00Z"}', 422, "expiry_in_the_past"),
    ),
    "a rate card without rates": (
        *("PUT", "rate-cards/{new}/versions/2026-01-01T00:00:00Z"),
        *(b'{"currency": "USD", "rates": "none"}', 422, "invalid"),
    ),
    "a bridge that signs by nothing": (
        *("PUT", "bridges/{new}"),
        *(b'{"dialect": "perminute", "accounts": []}', 422, "invalid"),
    ),
    "a dialect that no one speaks": (
        *("PUT", "bridges/{new}"),
        *(b'{"dialect": "klingon", "accounts": ["*"]}', 422, "invalid"),
    ),
}


@pytest.mark.parametrize("name", ADMIN_BODIES)
def test_what_an_administrator_sends_wrong_is_refused(
    deployment: Deployment, account: str, name: str
) -> None:
    method, path, body, status, code = ADMIN_BODIES[name]
    answer = deployment.admin.request(
        *(method, path.format(account=account, new=unique("new")), body),
        idempotency_key=unique("key"),
    )
    assert_problem(answer, status, code)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/api", None),
        ("GET", "/api/", None),
        ("GET", "/api/v2/accounts", None),
        ("POST", "/api//v1/bridges/local/call-ended", None),
        ("POST", "/api/v1/bridges//call-ended", None),
        ("GET", "/api/v1/bridges/local/call-ended", "OPTIONS, POST"),
        ("HEAD", "/api/v1/bridges/local/call-ended", "OPTIONS, POST"),
        ("OPTIONS", "/api/v1/bridges/local/Dial-Outs/", "POST"),
        ("DELETE", "/api/v1/accounts/contoso", "GET, PATCH, PUT"),
        ("PATCH", "/api/v1/accounts/contoso/entries", "GET"),
        ("DELETE", "/api/health", "GET"),
    ],
)
def test_an_unknown_path_and_a_wrong_method_are_distinguished(
    deployment: Deployment, method: str, path: str, allow: str | None
) -> None:
    answer = deployment.http.send(method, path)
    assert (answer.status, answer.headers.get("allow")) == (405 if allow else 404, allow)
    if method != "HEAD":
        code = "method_not_allowed" if allow else "path_unknown"
        assert_problem(answer, answer.status, code, path)


@pytest.mark.parametrize("name", ["Contoso", "-a", "a" * 64, "a%20b", "%2e%2e", "b%2fc", "%00"])
def test_an_id_that_is_none_makes_no_account(deployment: Deployment, name: str) -> None:
    answer = deployment.admin.request("PUT", f"accounts/{name}", {"currency": "USD"})
    assert_problem(answer, 422, "id_invalid")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/health HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
        b"POST /api/health HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"GET /api/v1/accounts?cursor=" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nhost: a\r\nx\x00y: z\r\n\r\n",
    ],
    ids=["TLS", "version", "length", "lengths", "line", "header", "name"],
)
def test_what_is_no_http_does_no_harm(deployment: Deployment, garbage: bytes) -> None:
    port = int(deployment.stack.base_url.rpartition(":")[2])
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
    ):
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert deployment.http.send("GET", "/api/v1/accounts").status == 401
