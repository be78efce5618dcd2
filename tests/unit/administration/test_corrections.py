"""A parked leg is corrected by its changed fields alone, by those who may."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common.kinds import LegKind
from tests.unit.administration.app import Answer
from tests.unit.administration.town import LONDON, PARIS, TOKYO, Town

PARKED = "/api/v1/parked-legs"
WRONG = "020 79"


def replay(town: Town, parked: dict[str, Any], leg: object, key: str | None = None) -> Answer:
    more = {"key": key} if key else {}
    return town.post(f"{PARKED}/{parked['id']}/replay", {"leg": leg}, **more)


@pytest.fixture
def operator(town: Town) -> str:
    return town.api_key("operator")


@pytest.fixture
def finance(town: Town) -> str:
    return town.api_key("operator", "finance")


def test_a_correction_names_the_changed_fields_alone(town: Town, operator: str) -> None:
    parked = town.parked(
        town.ended(to=WRONG, conference_id="3001", organizer="ken", hangup_cause="16")
    )

    done = replay(town, parked, {"to": LONDON}, operator)

    assert (done.status, done.json["status"]) == (200, "replayed"), done.body
    leg = town.shown(parked["leg"])
    assert (leg["to"], leg["from"], leg["organizer"]) == (LONDON, PARIS, "ken")
    assert (leg["talk_seconds"], leg["amount"]) == (60, "0.10")


def test_an_original_can_be_sent_back_as_it_is_shown(town: Town, operator: str) -> None:
    parked = town.parked(town.ended(to=WRONG, conference_id="3001", organizer="ken"))
    assert (parked["original"]["conference_id"], parked["original"]["organizer_id"]) == (
        *("3001", "ken"),
    )

    same = replay(town, parked, parked["original"], operator)
    done = replay(town, parked, {**parked["original"], "to": LONDON}, operator)

    assert (same.status, same.json["status"], same.json["reason"]) == (
        *(200, "open", "number_invalid"),
    )
    assert done.json["status"] == "replayed", done.body
    assert replay(town, parked, {}, operator).json["status"] == "replayed"


@pytest.mark.parametrize(
    ("name", "other"), [("conference", "conference_id"), ("organizer", "organizer_id")]
)
def test_short_names_are_taken_and_both_at_once_are_not(
    town: Town, operator: str, name: str, other: str
) -> None:
    parked = town.parked(town.ended(to=WRONG))

    both = replay(town, parked, {"to": LONDON, name: "a", other: "b"}, operator)
    done = replay(town, parked, {"to": LONDON, name: "ken"}, operator)

    assert (both.status, both.pointers()) == (422, ["/leg"])
    assert done.json["status"] == "replayed"
    assert town.shown(parked["leg"])[name] == "ken"


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
    town: Town, leg: dict[str, Any], pointer: str
) -> None:
    town.account("other")
    parked = town.parked(town.ended(to=WRONG))

    answer = replay(town, parked, leg)

    assert (answer.status, answer.pointers()) == (422, [pointer])
    assert town.parked_now(parked["id"]) == parked


def test_a_leg_never_moves_to_an_account_that_its_bridge_does_not_serve(town: Town) -> None:
    town.account("other")
    narrow = {"dialect": "perminute", "accounts": ["contoso"]}
    town.put("/api/v1/bridges/narrow", narrow)
    parked = town.parked(town.ended(None, bridge="narrow"))

    refused = replay(town, parked, {"account": "other"})
    done = replay(town, parked, {"account": "contoso"})

    assert (refused.status, refused.pointers()) == (422, ["/leg/account"])
    assert done.json["status"] == "replayed"


def test_an_account_that_the_caller_does_not_see_is_refused(town: Town) -> None:
    town.account("other")
    key = town.api_key("operator", accounts=("contoso",))
    parked = town.parked(town.ended(to=WRONG))

    assert replay(town, parked, {"account": "other"}, key).code == "account_not_allowed"


def priced(town: Town) -> dict[str, Any]:
    """A leg that has a price and is parked all the same: another one has its id."""
    town.leg(leg_id="twice")
    return town.parked(town.ended(leg_id="twice", talk_seconds=120))


def as_other(town: Town, parked: dict[str, Any], leg: dict[str, Any], key: str) -> Answer:
    body = {"leg": leg, "charge_as": "twice-b"}
    return town.post(f"{PARKED}/{parked['id']}/replay", body, key=key)


MINUTE = {"talk_seconds": 60, "ended_at": "2026-11-23T10:01:00Z"}
FREE = [
    {"kind": "voip"},
    {"answered_at": None, "talk_seconds": 0},
    {"talk_seconds": 0, "ended_at": "2026-11-23T10:00:00Z"},
    MINUTE,
]


@pytest.mark.parametrize("change", FREE)
def test_a_leg_that_has_a_price_costs_less_only_by_finance(
    town: Town, operator: str, finance: str, change: dict[str, Any]
) -> None:
    parked = priced(town)

    refused = as_other(town, parked, change, operator)
    assert (refused.status, refused.code) == (403, "role_missing")
    assert town.parked_now(parked["id"]) == parked

    done = as_other(town, parked, change, finance)
    assert done.json["status"] == "replayed", done.body
    assert float(town.shown("pbx~twice-b")["amount"]) < 0.2


@pytest.mark.parametrize(
    "change",
    [
        {"to": PARIS},
        {"conference_id": "3001"},
        {"talk_seconds": 180, "ended_at": "2026-11-23T10:03:00Z"},
    ],
)
def test_a_leg_that_costs_as_much_or_more_is_corrected_by_an_operator(
    town: Town, operator: str, change: dict[str, Any]
) -> None:
    assert as_other(town, priced(town), change, operator).json["status"] == "replayed"


@pytest.mark.parametrize("change", [*FREE, {"kind": "dial_in"}])
def test_a_leg_without_a_price_is_given_number_and_conference_by_an_operator(
    town: Town, operator: str, change: dict[str, Any]
) -> None:
    parked = town.parked(town.ended(to=TOKYO, talk_seconds=120))

    assert replay(town, parked, {"to": LONDON, **change}, operator).code == "role_missing"
    done = replay(town, parked, {"to": LONDON, "conference_id": "3001"}, operator)

    assert done.json["status"] == "replayed"


def test_a_kind_that_was_missing_is_added_by_an_operator(town: Town, operator: str) -> None:
    parked = town.parked(town.ended(kind=None))
    assert parked["reason"] == "kind_unknown"

    assert replay(town, parked, {"kind": "voip"}, operator).code == "role_missing"
    assert replay(town, parked, {"kind": "dial_out"}, operator).json["status"] == "replayed"


def test_a_price_that_is_only_compared_pins_nothing(town: Town, operator: str) -> None:
    parked = town.parked(town.ended(None, leg_id="free", to=TOKYO))
    leg = {"account": "contoso", "to": LONDON, "kind": "voip"}
    town.account("other")

    assert replay(town, parked, leg, operator).status == 403
    done = replay(town, parked, {"account": "other", "kind": "voip"})

    assert done.json["account"] == "other"


def test_lists_are_oldest_first_across_pages(town: Town) -> None:
    for number in range(25):
        town.clock.advance(60 - number)
        town.parked(town.ended(to=TOKYO))

    seen: list[str] = []
    target: str | None = f"{PARKED}?limit=4"
    while target:
        page = town.get(target).json
        seen += [item["received_at"] for item in page["items"]]
        assert len(page["items"]) <= 4
        target = f"{PARKED}?limit=4&cursor={page['next']}" if "next" in page else None

    assert len(seen) == 25
    assert seen == sorted(seen)
    assert len(town.get(f"{PARKED}?format=csv").body.decode().splitlines()) == 26


def test_a_summary_counts_by_reason(town: Town) -> None:
    for _ in range(3):
        town.parked(town.ended(to=TOKYO))
    dismissed = town.parked(town.ended(to=WRONG))
    town.post(f"{PARKED}/{dismissed['id']}/dismiss", {})

    def counted(query: str = "") -> dict[str, Any]:
        return dict(town.get(f"{PARKED}?summary=true{query}").json)

    assert counted() == {"total": 4, "by_reason": {"number_invalid": 1, "rate_missing": 3}}
    assert counted("&status=open") == {"total": 3, "by_reason": {"rate_missing": 3}}
    assert counted("&account=nosuch") == {"total": 0, "by_reason": {}}
    key = town.api_key("reader", accounts=("contoso",))
    assert town.get(f"{PARKED}?summary=true", key=key).code == "account_not_allowed"
    assert town.get(f"{PARKED}?summary=true&account=contoso", key=key).json["total"] == 4


def test_a_corrected_leg_is_charged_once_whatever_is_sent_again(town: Town) -> None:
    parked = town.parked(town.ended(to=WRONG, kind=LegKind.DIAL_OUT))

    first = replay(town, parked, {"to": LONDON})
    town.clock.advance(timedelta(days=1).total_seconds())
    again = replay(town, parked, {"to": PARIS})

    assert first.json == again.json
    assert (town.balance(), town.sound()) == ("9.90", True)
