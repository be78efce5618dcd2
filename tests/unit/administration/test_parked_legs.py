"""Every parked leg has a way out, alone or with many; it is charged once, whatever is clicked."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError, StoreUnavailable
from shared.domain.common.kinds import LegKind
from shared.domain.directory.access import Principal
from shared.domain.legs.parking import ParkedLeg
from shared.usecases.charging.charge_legs import ChargeLegs
from tests.support.memory_tables import MemoryTables
from tests.unit.administration.app import Answer, House
from tests.unit.administration.town import BRITAIN, CARD, FRANCE, MAY, PARIS, Town, card, rate

PARKED = "/api/v1/parked-legs"
TOKYO = "+81312345678"
JAPAN = rate("81", "0.30", "Japan")
ANN = Principal("ann", frozenset(), frozenset("*"))


def mend_the_card(town: Town) -> None:
    town.put(f"{CARD}/{MAY}?backdate=true", card(BRITAIN, FRANCE, JAPAN))


def conflict(town: Town) -> dict[str, Any]:
    """A leg that comes again with another length."""
    town.leg(leg_id="twice")
    return town.parked(town.ended(leg_id="twice", talk_seconds=120))


def replay(town: Town, parked: dict[str, Any], body: object = None) -> Answer:
    return town.call("POST", f"{PARKED}/{parked['id']}/replay", body)


def test_all_of_a_reason_are_replayed_together_once_the_card_is_mended(town: Town) -> None:
    unrated = [town.parked(town.ended(to=TOKYO)) for _ in range(3)]
    other = town.parked(town.ended("nobody"))
    early = town.post(f"{PARKED}/replay", {"reason": "rate_missing"}).json
    mend_the_card(town)

    done = town.post(f"{PARKED}/replay", {"reason": "rate_missing"}).json
    again = town.post(f"{PARKED}/replay", {"reason": "rate_missing"}).json

    assert (early["open"], early["replayed"]) == (3, 0)
    assert {item["detail"] for item in early["items"]} == {
        "Rate card default has no dial_out rate for +81312345678."
    }
    assert (done["open"], done["replayed"], done["dismissed"]) == (0, 3, 0)
    assert {item["id"] for item in done["items"]} == {item["id"] for item in unrated}
    assert again == {"open": 0, "replayed": 0, "dismissed": 0, "items": []}
    assert town.parked_now(other["id"])["status"] == "open"
    assert (town.balance(), town.sound()) == ("9.10", True)


def test_many_are_gone_through_page_by_page(town: Town) -> None:
    for _ in range(7):
        town.parked(town.ended(to=TOKYO))
    mend_the_card(town)

    cursor: dict[str, str] = {}
    replayed = pages = 0
    while True:
        page = town.post(f"{PARKED}/replay", {"account": "contoso", "limit": 3, **cursor}).json
        assert len(page["items"]) <= 3
        replayed += page["replayed"]
        pages += 1
        if "next" not in page:
            break
        cursor = {"cursor": page["next"]}

    assert (replayed, town.balance()) == (7, "7.90")
    assert pages <= 4


def test_the_whole_lot_is_replayed_without_a_body(town: Town) -> None:
    town.parked(town.ended(to=TOKYO))
    town.parked(town.ended("nobody"))
    mend_the_card(town)

    done = town.call("POST", f"{PARKED}/replay").json

    assert (done["replayed"], done["open"]) == (1, 1)
    assert "next" not in done


def test_one_that_fails_for_now_stays_open_and_the_others_go_on(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky, lucky = (town.parked(town.ended(to=TOKYO)) for _ in range(2))
    mend_the_card(town)
    charge = town.container.charge_legs.charge

    async def failing(queued: Any, **words: Any) -> Any:
        if queued.leg.key == unlucky["leg"]:
            raise StoreUnavailable("The store is busy.")
        return await charge(queued, **words)

    monkeypatch.setattr(ChargeLegs, "charge", staticmethod(failing))
    done = town.post(f"{PARKED}/replay", {}).json

    assert (done["open"], done["replayed"]) == (1, 1)
    by_id = {item["id"]: item for item in done["items"]}
    assert by_id[unlucky["id"]]["code"] == "unavailable"
    assert by_id[unlucky["id"]]["detail"] == "The store is busy."
    assert by_id[lucky["id"]]["status"] == "replayed"


def test_all_of_an_account_are_dismissed_together_with_actor_and_reason(town: Town) -> None:
    ours = [town.parked(town.ended(to=TOKYO))["id"] for _ in range(2)]
    other = town.parked(town.ended("nobody"))["id"]

    done = town.post(f"{PARKED}/dismiss", {"account": "contoso", "note": "test calls"}).json

    assert (done["dismissed"], done["open"]) == (2, 0)
    for parked_id in ours:
        shown = town.parked_now(parked_id)
        assert (shown["status"], shown["note"], shown["actor"]) == (
            *("dismissed", "test calls"),
            "bootstrap",
        )
    assert town.parked_now(other)["status"] == "open"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("dismiss", {"note": "all of them"}, "invalid"),
        ("dismiss", {"account": "contoso"}, "invalid"),
        ("dismiss", {"account": "contoso", "note": ""}, "invalid"),
        ("dismiss", None, "body_missing"),
        ("replay", {"reason": "bored"}, "invalid"),
        ("replay", {"limit": 201}, "invalid"),
        ("replay", {"limit": 0}, "invalid"),
        ("replay", {"colour": "red"}, "invalid"),
        ("replay", {"cursor": "nonsense"}, "cursor_invalid"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(
    town: Town, path: str, body: object, code: str
) -> None:
    assert town.call("POST", f"{PARKED}/{path}", body).code == code


def test_who_sees_one_account_sweeps_that_one_only(town: Town) -> None:
    town.parked(town.ended(to=TOKYO))
    key = town.api_key("operator", accounts=("contoso",))
    reader = town.api_key("reader")

    assert town.call("POST", f"{PARKED}/replay", {}, key=key).code == "account_not_allowed"
    body = {"account": "contoso"}
    assert town.call("POST", f"{PARKED}/replay", body, key=key).json["open"] == 1
    foreign = {"account": "fabrikam"}
    assert town.call("POST", f"{PARKED}/replay", foreign, key=key).code == "account_not_allowed"
    assert town.call("POST", f"{PARKED}/replay", body, key=reader).code == "role_missing"


def test_a_dismissal_says_why(town: Town) -> None:
    parked = town.parked(town.ended(to=TOKYO))

    first = town.call("POST", f"{PARKED}/{parked['id']}/dismiss", {"note": "a test call"})
    again = town.call("POST", f"{PARKED}/{parked['id']}/dismiss")

    assert (first.json["status"], first.json["note"]) == ("dismissed", "a test call")
    assert again.json == first.json
    assert replay(town, parked).code == "parked_leg_dismissed"


def test_a_conflict_is_charged_as_another_leg_if_both_calls_were_real(town: Town) -> None:
    parked = conflict(town)
    assert parked["reason"] == "conflict"

    done = replay(town, parked, {"charge_as": "twice-b"})

    assert (done.status, done.json["status"], done.json["charged_as"]) == (
        *(200, "replayed"),
        "pbx~twice-b",
    )
    assert town.shown("pbx~twice")["amount"] == "0.10"
    assert town.shown("pbx~twice-b")["amount"] == "0.20"
    assert (town.balance(), town.sound()) == ("9.70", True)


def test_it_is_charged_as_one_other_leg_only_whatever_is_clicked(town: Town) -> None:
    parked = conflict(town)
    other = Town(town.tables, town.clock)
    desks = [town.container.parked_legs, other.container.parked_legs]

    async def at_once() -> list[ParkedLeg | PerminuteError]:
        return await asyncio.gather(
            *(
                desks[number % 2].replay(ANN, parked["id"], charge_as=f"twice-{number % 4}")
                for number in range(12)
            ),
            return_exceptions=True,
        )

    outcomes = town.run(at_once())

    refused = [each for each in outcomes if isinstance(each, PerminuteError)]
    assert {each.code for each in refused} <= {"parked_leg_charged_as"}
    assert town.balance() == "9.70"
    assert town.get("/api/v1/accounts/contoso/verify").json["legs"] == 2
    late = replay(town, parked, {"charge_as": "twice-9"})
    assert (late.status, late.json["charged_as"]) == (
        200,
        town.parked_now(parked["id"])["charged_as"],
    )
    assert town.balance() == "9.70"
    other.close()


def test_a_replay_that_died_after_it_had_said_as_which_is_gone_on_with_under_that(
    town: Town,
) -> None:
    parked = conflict(town)
    town.run(town.container.parking.pin(parked["id"], "pbx~twice-b"))

    other = replay(town, parked, {"charge_as": "twice-c"})
    done = replay(town, parked)

    assert (other.status, other.code) == (409, "parked_leg_charged_as")
    assert (done.json["status"], done.json["charged_as"]) == ("replayed", "pbx~twice-b")
    assert town.balance() == "9.70"


def test_an_id_that_belongs_to_a_third_leg_is_no_way_out_and_another_may_be_tried(
    town: Town,
) -> None:
    parked = conflict(town)
    town.leg(leg_id="taken")

    taken = replay(town, parked, {"charge_as": "taken"})
    free = replay(town, parked, {"charge_as": "free"})

    assert (taken.json["status"], taken.json["reason"]) == ("open", "conflict")
    assert "charged_as" not in taken.json
    assert (free.json["status"], free.json["charged_as"]) == ("replayed", "pbx~free")


def test_only_a_conflict_changes_its_id(town: Town) -> None:
    """Any other leg would be charged again when its bridge posts it once more."""
    unrated = town.parked(town.ended(to=TOKYO))
    mend_the_card(town)

    answer = replay(town, unrated, {"charge_as": "other"})

    assert (answer.status, answer.pointers()) == (422, ["/charge_as"])
    assert replay(town, unrated, {"charge_as": "a\nb"}).pointers() == ["/charge_as"]
    assert town.balance() == "10.00"


def test_what_had_no_id_is_charged_under_the_first_one_that_it_is_given(town: Town) -> None:
    """An unreadable post is mended by two people, each with an id of their own."""
    from shared.domain.legs.bridge_payloads import Unreadable

    town.run(town.container.receive_legs.park_unreadable("pbx", Unreadable(None, "no JSON", b"{")))
    (parked,) = town.get(f"{PARKED}?reason=unreadable").json["items"]

    def mended(leg_id: str) -> dict[str, Any]:
        moment = "2026-11-23T09:00:00Z"
        times = {"started_at": moment, "answered_at": moment, "ended_at": "2026-11-23T09:01:00Z"}
        numbers = {"kind": "dial_out", "to": "+442079460000", "account": "contoso"}
        return {"leg": {"leg_id": leg_id, **times, **numbers}}

    town.run(town.container.parking.pin(parked["id"], "pbx~mine"))
    yours = replay(town, parked, mended("yours"))
    mine = replay(town, parked, mended("mine"))
    late = replay(town, parked, mended("yours"))

    assert (yours.status, yours.code) == (409, "parked_leg_charged_as")
    assert (mine.json["status"], late.json["status"]) == ("replayed", "replayed")
    assert town.balance() == "9.90"


def test_the_health_check_tells_how_long_the_oldest_one_waits(app: House) -> None:
    """Degraded after a day, which is no reason to take the house out of service."""
    town = Town(app.tables, app.clock)
    town.settle()

    async def fine() -> None:
        return None

    town.container.queue_check = fine  # type: ignore[assignment]
    empty = town.get("/api/health")
    town.clock.advance(100)
    town.parked(town.ended(to=TOKYO, kind=LegKind.DIAL_OUT, from_number=PARIS))
    town.clock.advance(500)
    young = town.get("/api/health")
    town.clock.advance(timedelta(days=1).total_seconds())
    old = town.get("/api/health")
    town.post(f"{PARKED}/dismiss", {"account": "contoso", "note": "too late"})
    town.clock.advance(limits.PARKED_AGE_KEPT_SECONDS)
    over = town.get("/api/health")

    assert (empty.status, empty.json["status"]) == (200, "ok")
    assert "oldest_parked_leg_seconds" not in empty.json
    assert (young.json["status"], young.json["oldest_parked_leg_seconds"]) == ("ok", 500)
    assert (old.status, old.json["status"], old.json["checks"]["parked_legs"]) == (
        *(200, "degraded"),
        "waiting",
    )
    assert (over.json["status"], over.json["checks"]) == ("ok", {"tables": "ok", "queue": "ok"})
    town.close()


class AwayTables(MemoryTables):
    """Tables that don't answer scans."""

    async def scan(self, *args: Any, **words: Any) -> Any:
        raise StoreUnavailable("The store is away.")


def test_health_answers_although_nobody_knows_what_is_parked() -> None:
    town = Town(AwayTables())

    async def fine() -> None:
        return None

    town.container.queue_check = fine  # type: ignore[assignment]
    answer = town.get("/api/health")

    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert "oldest_parked_leg_seconds" not in answer.json
    town.close()
