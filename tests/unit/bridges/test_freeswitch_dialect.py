"""Dialect `freeswitch`: real shapes of mod_json_cdr, none of which crashes or is lost."""

import base64
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.bridges import parse
from shared.domain.common.kinds import LegKind
from shared.domain.legs.bridge_payloads import (
    BridgePayload,
    Ignored,
    ParsedLeg,
    Undecided,
    Unreadable,
)
from shared.domain.legs.leg import EndedLeg, leg_document, read_leg_document
from tests.unit.http.fuzzing import fuzz

FIXTURES = Path(__file__).parents[2] / "fixtures"
OWN = FIXTURES / "freeswitch"
UUID = "1f0e9d8c-0000-4000-8000-00000000000{}".format


def record_bytes(name: str) -> bytes:
    return (OWN / f"{name}.json").read_bytes()


def post(body: bytes, content_type: str = "application/json", **query: str) -> ParsedLeg:
    legs = parse("freeswitch", BridgePayload("fs", body, content_type, query))
    assert len(legs) == 1
    return legs[0]


def leg(body: bytes) -> EndedLeg:
    parsed = post(body)
    assert isinstance(parsed, EndedLeg), parsed
    return parsed


def changed(name: str, **variables: Any) -> bytes:
    """A fixture with other variables; None leaves one out."""
    record = json.loads(record_bytes(name))
    merged = record["variables"] | variables
    record["variables"] = {key: value for key, value in merged.items() if value is not None}
    return json.dumps(record).encode()


def as_base64(record: bytes) -> bytes:
    return b"cdr=" + base64.b64encode(record)


def as_form(record: bytes) -> bytes:
    """Variables that are percent-encoded are so twice."""
    return b"cdr=" + quote(record, safe="").encode()


def as_plus_form(record: bytes) -> bytes:
    return b"cdr=" + quote_plus(record).encode()


def as_lossy_form(record: bytes) -> bytes:
    """As in FreeSWITCH, text that is percent-encoded already is unchanged."""
    parts = re.split(rb"(%[0-9A-Fa-f]{2})", record.strip())
    coded = (
        part if index % 2 else quote(part, safe="").encode() for index, part in enumerate(parts)
    )
    return b"cdr=" + b"".join(coded)


ENCODINGS: list[Callable[[bytes], bytes]] = [bytes, as_base64, as_form, as_lossy_form, as_plus_form]


def expectations(folder: Path) -> list[Any]:
    path = folder / "expected.json"
    expected = json.loads(path.read_text()) if path.exists() else []
    return [
        pytest.param(folder / each["file"], each, id=Path(each["file"]).name)
        for each in expected
        if each["bridge"] == "freeswitch"
    ]


def in_conference(body: bytes, name: str) -> bytes:
    """The same post of a channel that joined a conference, in whichever encoding it is."""
    if body.startswith(b"cdr=%"):
        return body.replace(
            b"%22variables%22%3A%7B",
            f"%22variables%22%3A%7B%22conference_name%22%3A%22{name}%22%2C".encode(),
            1,
        )
    if body.startswith(b"cdr="):
        return b"cdr=" + base64.b64encode(in_conference(base64.b64decode(body[4:]), name))
    return re.sub(
        rb'"variables"\s*:\s*\{',
        f'"variables":{{"conference_name":"{name}",'.encode(),
        body,
        count=1,
    )


@pytest.mark.parametrize(("path", "expected"), expectations(FIXTURES))
def test_a_record_states_what_is_expected_of_it(path: Path, expected: dict[str, Any]) -> None:
    body = path.read_bytes()
    conference = expected["conference"]
    authorised = b"perminute_authorization" in body
    if conference is None and not authorised:
        ignored = post(body)
        assert isinstance(ignored, Ignored | Undecided)
        leg_id = ignored.leg_id if isinstance(ignored, Ignored) else ignored.leg.leg_id
        assert leg_id == expected["leg_id"]
        conference = "3001"
        body = in_conference(body, conference)
    for content_type in ("application/json", "application/x-www-form-urlencoded", ""):
        parsed = post(body, content_type, uuid=expected["leg_id"])
        assert isinstance(parsed, EndedLeg), parsed
        assert parsed.leg_id == expected["leg_id"]
        assert (parsed.kind.value if parsed.kind else "unknown") == expected["direction"]
        assert parsed.from_number == expected["from"]
        assert parsed.to_number == expected["to"]
        assert parsed.talk_seconds == expected["talk_seconds"]
        assert parsed.conference_id == conference
        for name in ("started_at", "answered_at", "ended_at"):
            stated = expected[name] and datetime.fromisoformat(expected[name])
            assert getattr(parsed, name) == stated, name


@pytest.mark.parametrize(
    "path",
    sorted(OWN.glob("*.json")),
    ids=lambda path: path.name,
)
def test_no_file_of_any_kind_crashes_the_dialect(path: Path) -> None:
    parsed = post(path.read_bytes(), uuid=UUID(1))
    assert isinstance(parsed, EndedLeg | Ignored | Undecided | Unreadable)
    if path.suffix in {".xml", ".csv"}:
        assert isinstance(parsed, Unreadable)


@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize(
    "name",
    ["dial_out_answered", "dial_out_unanswered", "dial_in_extension", "dial_in_object_nan",
     "no_direction"],
)  # fmt: skip
def test_every_encoding_of_a_record_is_the_same_leg(
    name: str, encode: Callable[[bytes], bytes]
) -> None:
    assert leg(encode(record_bytes(name))) == leg(record_bytes(name))


@pytest.mark.parametrize("encode", [as_base64, as_form, as_lossy_form])
def test_a_file_left_by_a_failed_post_is_read_as_it_is(encode: Callable[[bytes], bytes]) -> None:
    """FreeSWITCH writes the encoded record with a line feed and without `cdr=`."""
    record = record_bytes("dial_out_answered")
    assert leg(encode(record).removeprefix(b"cdr=") + b"\n") == leg(record)


@pytest.mark.parametrize("damage", [(b"+", b" "), (b"+", b"%2B"), (b"=", b""), (b"=", b"%3D")])
def test_base64_survives_what_proxies_do_to_it(damage: tuple[bytes, bytes]) -> None:
    record = record_bytes("dial_out_answered").replace(b"Outbound Call", b"~>~?~>>~?>~>")
    record = record.strip() + b" " * (1 - len(record.strip()) % 3)
    body = as_base64(record)
    assert b"+" in body
    assert body.endswith(b"=")
    assert leg(b"cdr=" + body[4:].replace(*damage)) == leg(body)


def test_what_the_dial_plan_exports_is_read() -> None:
    parsed = leg(record_bytes("dial_out_answered"))
    assert parsed.account == "contoso"
    assert parsed.organizer == "ken@contoso.example"
    assert parsed.authorization == "au_Zk3n5vQ1"
    assert parsed.hangup_cause == "NORMAL_CLEARING"


def test_an_unanswered_dial_out_without_conference_is_a_leg_that_frees_its_hold() -> None:
    parsed = leg(record_bytes("dial_out_unanswered"))
    assert parsed.conference_id is None
    assert parsed.authorization == "au_Zk3n5vQ2"
    assert parsed.answered_at is None
    by_account = leg(changed("dial_out_unanswered", perminute_authorization=None))
    assert by_account.account == "contoso"


def test_an_answered_caller_who_reached_no_conference_is_a_leg_with_an_account() -> None:
    body = changed("dial_in_extension", conference_name=None, perminute_account="contoso")
    assert leg(body).conference_id is None
    record = json.loads(record_bytes("dial_in_extension"))
    record["variables"] |= {"answer_epoch": "0", "answer_uepoch": "0", "billsec": "0"}
    record["variables"] |= {"conference_name": "", "perminute_account": "contoso"}
    record["callflow"] = []
    ignored = post(json.dumps(record).encode())
    assert ignored == Ignored(UUID(3), "The channel reached no conference.")


def test_an_answered_caller_without_an_account_is_a_leg_if_the_number_is_registered() -> None:
    found = post(changed("dial_in_extension", conference_name=None))
    assert isinstance(found, Undecided)
    assert found.leg.to_number == "+498912345099"
    assert isinstance(post(record_bytes("bridged_leg")), Ignored)


def test_exported_kind_and_number_win() -> None:
    assert leg(changed("dial_in_extension", perminute_kind="voip")).kind is LegKind.VOIP
    body = changed("dial_out_unanswered", perminute_to="%2B442079460123")
    assert leg(body).to_number == "+442079460123"


def test_the_dialled_number_is_found_behind_an_extension() -> None:
    body = changed("dial_in_extension", sip_req_user="498912345099", sip_to_user="498912345099")
    assert leg(body).to_number == "498912345099"
    body = changed("dial_in_extension", sip_req_user=None, sip_to_user=None)
    assert leg(body).to_number == "3002"


def test_seconds_are_used_where_microseconds_are_missing() -> None:
    body = changed("dial_out_answered", answer_uepoch=None, end_uepoch="")
    parsed = leg(body)
    assert parsed.answered_at is not None
    assert (parsed.ended_at - parsed.answered_at).total_seconds() == 183


def test_billsec_is_kept_though_the_times_differ() -> None:
    assert leg(changed("dial_out_answered", billsec="500")).talk_seconds == 500
    assert leg(changed("dial_out_answered", billsec=None)).talk_seconds is None


UNREADABLE: dict[str, bytes] = {
    "no epochs": record_bytes("no_epochs"),
    "no end": changed("no_direction", end_uepoch=None),
    "billed but no answer": changed("no_direction", answer_uepoch="0"),
    "neither answer nor billsec": changed("no_direction", answer_uepoch=None, billsec=None),
    "end before answer": changed("no_direction", end_uepoch="1795431600500000"),
    "negative billsec": changed("no_direction", billsec="-3"),
    "time that is no number": changed("no_direction", end_uepoch="2026-11-23"),
    "time out of range": changed("no_direction", end_epoch="99999999999999999", end_uepoch=None),
    "account that can't be one": changed("no_direction", perminute_account="No%20Such"),
    "organizer with a line feed": changed("no_direction", perminute_organizer="ken%0A"),
    "long conference": changed("no_direction", conference_name="x" * 201),
    "unknown kind": changed("no_direction", perminute_kind="fax"),
    "uuid that is no id": changed("no_direction", uuid="a%00b"),
    "variable that is an object": changed("no_direction", billsec={}),
    "repeated variable": record_bytes("no_direction").replace(
        b'"billsec":', b'"billsec":"1","billsec":'
    ),
    "no variables": b'{"xml_cdr_uuid": "1", "start_epoch": 1795431600}',
    "XML": b"<?xml version='1.0'?><cdr/>",
    "empty": b"",
    "empty form": b"cdr=",
    "form with a wrong name": b"record=%7B%7D",
    "no base64": b"cdr=e!!!",
    "base64 of bytes": b"cdr=" + base64.b64encode(b"\xff\x00"),
    "cut off": record_bytes("dial_out_answered")[:-40],
    "cut off form": as_lossy_form(record_bytes("dial_out_answered"))[:900],
    "array": b"[1]",
    "deep": b"[" * 50_000 + b"]" * 50_000,
    "deep in a form": b"cdr=" + quote(b'{"a":' * 5_000).encode(),
}  # fmt: skip


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_kept_as_it_came(body: bytes) -> None:
    parsed = post(body, uuid=UUID(6))
    assert isinstance(parsed, Unreadable)
    assert parsed.original == body
    assert parsed.detail
    assert parsed.leg_id in {UUID(6), UUID(7)}


@pytest.mark.parametrize(
    ("query", "leg_id"),
    [
        ({"uuid": UUID(9)}, UUID(9)),
        ({"code": f"KEY?uuid={UUID(9)}"}, UUID(9)),
        ({"code": "KEY"}, None),
        ({"uuid": "x" * 201}, None),
        ({}, None),
    ],
)
def test_an_unreadable_record_is_named_by_its_url(
    query: dict[str, str], leg_id: str | None
) -> None:
    parsed = post(b"garbage", **query)
    assert isinstance(parsed, Unreadable)
    assert parsed.leg_id == leg_id


def test_a_caller_cannot_pretend_to_be_a_variable_of_the_record() -> None:
    """A name that imitates a variable is unreadable in the lossy form, harmless in all others."""
    name = quote('x","billsec":"0","y":"z', safe="")
    body = changed("dial_out_answered", caller_id=name).replace(b": ", b":").replace(b", ", b",")
    assert isinstance(post(as_lossy_form(body)), Unreadable)
    for encode in (bytes, as_base64, as_form):
        assert leg(encode(body)).talk_seconds == 183


def test_names_in_any_encoding_do_no_harm() -> None:
    body = record_bytes("dial_in_extension").replace("Jörg Ä".encode(), b"J\xf6rg \xc4")
    assert leg(body) == leg(record_bytes("dial_in_extension"))


_VARIABLE = st.sampled_from(
    [*json.loads(record_bytes("dial_out_answered"))["variables"], "perminute_kind"]
)
_VALUE = (
    st.none()
    | st.text(max_size=20)
    | st.integers()
    | st.lists(st.text(max_size=3), max_size=2)
    | st.sampled_from(["0", "%00", "%zz", "%FF", "-1", "9" * 18, "9" * 30, '"', "nan"])
)


@fuzz
@given(st.dictionaries(_VARIABLE, _VALUE), st.sampled_from(ENCODINGS))
def test_any_variables_in_any_encoding_are_read_ignored_or_kept(
    variables: dict[str, Any], encode: Callable[[bytes], bytes]
) -> None:
    parsed = post(encode(changed("dial_out_answered", **variables)))
    if isinstance(parsed, EndedLeg):
        assert len(parsed.digest()) == 64


@fuzz
@given(st.data())
def test_any_damage_to_a_post_is_survived(data: st.DataObject) -> None:
    encode = data.draw(st.sampled_from(ENCODINGS))
    body = bytearray(encode(record_bytes("dial_out_answered")))
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(body)))
        end = begin + data.draw(st.integers(0, 40))
        body[begin:end] = data.draw(st.binary(max_size=5))
    post(bytes(body))


TWO_READINGS = {
    "channel_data": {"direction": "outbound"},
    "variables": {
        "uuid": "a",
        "start_epoch": "1795600000",
        "answer_epoch": "1795600007",
        "end_epoch": "1795600190",
        "billsec": "183",
        "conference_name": "3001",
        "sip_to_user": "%2B442079460123",
        "sip_from_user": "+33170180042",
    },
    "callflow": [
        {"caller_profile": {"ani": "anonymous", "destination_number": "+33199009900"}},
        {"caller_profile": {"ani": "anonymous", "destination_number": "+442079460123"}},
    ],
}


def test_a_record_is_still_known_by_the_numbers_that_the_first_release_chose() -> None:
    """It charged the newest profile's number, and took the first text for the caller."""
    found = leg(json.dumps(TWO_READINGS).encode())
    assert (found.from_number, found.to_number) == ("+33170180042", "+442079460123")

    then = replace(found, from_number="anonymous", to_number="+33199009900", first_read=None)

    assert found.first_read == ("anonymous", "+33199009900")
    assert then.earlier_digests()[0] in found.earlier_digests()
    assert then.digest() != found.digest()
    assert read_leg_document(leg_document(found)) == found


def test_a_record_with_one_reading_has_one_earlier_digest() -> None:
    record = {**TWO_READINGS, "callflow": []}
    found = leg(json.dumps(record).encode())
    assert (found.first_read, len(found.earlier_digests())) == (None, 1)


LEGS = json.loads((FIXTURES / "freeswitch_legs.json").read_text("utf-8"))


@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize("each", LEGS, ids=lambda each: str(each["name"]))
def test_a_leg_is_billed_as_its_stopwatch_says(
    each: dict[str, Any], encode: Callable[[bytes], bytes]
) -> None:
    """Shapes of real calls, with the time between answer and BYE that the phone itself measured;
    twice, as the files of the error folder may be posted."""
    body = encode(json.dumps(each["record"], separators=(",", ":")).encode())
    found, again = post(body), post(body)
    assert found == again
    if each["expected"] == "ignored":
        assert isinstance(found, Ignored | Undecided)
        return
    assert isinstance(found, EndedLeg), found
    stopwatch = each["stopwatch_seconds"]
    assert math.floor(stopwatch) <= found.talk_seconds <= math.ceil(stopwatch)
    assert (found.answered_at is None) is (each["expected"] == "zero")
    number = each["record"]["callflow"][0]["caller_profile"]["destination_number"]
    assert found.to_number == number
    variables = each["record"]["variables"]
    is_outbound = variables["direction"] == "outbound"
    assert (found.kind is LegKind.DIAL_OUT) is is_outbound
    assert found.authorization == variables.get("perminute_authorization")
