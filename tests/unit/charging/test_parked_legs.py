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
from tests.support.charging_app import BRITAIN, CARD, FRANCE, MAY, PARIS, ChargingApp, card, rate
from tests.support.memory_tables import MemoryTables
from tests.support.product import Answer, Product

PARKED = "/api/v1/parked-legs"
TOKYO = "+81312345678"
JAPAN = rate("81", "0.30", "Japan")
ANN = Principal("ann", frozenset(), frozenset("*"))


def correct_the_card(charging: ChargingApp) -> None:
    charging.put(f"{CARD}/{MAY}?backdate=true", card(BRITAIN, FRANCE, JAPAN))


def conflict(charging: ChargingApp) -> dict[str, Any]:
    """A leg that comes again with another length."""
    charging.leg(leg_id="twice")
    return charging.parked(charging.ended(leg_id="twice", talk_seconds=120))


def replay(charging: ChargingApp, parked: dict[str, Any], body: object = None) -> Answer:
    return charging.call("POST", f"{PARKED}/{parked['id']}/replay", body)


def test_all_of_a_reason_are_replayed_together_once_the_card_is_corrected(
    charging: ChargingApp,
) -> None:
    unrated = [charging.parked(charging.ended(to=TOKYO)) for _ in range(3)]
    other = charging.parked(charging.ended("nobody"))
    early = charging.post(f"{PARKED}/replay", {"reason": "rate_missing"}).json
    correct_the_card(charging)

    done = charging.post(f"{PARKED}/replay", {"reason": "rate_missing"}).json
    again = charging.post(f"{PARKED}/replay", {"reason": "rate_missing"}).json

    assert (early["open"], early["replayed"]) == (3, 0)
    assert {item["detail"] for item in early["items"]} == {
        "Rate card default has no dial_out rate for +81312345678."
    }
    assert (done["open"], done["replayed"], done["dismissed"]) == (0, 3, 0)
    assert {item["id"] for item in done["items"]} == {item["id"] for item in unrated}
    assert again == {"open": 0, "replayed": 0, "dismissed": 0, "items": []}
    assert charging.parked_now(other["id"])["status"] == "open"
    assert (charging.balance(), charging.sound()) == ("9.10", True)


def test_many_are_gone_through_page_by_page(charging: ChargingApp) -> None:
    for _ in range(7):
        charging.parked(charging.ended(to=TOKYO))
    correct_the_card(charging)

    cursor: dict[str, str] = {}
    replayed = pages = 0
    while True:
        page = charging.post(f"{PARKED}/replay", {"account": "contoso", "limit": 3, **cursor}).json
        assert len(page["items"]) <= 3
        replayed += page["replayed"]
        pages += 1
        if "next" not in page:
            break
        cursor = {"cursor": page["next"]}

    assert (replayed, charging.balance()) == (7, "7.90")
    assert pages <= 4


def test_the_whole_lot_is_replayed_without_a_body(charging: ChargingApp) -> None:
    charging.parked(charging.ended(to=TOKYO))
    charging.parked(charging.ended("nobody"))
    correct_the_card(charging)

    done = charging.call("POST", f"{PARKED}/replay").json

    assert (done["replayed"], done["open"]) == (1, 1)
    assert "next" not in done


def test_one_that_fails_for_now_stays_open_and_the_others_go_on(
    charging: ChargingApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky, lucky = (charging.parked(charging.ended(to=TOKYO)) for _ in range(2))
    correct_the_card(charging)
    charge = charging.container.charge_legs.charge

    async def failing(queued: Any, **words: Any) -> Any:
        if queued.leg.key == unlucky["leg"]:
            raise StoreUnavailable("The store is busy.")
        return await charge(queued, **words)

    monkeypatch.setattr(ChargeLegs, "charge", staticmethod(failing))
    done = charging.post(f"{PARKED}/replay", {}).json

    assert (done["open"], done["replayed"]) == (1, 1)
    by_id = {item["id"]: item for item in done["items"]}
    assert by_id[unlucky["id"]]["code"] == "unavailable"
    assert by_id[unlucky["id"]]["detail"] == "The store is busy."
    assert by_id[lucky["id"]]["status"] == "replayed"


def test_all_of_an_account_are_dismissed_together_with_actor_and_reason(
    charging: ChargingApp,
) -> None:
    ours = [charging.parked(charging.ended(to=TOKYO))["id"] for _ in range(2)]
    other = charging.parked(charging.ended("nobody"))["id"]

    done = charging.post(f"{PARKED}/dismiss", {"account": "contoso", "note": "test calls"}).json

    assert (done["dismissed"], done["open"]) == (2, 0)
    for parked_id in ours:
        shown = charging.parked_now(parked_id)
        assert (shown["status"], shown["note"], shown["actor"]) == (
            *("dismissed", "test calls"),
            "bootstrap",
        )
    assert charging.parked_now(other)["status"] == "open"


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
    charging: ChargingApp, path: str, body: object, code: str
) -> None:
    assert charging.call("POST", f"{PARKED}/{path}", body).code == code


def test_who_sees_one_account_sweeps_that_one_only(charging: ChargingApp) -> None:
    charging.parked(charging.ended(to=TOKYO))
    key = charging.api_key("operator", accounts=("contoso",))
    reader = charging.api_key("reader")

    assert charging.call("POST", f"{PARKED}/replay", {}, key=key).code == "account_not_allowed"
    body = {"account": "contoso"}
    assert charging.call("POST", f"{PARKED}/replay", body, key=key).json["open"] == 1
    foreign = {"account": "fabrikam"}
    assert charging.call("POST", f"{PARKED}/replay", foreign, key=key).code == "account_not_allowed"
    assert charging.call("POST", f"{PARKED}/replay", body, key=reader).code == "role_missing"


def test_a_dismissal_states_the_reason(charging: ChargingApp) -> None:
    parked = charging.parked(charging.ended(to=TOKYO))

    first = charging.call("POST", f"{PARKED}/{parked['id']}/dismiss", {"note": "a test call"})
    again = charging.call("POST", f"{PARKED}/{parked['id']}/dismiss")

    assert (first.json["status"], first.json["note"]) == ("dismissed", "a test call")
    assert again.json == first.json
    assert replay(charging, parked).code == "parked_leg_dismissed"


def test_a_conflict_is_charged_as_another_leg_if_both_calls_were_real(
    charging: ChargingApp,
) -> None:
    parked = conflict(charging)
    assert parked["reason"] == "conflict"

    done = replay(charging, parked, {"charge_as": "twice-b"})

    assert (done.status, done.json["status"], done.json["charged_as"]) == (
        *(200, "replayed"),
        "pbx~twice-b",
    )
    assert charging.shown("pbx~twice")["amount"] == "0.10"
    assert charging.shown("pbx~twice-b")["amount"] == "0.20"
    assert (charging.balance(), charging.sound()) == ("9.70", True)


def test_it_is_charged_as_one_other_leg_only_whatever_is_clicked(charging: ChargingApp) -> None:
    parked = conflict(charging)
    other = ChargingApp(charging.tables, charging.clock)
    services = [charging.container.parked_legs, other.container.parked_legs]

    async def at_once() -> list[ParkedLeg | PerminuteError]:
        return await asyncio.gather(
            *(
                services[number % 2].replay(ANN, parked["id"], charge_as=f"twice-{number % 4}")
                for number in range(12)
            ),
            return_exceptions=True,
        )

    outcomes = charging.run(at_once())

    refused = [each for each in outcomes if isinstance(each, PerminuteError)]
    assert {each.code for each in refused} <= {"parked_leg_charged_as"}
    assert charging.balance() == "9.70"
    assert charging.get("/api/v1/accounts/contoso/verify").json["legs"] == 2
    late = replay(charging, parked, {"charge_as": "twice-9"})
    assert (late.status, late.json["charged_as"]) == (
        200,
        charging.parked_now(parked["id"])["charged_as"],
    )
    assert charging.balance() == "9.70"
    other.close()


def test_a_replay_that_died_after_it_had_recorded_as_which_is_gone_on_with_under_that(
    charging: ChargingApp,
) -> None:
    parked = conflict(charging)
    charging.run(charging.container.parking.pin(parked["id"], "pbx~twice-b"))

    other = replay(charging, parked, {"charge_as": "twice-c"})
    done = replay(charging, parked)

    assert (other.status, other.code) == (409, "parked_leg_charged_as")
    assert (done.json["status"], done.json["charged_as"]) == ("replayed", "pbx~twice-b")
    assert charging.balance() == "9.70"


def test_an_id_that_belongs_to_a_third_leg_is_no_way_out_and_another_may_be_tried(
    charging: ChargingApp,
) -> None:
    parked = conflict(charging)
    charging.leg(leg_id="taken")

    taken = replay(charging, parked, {"charge_as": "taken"})
    free = replay(charging, parked, {"charge_as": "free"})

    assert (taken.json["status"], taken.json["reason"]) == ("open", "conflict")
    assert "charged_as" not in taken.json
    assert (free.json["status"], free.json["charged_as"]) == ("replayed", "pbx~free")


def test_only_a_conflict_changes_its_id(charging: ChargingApp) -> None:
    """Any other leg would be charged again when its bridge posts it once more."""
    unrated = charging.parked(charging.ended(to=TOKYO))
    correct_the_card(charging)

    answer = replay(charging, unrated, {"charge_as": "other"})

    assert (answer.status, answer.pointers()) == (422, ["/charge_as"])
    assert replay(charging, unrated, {"charge_as": "a\nb"}).pointers() == ["/charge_as"]
    assert charging.balance() == "10.00"


def test_what_had_no_id_is_charged_under_the_first_one_that_it_is_given(
    charging: ChargingApp,
) -> None:
    """An unreadable post is corrected by two people, each with an id of their own."""
    from shared.domain.legs.bridge_payloads import Unreadable

    charging.run(
        charging.container.receive_legs.park_unreadable("pbx", Unreadable(None, "no JSON", b"{"))
    )
    (parked,) = charging.get(f"{PARKED}?reason=unreadable").json["items"]

    def corrected(leg_id: str) -> dict[str, Any]:
        moment = "2026-11-23T09:00:00Z"
        times = {"started_at": moment, "answered_at": moment, "ended_at": "2026-11-23T09:01:00Z"}
        numbers = {"kind": "dial_out", "to": "+442079460000", "account": "contoso"}
        return {"leg": {"leg_id": leg_id, **times, **numbers}}

    charging.run(charging.container.parking.pin(parked["id"], "pbx~mine"))
    yours = replay(charging, parked, corrected("yours"))
    mine = replay(charging, parked, corrected("mine"))
    late = replay(charging, parked, corrected("yours"))

    assert (yours.status, yours.code) == (409, "parked_leg_charged_as")
    assert (mine.json["status"], late.json["status"]) == ("replayed", "replayed")
    assert charging.balance() == "9.90"


def test_the_health_check_reports_how_long_the_oldest_one_waits(app: Product) -> None:
    """Degraded after a day, which is no reason to take the process out of service."""
    charging = ChargingApp(app.tables, app.clock)
    charging.settle()

    async def fine() -> None:
        return None

    charging.container.queue_check = fine  # type: ignore[assignment]
    empty = charging.get("/api/health")
    charging.clock.advance(100)
    charging.parked(charging.ended(to=TOKYO, kind=LegKind.DIAL_OUT, from_number=PARIS))
    charging.clock.advance(500)
    young = charging.get("/api/health")
    charging.clock.advance(timedelta(days=1).total_seconds())
    old = charging.get("/api/health")
    charging.post(f"{PARKED}/dismiss", {"account": "contoso", "note": "too late"})
    charging.clock.advance(limits.PARKED_AGE_KEPT_SECONDS)
    over = charging.get("/api/health")

    assert (empty.status, empty.json["status"]) == (200, "ok")
    assert "oldest_parked_leg_seconds" not in empty.json
    assert (young.json["status"], young.json["oldest_parked_leg_seconds"]) == ("ok", 500)
    assert (old.status, old.json["status"], old.json["checks"]["parked_legs"]) == (
        *(200, "degraded"),
        "waiting",
    )
    assert (over.json["status"], over.json["checks"]) == ("ok", {"tables": "ok", "queue": "ok"})
    charging.close()


class AwayTables(MemoryTables):
    """Tables that don't answer scans."""

    async def scan(self, *args: Any, **words: Any) -> Any:
        raise StoreUnavailable("The store is away.")


def test_health_answers_although_no_one_knows_what_is_parked() -> None:
    charging = ChargingApp(AwayTables())

    async def fine() -> None:
        return None

    charging.container.queue_check = fine  # type: ignore[assignment]
    answer = charging.get("/api/health")

    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert "oldest_parked_leg_seconds" not in answer.json
    charging.close()
