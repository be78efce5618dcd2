"""FreeSWITCH's mod_json_cdr, as it posts: basic authentication, three encodings, odd records."""

import base64
import json
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.deployment import LONDON, Deployment, london_price
from tests.e2e.test_bad_input import assert_problem
from tests.support.client import Answer, Json, basic, unique

FIXTURES = Path(__file__).parents[1] / "fixtures" / "freeswitch"
PASSWORD = "a password: with a colon"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class FreeSwitch:
    """A FreeSWITCH that is registered for one account."""

    deployment: Deployment
    name: str
    account: str

    def post(self, body: bytes, content_type: str, leg_id: str, password: str = PASSWORD) -> Answer:
        """What mod_json_cdr posts at hangup."""
        fields = basic(self.name, password) | {"content-type": content_type}
        path = f"/api/v1/bridges/{self.name}/call-ended?uuid={leg_id}"
        return self.deployment.http.send("POST", path, body, fields)

    def charge(self, leg_id: str) -> Json:
        return self.deployment.leg(self.account, leg_id, self.name)


@pytest.fixture
def switch(deployment: Deployment) -> FreeSwitch:
    account, name = deployment.account(), unique("fs")
    auth = {"scheme": "basic", "username": name, "secrets": [PASSWORD]}
    deployment.admin.put(
        f"bridges/{name}",
        {
            "dialect": "freeswitch",
            "auth": auth,
            "accounts": [account],
            "default_account": account,
        },
    )
    return FreeSwitch(deployment, name, account)


def record(switch: FreeSwitch, file: str) -> tuple[str, Json]:
    """A record as if it came from a call of a minute ago, to the switch's account."""
    text = (FIXTURES / f"{file}.json").read_text()
    variables = json.loads(text)["variables"]
    leg_id = str(uuid.uuid4())
    text = text.replace(variables["uuid"], leg_id).replace("contoso", switch.account)
    moved: Json = json.loads(text)
    _shift(moved, int(time.time()) - 60 - int(variables["end_epoch"]))
    return leg_id, moved


def _shift(value: object, seconds: int) -> None:
    """Move all times that are counted since 1970."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, item in list(entries):
        if isinstance(item, dict | list):
            _shift(item, seconds)
        elif isinstance(item, str) and item.isdecimal() and len(item) in {10, 16}:
            unit = 1 if len(item) == 10 else 10**6
            value[key] = str(int(item) + seconds * unit)  # type: ignore[index]


def _raw(body: bytes) -> tuple[bytes, str]:
    return body, "application/json"


def _form(body: bytes) -> tuple[bytes, str]:
    return b"cdr=" + quote(body).encode(), FORM


def _base64(body: bytes) -> tuple[bytes, str]:
    return b"cdr=" + base64.b64encode(body), FORM


@pytest.mark.parametrize("encode", [_raw, _form, _base64])
def test_each_encoding_of_a_record_is_charged(
    switch: FreeSwitch, encode: Callable[[bytes], tuple[bytes, str]]
) -> None:
    leg_id, cdr = record(switch, "dial_out_answered")
    body, content_type = encode(json.dumps(cdr).encode())

    answer = switch.post(body, content_type, leg_id)

    assert answer.status == 202, answer
    assert answer.json() == {"legs": [{"leg": f"{switch.name}~{leg_id}", "status": "queued"}]}
    charge = switch.charge(leg_id)
    assert (charge["kind"], charge["to"], charge["talk_seconds"]) == ("dial_out", LONDON, 183)
    assert (charge["conference"], charge["organizer"]) == (
        "3001",
        "ken@contoso.example".replace("contoso", switch.account),
    )
    assert switch.deployment.balance(switch.account) == 100 - london_price(183)


def test_the_same_record_in_all_encodings_is_charged_once(switch: FreeSwitch) -> None:
    leg_id, cdr = record(switch, "dial_out_answered")
    for encode in (_raw, _form, _base64, _raw):
        body, content_type = encode(json.dumps(cdr).encode())
        assert switch.post(body, content_type, leg_id).status == 202
    other_id, other = record(switch, "dial_out_answered")
    switch.post(*_raw(json.dumps(other).encode()), other_id)
    switch.charge(other_id)

    assert len(switch.deployment.debits(switch.account, 2)) == 2
    assert not switch.deployment.all_parked(leg_id, switch.name)


def test_an_unanswered_call_costs_nothing(switch: FreeSwitch) -> None:
    leg_id, cdr = record(switch, "dial_out_unanswered")
    assert cdr["variables"]["answer_epoch"] == "0"
    switch.post(*_raw(json.dumps(cdr).encode()), leg_id)

    charge = switch.charge(leg_id)

    assert (charge["status"], charge["zero_reason"]) == ("zero", "unanswered")
    assert switch.deployment.balance(switch.account) == 100


def test_a_record_with_a_bare_nan_is_charged(switch: FreeSwitch) -> None:
    leg_id, cdr = record(switch, "dial_out_answered")
    body = json.dumps(cdr | {"callStats": {"mos": "NAN"}}).encode().replace(b'"NAN"', b"-nan")
    assert b": -nan" in body
    switch.post(*_raw(body), leg_id)
    assert switch.charge(leg_id)["amount"] == "0.098"


def test_a_channel_outside_of_conferences_is_ignored(switch: FreeSwitch) -> None:
    leg_id, cdr = record(switch, "bridged_leg")
    answer = switch.post(*_raw(json.dumps(cdr).encode()), leg_id)
    (shown,) = answer.json()["legs"]
    assert (answer.status, shown["status"]) == (202, "ignored")
    assert switch.deployment.entries(switch.account, "?kind=debit") == []


@pytest.mark.extended
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"cdr=!!!",
        b'{"variables": {"uuid": "x"',
        b"[" * 50_000,
        b'{"variables": []}',
        b'{"variables": {"conference_name": "1", "start_epoch": "1e5"}}',
        random.Random(1).randbytes(1024 * 1024),
    ],
    ids=["nothing", "bytes", "form", "half", "deep", "no variables", "odd times", "a MiB of noise"],
)
def test_what_can_not_be_read_is_kept_byte_for_byte_and_parked(
    switch: FreeSwitch, body: bytes
) -> None:
    leg_id = str(uuid.uuid4())

    answers = [switch.post(body, FORM, leg_id) for _ in range(2)]

    for answer in answers:
        (shown,) = answer.json()["legs"]
        assert (answer.status, shown["status"]) == (202, "parked"), answer
        assert shown["reason"] == "unreadable"
    parked = switch.deployment.parked(leg_id, switch.name)
    assert (parked["reason"], parked["status"]) == ("unreadable", "open")
    assert base64.b64decode(parked["original"]["base64"]) == body


def test_an_unreadable_record_is_replayed_with_its_corrected_leg(switch: FreeSwitch) -> None:
    leg_id = str(uuid.uuid4())
    switch.post(b"cdr=!!!", FORM, leg_id)
    parked = switch.deployment.parked(leg_id, switch.name)
    path = f"parked-legs/{parked['id']}/replay"
    assert_problem(switch.deployment.admin.request("POST", path), 422, "leg_needed")

    corrected = {
        "leg_id": leg_id,
        "kind": "dial_out",
        "to": LONDON,
        "conference_id": "3001",
        "started_at": "2026-01-01T00:00:00Z",
        "answered_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:03:03Z",
        "account": switch.account,
    }
    assert switch.deployment.replay(parked["id"], {"leg": corrected})["status"] == "replayed"
    assert switch.charge(leg_id)["amount"] == "0.098"


def test_a_wrong_password_is_refused_and_nothing_is_kept(switch: FreeSwitch) -> None:
    leg_id, cdr = record(switch, "dial_out_answered")
    body, content_type = _raw(json.dumps(cdr).encode())
    for password in ("", "wrong password", PASSWORD[:-1]):
        answer = switch.post(body, content_type, leg_id, password)
        assert_problem(answer, 401, "not_authenticated")
    answer = switch.post(b"unreadable", FORM, leg_id, "wrong password")
    assert_problem(answer, 401, "not_authenticated")
    assert not switch.deployment.all_parked(leg_id, switch.name)


def test_a_new_password_holds_at_once_beside_the_old_one(switch: FreeSwitch) -> None:
    leg_id, cdr = record(switch, "dial_out_answered")
    body, content_type = _raw(json.dumps(cdr).encode())
    path = f"bridges/{switch.name}"
    bridge = switch.deployment.admin.get(path)
    assert "secrets" not in bridge["auth"]
    settings = {name: bridge[name] for name in ("dialect", "accounts", "default_account")}
    auth = {"scheme": "basic", "username": switch.name, "secrets": ["brand new one", PASSWORD]}
    put = switch.deployment.admin.request(
        "PUT", path, settings | {"auth": auth}, if_match=bridge["etag"]
    )
    assert put.status == 200, put

    for password in ("brand new one", PASSWORD):
        assert switch.post(body, content_type, leg_id, password).status == 202
    switch.charge(leg_id)
