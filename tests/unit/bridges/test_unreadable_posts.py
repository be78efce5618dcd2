"""FreeSWITCH does not post again what was refused: every body up to the limit is 202 and kept."""

import base64
import random
from collections.abc import Iterator

import pytest

from shared.domain.common.limits import CALL_ENDED_BODY_BYTES_MAX
from tests.support.product import Answer, Product

SECRET = "a-secret-of-the-bridge-for-the-tests"
KIB = 1024


def noise(size: int) -> bytes:
    """Bytes that no compression makes shorter."""
    return random.Random(size).randbytes(size)


def letters(size: int) -> bytes:
    return base64.b64encode(noise(size))[:size]


def filled(head: bytes, size: int) -> bytes:
    return head + letters(size - len(head))


BODIES = {
    "600 KiB of an open text": filled(b'{"variables":{"uuid":"a","x":"', 600 * KIB),
    "600 KiB and a byte": filled(b'{"variables":{"uuid":"a","x":"', 600 * KIB + 1),
    "800 KiB without an end": filled(b'{"variables":{"uuid":"a","conference_name":"', 800 * KIB),
    "1 MiB of an open text": filled(b'{"x":"', KIB * KIB),
    "1 MiB of brackets": b"[" * (KIB * KIB),
    "1 MiB of NULs": b"\0" * (KIB * KIB),
    "1 MiB of noise": noise(KIB * KIB),
    "1 MiB of a form of noise": b"cdr=" + noise(KIB * KIB - 4),
    "1 MiB of a broken form": filled(b"cdr=%7B%22variables%22%3A%7B", KIB * KIB),
    "1 MiB of base64": b"cdr=ey" + letters(KIB * KIB - 6),
    "1 MiB of half characters": b"\xed\xa0\x80" * (KIB * KIB // 3),
    "1 MiB of quotes in a form": b"cdr=%7B%22variables%22:%7B" + b"%22" * (KIB * KIB // 3 - 10),
    "UTF-16": '{"variables":{"uuid":"a"}}'.encode("utf-16"),
    "one NUL": b"\0",
    "nothing": b"",
}


@pytest.fixture
def app() -> Iterator[Product]:
    made = Product()
    auth = {"scheme": "basic", "username": "fs1", "secrets": [SECRET]}
    bridge = {"dialect": "freeswitch", "accounts": ["*"], "auth": auth}
    assert made.put("/api/v1/bridges/fs1", bridge).status == 201
    yield made
    made.close()


def post(app: Product, body: bytes) -> Answer:
    login = base64.b64encode(f"fs1:{SECRET}".encode()).decode()
    headers = {"authorization": f"Basic {login}", "content-type": "application/json"}
    target = "/api/v1/bridges/fs1/call-ended?uuid=abc"
    return app.call("POST", target, body, key=None, headers=headers)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_cannot_be_read_is_202_and_kept_byte_for_byte(app: Product, name: str) -> None:
    body = BODIES[name]
    for _ in range(2):
        answer = post(app, body)
        assert answer.status == 202, answer.body[:300]
        (leg,) = answer.json["legs"]
        assert (leg["status"], leg["reason"]) == ("parked", "unreadable")
    (parked,) = app.get("/api/v1/parked-legs").json["items"]
    assert base64.b64decode(parked["original"]["base64"]) == body
    dismissed = app.post(f"/api/v1/parked-legs/{parked['id']}/dismiss", {"note": "noise"})
    assert dismissed.status == 200
    assert base64.b64decode(dismissed.json["original"]["base64"]) == body
    assert len(app.get("/api/v1/parked-legs?status=dismissed").json["items"]) == 1
    assert app.run(app.container.parking.of_leg("fs1~abc"))[0].id == parked["id"]


def test_a_body_beyond_the_limit_is_413(app: Product) -> None:
    assert post(app, b"x" * (CALL_ENDED_BODY_BYTES_MAX + 1)).code == "too_large"
