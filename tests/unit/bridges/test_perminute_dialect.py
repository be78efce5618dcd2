"""Dialect `perminute`: what is read, and what is refused with which pointer."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.bridges import DIALECTS, parse
from shared.adapters.bridges.fields import read_rfc3339
from shared.adapters.bridges.perminute import read_leg
from shared.domain.common.errors import BadRequest, Invalid, TooLarge
from shared.domain.common.kinds import LegKind
from shared.domain.common.limits import CALL_ENDED_BODY_BYTES_MAX
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.domain.legs.leg import EndedLeg
from tests.unit.http.fuzzing import fuzz

LEG: dict[str, Any] = {
    "leg_id": "7c1d-1",
    "conference_id": "3001",
    "kind": "dial_out",
    "from": "+33170180042",
    "to": "+442079460123",
    "started_at": "2026-11-23T10:00:00Z",
    "answered_at": "2026-11-23T10:00:07Z",
    "ended_at": "2026-11-23T10:03:10Z",
    "talk_seconds": 183,
    "account": "contoso",
    "organizer_id": "ken@contoso.example",
    "authorization": "au_Zk3n5vQ1",
    "hangup_cause": "NORMAL_CLEARING",
}
MISSING = object()


def leg_with(**changes: object) -> dict[str, Any]:
    changed = LEG | {name.rstrip("_"): value for name, value in changes.items()}
    return {name: value for name, value in changed.items() if value is not MISSING}


def read(value: object) -> list[EndedLeg]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    legs = parse("perminute", BridgePayload("local", body))
    assert all(isinstance(leg, EndedLeg) for leg in legs)
    return legs  # type: ignore[return-value]


def test_a_whole_leg_is_read_field_by_field() -> None:
    assert read(LEG) == [
        EndedLeg(
            bridge="local",
            leg_id="7c1d-1",
            conference_id="3001",
            kind=LegKind.DIAL_OUT,
            from_number="+33170180042",
            to_number="+442079460123",
            started_at=datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC),
            answered_at=datetime(2026, 11, 23, 10, 0, 7, tzinfo=UTC),
            ended_at=datetime(2026, 11, 23, 10, 3, 10, tzinfo=UTC),
            talk_seconds=183,
            account="contoso",
            organizer="ken@contoso.example",
            authorization="au_Zk3n5vQ1",
            hangup_cause="NORMAL_CLEARING",
        )
    ]


def test_a_thousand_legs_keep_their_order() -> None:
    legs = read([leg_with(leg_id=f"leg-{number}") for number in range(1000)])
    assert [leg.leg_id for leg in legs] == [f"leg-{number}" for number in range(1000)]


def test_more_than_a_thousand_legs_or_a_mebibyte_are_too_large() -> None:
    for body in (b"[" + b",".join([b"{}"] * 1001) + b"]", b" " * (CALL_ENDED_BODY_BYTES_MAX + 1)):
        with pytest.raises(TooLarge):
            read(body)


def test_unknown_fields_are_ignored_unless_a_person_sent_them() -> None:
    leg = leg_with(colour="red")
    assert read(leg) == read(LEG)
    with pytest.raises(Invalid) as caught:
        read_leg("local", leg, pointer="/leg", refuse_unknown=True)
    assert [error.pointer for error in caught.value.errors] == ["/leg/colour"]
    assert read_leg("local", LEG, refuse_unknown=True) == read(LEG)[0]


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"answered_at": None, "talk_seconds": 0}, "answered_at", None),
        ({"answered_at": None, "talk_seconds": None}, "talk_seconds", None),
        ({"talk_seconds": MISSING}, "talk_seconds", None),
        ({"kind": MISSING}, "kind", None),
        ({"kind": "voip", "to": MISSING, "from_": None}, "to_number", None),
        ({"from_": "anonymous"}, "from_number", "anonymous"),
        ({"from_": ""}, "from_number", None),
        ({"to": "00442079460123"}, "to_number", "00442079460123"),
        ({"account": ""}, "account", None),
        ({"organizer_id": "Zoë Ünal"}, "organizer", "Zoë Ünal"),
        ({"leg_id": "a/b?c#d~ é" + "x" * 190}, "leg_id", "a/b?c#d~ é" + "x" * 190),
        ({"ended_at": "2026-11-23T12:03:10.25+02:00"}, "ended_at",
         datetime(2026, 11, 23, 10, 3, 10, 250000, tzinfo=UTC)),
        ({"ended_at": "2999-01-01T00:00:00Z"}, "ended_at", datetime(2999, 1, 1, tzinfo=UTC)),
        ({"talk_seconds": 500}, "talk_seconds", 500),
    ],
)  # fmt: skip
def test_what_may_be_odd_is_kept(changes: dict[str, Any], attribute: str, value: object) -> None:
    """Rating decides about odd numbers, lengths and futures: the leg is not lost here."""
    assert getattr(read(leg_with(**changes))[0], attribute) == value


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"leg_id": MISSING}, "/leg_id"),
    ({"leg_id": ""}, "/leg_id"),
    ({"leg_id": 17}, "/leg_id"),
    ({"leg_id": "x" * 201}, "/leg_id"),
    ({"leg_id": "a\nb"}, "/leg_id"),
    ({"leg_id": "a\x85b"}, "/leg_id"),
    ({"kind": "fax"}, "/kind"),
    ({"kind": 1}, "/kind"),
    ({"kind": ["voip"]}, "/kind"),
    ({"to": MISSING}, "/to"),
    ({"to": ""}, "/to"),
    ({"to": 442079460123}, "/to"),
    ({"to": "4" * 201}, "/to"),
    ({"from_": {}}, "/from"),
    ({"started_at": MISSING}, "/started_at"),
    ({"started_at": None}, "/started_at"),
    ({"started_at": 1795431600}, "/started_at"),
    ({"answered_at": MISSING}, "/answered_at"),
    ({"answered_at": ""}, "/answered_at"),
    ({"ended_at": "2026-11-23T10:03:10"}, "/ended_at"),
    ({"ended_at": "2026-11-23 10:03:10Z"}, "/ended_at"),
    ({"ended_at": "2026-13-23T10:03:10Z"}, "/ended_at"),
    ({"ended_at": "٢٠٢٦-11-23T10:03:10Z"}, "/ended_at"),
    ({"ended_at": "0001-01-01T00:00:00+23:59"}, "/ended_at"),
    ({"ended_at": "9999-12-31T23:59:59-23:59"}, "/ended_at"),
    ({"ended_at": "2026-11-23T10:00:06Z", "talk_seconds": None}, "/ended_at"),
    ({"ended_at": "2026-11-23T09:59:59Z", "answered_at": None, "talk_seconds": 0}, "/ended_at"),
    ({"answered_at": "2026-11-23T09:59:59Z"}, "/answered_at"),
    ({"talk_seconds": -1}, "/talk_seconds"),
    ({"talk_seconds": "183"}, "/talk_seconds"),
    ({"talk_seconds": 183.0}, "/talk_seconds"),
    ({"talk_seconds": True}, "/talk_seconds"),
    ({"talk_seconds": 10**30}, "/talk_seconds"),
    ({"answered_at": None}, "/talk_seconds"),
    ({"account": "No Such Account"}, "/account"),
    ({"account": "a" * 64}, "/account"),
    ({"organizer_id": ["ken"]}, "/organizer_id"),
    ({"conference_id": 3001}, "/conference_id"),
    ({"authorization": "x" * 201}, "/authorization"),
    ({"hangup_cause": 16}, "/hangup_cause"),
]


@pytest.mark.parametrize(("changes", "pointer"), REFUSED)
def test_a_wrong_field_is_named(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(leg_with(**changes))
    assert [error.pointer for error in caught.value.errors] == [pointer]
    assert caught.value.errors[0].detail


def test_one_malformed_leg_refuses_the_whole_array_and_is_named_by_its_place() -> None:
    legs = [LEG, leg_with(leg_id="2"), leg_with(leg_id="3"), leg_with(ended_at="x", kind="fax"), 7]
    with pytest.raises(Invalid) as caught:
        read(legs)
    assert {error.pointer for error in caught.value.errors} == {"/3/ended_at", "/3/kind", "/4"}


@pytest.mark.parametrize("value", [7, "leg", None, True, []], ids=repr)
def test_what_is_neither_leg_nor_array_of_legs_is_refused(value: object) -> None:
    with pytest.raises(Invalid) as caught:
        read(value)
    assert [error.pointer for error in caught.value.errors] == [""]


def test_a_bad_array_is_answered_with_a_bounded_list() -> None:
    with pytest.raises(Invalid) as caught:
        read([{}] * 1000)
    assert len(caught.value.errors) <= 50


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23t10:00:00z", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("2026-11-23T10:00:00.1234567899Z", datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2026-12-31T23:59:60Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-11-23T10:00:00-00:00", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("2026-11-23T24:00:00Z", None),
        ("2026-11-23T10:00Z", None),
        ("2026-11-23T10:00:00+0100", None),
        ("2026-11-23T10:00:00,5Z", None),
        ("2026-02-29T10:00:00Z", None),
        ("2026-11-23T10:00:00Z\n", None),
    ],
)
def test_times_are_rfc_3339_with_zone(text: str, moment: datetime | None) -> None:
    assert read_rfc3339(text) == moment


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@fuzz
@given(st.dictionaries(st.sampled_from(sorted(LEG)), _JUNK))
def test_any_field_of_any_type_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        legs = read(LEG | changes)
    except (Invalid, BadRequest):
        return
    assert len(legs[0].digest()) == 64


@fuzz
@given(st.binary(max_size=300), st.sampled_from(sorted(DIALECTS)))
def test_any_body_in_any_dialect_is_read_or_refused(body: bytes, dialect: str) -> None:
    try:
        parse(dialect, BridgePayload("local", body))
    except (BadRequest, Invalid):
        assert dialect == "perminute"
