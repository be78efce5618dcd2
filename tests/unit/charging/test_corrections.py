"""A parked leg is corrected by its changed fields alone, by those who may."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common.kinds import LegKind
from tests.support.charging_app import LONDON, PARIS, TOKYO, ChargingApp
from tests.support.product import Answer

PARKED = "/api/v1/parked-legs"
WRONG = "020 79"


def replay(
    charging: ChargingApp, parked: dict[str, Any], leg: object, key: str | None = None
) -> Answer:
    more = {"key": key} if key else {}
    return charging.post(f"{PARKED}/{parked['id']}/replay", {"leg": leg}, **more)


@pytest.fixture
def operator(charging: ChargingApp) -> str:
    return charging.api_key("operator")


@pytest.fixture
def finance(charging: ChargingApp) -> str:
    return charging.api_key("operator", "finance")


def test_a_correction_names_the_changed_fields_alone(charging: ChargingApp, operator: str) -> None:
    parked = charging.parked(
        charging.ended(to=WRONG, conference_id="3001", organizer="ken", hangup_cause="16")
    )

    done = replay(charging, parked, {"to": LONDON}, operator)

    assert (done.status, done.json["status"]) == (200, "replayed"), done.body
    leg = charging.shown(parked["leg"])
    assert (leg["to"], leg["from"], leg["organizer"]) == (LONDON, PARIS, "ken")
    assert (leg["talk_seconds"], leg["amount"]) == (60, "0.10")


def test_an_original_can_be_sent_back_as_it_is_shown(charging: ChargingApp, operator: str) -> None:
    parked = charging.parked(charging.ended(to=WRONG, conference_id="3001", organizer="ken"))
    assert (parked["original"]["conference_id"], parked["original"]["organizer_id"]) == (
        *("3001", "ken"),
    )

    same = replay(charging, parked, parked["original"], operator)
    done = replay(charging, parked, {**parked["original"], "to": LONDON}, operator)

    assert (same.status, same.json["status"], same.json["reason"]) == (
        *(200, "open", "number_invalid"),
    )
    assert done.json["status"] == "replayed", done.body
    assert replay(charging, parked, {}, operator).json["status"] == "replayed"


@pytest.mark.parametrize(
    ("name", "other"), [("conference", "conference_id"), ("organizer", "organizer_id")]
)
def test_short_names_are_taken_and_both_at_once_are_not(
    charging: ChargingApp, operator: str, name: str, other: str
) -> None:
    parked = charging.parked(charging.ended(to=WRONG))

    both = replay(charging, parked, {"to": LONDON, name: "a", other: "b"}, operator)
    done = replay(charging, parked, {"to": LONDON, name: "ken"}, operator)

    assert (both.status, both.pointers()) == (422, ["/leg"])
    assert done.json["status"] == "replayed"
    assert charging.shown(parked["leg"])[name] == "ken"


@pytest.mark.parametrize(
    ("leg", "pointer"),
    [
        ({"too": LONDON}, "/leg/too"),
        ({"bridge": "other"}, "/leg/bridge"),
        ({"leg_id": "other"}, "/leg/leg_id"),
        ({"to": 5}, "/leg/to"),
        ({"kind": "fax"}, "/leg/kind"),
        ({"answered_at": "now"}, "/leg/answered_at"),
        ({"started_at": None}, "/leg/started_at"),
        ({"account": "other"}, "/leg/account"),
    ],
)
def test_a_correction_that_makes_no_leg_is_refused(
    charging: ChargingApp, leg: dict[str, Any], pointer: str
) -> None:
    charging.account("other")
    parked = charging.parked(charging.ended(to=WRONG))

    answer = replay(charging, parked, leg)

    assert (answer.status, answer.pointers()) == (422, [pointer])
    assert charging.parked_now(parked["id"]) == parked


def test_a_leg_never_moves_to_an_account_that_its_bridge_does_not_serve(
    charging: ChargingApp,
) -> None:
    charging.account("other")
    narrow = {"dialect": "perminute", "accounts": ["contoso"]}
    charging.put("/api/v1/bridges/narrow", narrow)
    parked = charging.parked(charging.ended(None, bridge="narrow"))

    refused = replay(charging, parked, {"account": "other"})
    done = replay(charging, parked, {"account": "contoso"})

    assert (refused.status, refused.pointers()) == (422, ["/leg/account"])
    assert done.json["status"] == "replayed"


def test_an_account_that_the_caller_does_not_see_is_refused(charging: ChargingApp) -> None:
    charging.account("other")
    key = charging.api_key("operator", accounts=("contoso",))
    parked = charging.parked(charging.ended(to=WRONG))

    assert replay(charging, parked, {"account": "other"}, key).code == "account_not_allowed"


def priced(charging: ChargingApp) -> dict[str, Any]:
    """A leg that has a price and is parked all the same: another one has its id."""
    charging.leg(leg_id="twice")
    return charging.parked(charging.ended(leg_id="twice", talk_seconds=120))


def as_other(
    charging: ChargingApp, parked: dict[str, Any], leg: dict[str, Any], key: str
) -> Answer:
    body = {"leg": leg, "charge_as": "twice-b"}
    return charging.post(f"{PARKED}/{parked['id']}/replay", body, key=key)


MINUTE = {"talk_seconds": 60, "ended_at": "2026-11-23T10:01:00Z"}
FREE = [
    {"kind": "voip"},
    {"answered_at": None, "talk_seconds": 0},
    {"talk_seconds": 0, "ended_at": "2026-11-23T10:00:00Z"},
    MINUTE,
]


@pytest.mark.parametrize("change", FREE)
def test_a_leg_that_has_a_price_costs_less_only_by_finance(
    charging: ChargingApp, operator: str, finance: str, change: dict[str, Any]
) -> None:
    parked = priced(charging)

    refused = as_other(charging, parked, change, operator)
    assert (refused.status, refused.code) == (403, "role_missing")
    assert charging.parked_now(parked["id"]) == parked

    done = as_other(charging, parked, change, finance)
    assert done.json["status"] == "replayed", done.body
    assert float(charging.shown("pbx~twice-b")["amount"]) < 0.2


@pytest.mark.parametrize(
    "change",
    [
        {"to": PARIS},
        {"conference_id": "3001"},
        {"talk_seconds": 180, "ended_at": "2026-11-23T10:03:00Z"},
    ],
)
def test_a_leg_that_costs_as_much_or_more_is_corrected_by_an_operator(
    charging: ChargingApp, operator: str, change: dict[str, Any]
) -> None:
    assert as_other(charging, priced(charging), change, operator).json["status"] == "replayed"


@pytest.mark.parametrize("change", [*FREE, {"kind": "dial_in"}])
def test_a_leg_without_a_price_is_given_number_and_conference_by_an_operator(
    charging: ChargingApp, operator: str, change: dict[str, Any]
) -> None:
    parked = charging.parked(charging.ended(to=TOKYO, talk_seconds=120))

    assert replay(charging, parked, {"to": LONDON, **change}, operator).code == "role_missing"
    done = replay(charging, parked, {"to": LONDON, "conference_id": "3001"}, operator)

    assert done.json["status"] == "replayed"


def test_a_kind_that_was_missing_is_added_by_an_operator(
    charging: ChargingApp, operator: str
) -> None:
    parked = charging.parked(charging.ended(kind=None))
    assert parked["reason"] == "kind_unknown"

    assert replay(charging, parked, {"kind": "voip"}, operator).code == "role_missing"
    assert replay(charging, parked, {"kind": "dial_out"}, operator).json["status"] == "replayed"


def test_a_price_that_is_only_compared_pins_nothing(charging: ChargingApp, operator: str) -> None:
    parked = charging.parked(charging.ended(None, leg_id="free", to=TOKYO))
    leg = {"account": "contoso", "to": LONDON, "kind": "voip"}
    charging.account("other")

    assert replay(charging, parked, leg, operator).status == 403
    done = replay(charging, parked, {"account": "other", "kind": "voip"})

    assert done.json["account"] == "other"


def test_lists_are_oldest_first_across_pages(charging: ChargingApp) -> None:
    for number in range(25):
        charging.clock.advance(60 - number)
        charging.parked(charging.ended(to=TOKYO))

    seen: list[str] = []
    target: str | None = f"{PARKED}?limit=4"
    while target:
        page = charging.get(target).json
        seen += [item["received_at"] for item in page["items"]]
        assert len(page["items"]) <= 4
        target = f"{PARKED}?limit=4&cursor={page['next']}" if "next" in page else None

    assert len(seen) == 25
    assert seen == sorted(seen)
    assert len(charging.get(f"{PARKED}?format=csv").body.decode().splitlines()) == 26


def test_a_summary_counts_by_reason(charging: ChargingApp) -> None:
    for _ in range(3):
        charging.parked(charging.ended(to=TOKYO))
    dismissed = charging.parked(charging.ended(to=WRONG))
    charging.post(f"{PARKED}/{dismissed['id']}/dismiss", {})

    def counted(query: str = "") -> dict[str, Any]:
        return dict(charging.get(f"{PARKED}?summary=true{query}").json)

    assert counted() == {"total": 4, "by_reason": {"number_invalid": 1, "rate_missing": 3}}
    assert counted("&status=open") == {"total": 3, "by_reason": {"rate_missing": 3}}
    assert counted("&account=nosuch") == {"total": 0, "by_reason": {}}
    key = charging.api_key("reader", accounts=("contoso",))
    assert charging.get(f"{PARKED}?summary=true", key=key).code == "account_not_allowed"
    assert charging.get(f"{PARKED}?summary=true&account=contoso", key=key).json["total"] == 4


def test_a_corrected_leg_is_charged_once_whatever_is_sent_again(charging: ChargingApp) -> None:
    parked = charging.parked(charging.ended(to=WRONG, kind=LegKind.DIAL_OUT))

    first = replay(charging, parked, {"to": LONDON})
    charging.clock.advance(timedelta(days=1).total_seconds())
    again = replay(charging, parked, {"to": PARIS})

    assert first.json == again.json
    assert (charging.balance(), charging.sound()) == ("9.90", True)
