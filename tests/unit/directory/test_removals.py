"""What is deleted is gone with the next request, and what was before stays."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common.errors import StoreUnavailable
from shared.domain.common.kinds import LegKind
from shared.domain.directory.entities import Registration, end, register, registration_at
from shared.domain.legs.leg import QueuedLeg
from shared.usecases.charging.charge_legs import Charged
from tests.support.charging_app import LONDON, PARIS, ChargingApp
from tests.support.product import START, Answer

ACCOUNT = "/api/v1/accounts/contoso"
ORGANIZER = f"{ACCOUNT}/organizers/ken"
CONFERENCE = f"{ACCOUNT}/conferences/3001"
NUMBER = f"{ACCOUNT}/service-numbers/%2B33170000000"
BRIDGE = "/api/v1/bridges/studio"
ALL = [ORGANIZER, CONFERENCE, NUMBER, BRIDGE]
CODES = {
    ORGANIZER: "organizer_unknown",
    CONFERENCE: "conference_unknown",
    NUMBER: "service_number_unknown",
    BRIDGE: "bridge_unknown",
}


@pytest.fixture
def filled(charging: ChargingApp) -> ChargingApp:
    assert charging.put(ORGANIZER, {"cost_center": "sales"}).status == 201
    assert charging.put(CONFERENCE, {"organizer": "ken"}).status == 201
    assert charging.put(NUMBER, {"kind": "toll"}).status == 201
    bridge = {
        "dialect": "perminute",
        "auth": {"scheme": "basic", "username": "pbx", "secrets": ["one-secret-of-ours"]},
        "accounts": ["*"],
    }
    assert charging.put(BRIDGE, bridge).status == 201
    return charging


def knock(charging: ChargingApp) -> Answer:
    """A dial-out of the bridge, which names the conference."""
    credentials = base64.b64encode(b"pbx:one-secret-of-ours").decode()
    charging.count += 1
    return charging.post(
        f"{BRIDGE}/dial-outs",
        {"to": LONDON, "conference_id": "3001", "account": "contoso", "dry_run": True},
        key=None,
        headers={
            "authorization": f"Basic {credentials}",
            "idempotency-key": f"knock-{charging.count}",
        },
    )


@pytest.mark.parametrize("path", ALL)
def test_a_removal_is_204_then_404_and_can_be_made_again(filled: ChargingApp, path: str) -> None:
    body = {
        name: filled.get(path).json[name]
        for name in ("organizer", "kind")
        if name in filled.get(path).json
    }
    if path == BRIDGE:
        body = {"dialect": "perminute", "accounts": ["*"]}

    removed = filled.delete(path)

    assert (removed.status, removed.body) == (204, b"")
    for answer in (filled.get(path), filled.delete(path)):
        assert (answer.status, answer.code) == (404, CODES[path])
    assert filled.put(path, body).status == 201
    assert filled.get(path).status == 200


@pytest.mark.parametrize("path", ALL)
def test_a_removal_by_a_stale_etag_is_refused(filled: ChargingApp, path: str) -> None:
    stale = filled.delete(path, headers={"if-match": '"77"'})
    current = filled.delete(path, headers={"if-match": filled.get(path).etag})

    assert (stale.status, stale.code, current.status) == (412, "etag_mismatch", 204)


@pytest.mark.parametrize("path", [ORGANIZER, BRIDGE])
@pytest.mark.parametrize("is_conditional", [True, False])
def test_a_change_just_before_the_removal_is_never_lost(
    filled: ChargingApp, path: str, is_conditional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stale ETag nothing is removed; without one, what is kept is what was removed."""
    records, change = filled.container.records, {"cost_center": "ops"}
    kind = "organizer" if path == ORGANIZER else "bridge"
    key = "contoso|ken" if path == ORGANIZER else "studio"
    if path == BRIDGE:
        change = {"country": "FR"}
    delete = records.delete
    left = [change]

    async def late(kind: str, key: str, **more: Any) -> bool:
        if left:
            document = (await records.get(kind, key)).document
            await records.put(kind, key, {**document, **left.pop()}, if_match="*")
        return bool(await delete(kind, key, **more))

    monkeypatch.setattr(records, "delete", late)
    headers = {"if-match": filled.get(path).etag} if is_conditional else {}
    answer = filled.delete(path, headers=headers)

    assert left == []
    if is_conditional:
        assert (answer.status, answer.code) == (412, "etag_mismatch")
        assert filled.get(path).json.items() >= change.items()
    else:
        assert answer.status == 204
        former = filled.run(records.get(f"former_{kind}", key))
        assert json.dumps(change).strip("{}") in json.dumps(former.document)


def test_each_removal_and_patch_is_one_entry_of_the_audit_log(filled: ChargingApp) -> None:
    def count() -> int:
        return len(filled.get("/api/v1/audit-log").json["items"])

    before = count()
    filled.call("PATCH", ORGANIZER, {"cost_center": "ops"})
    for path in ALL:
        filled.clock.advance(1)
        filled.delete(path)

    assert count() == before + 1 + len(ALL)


@pytest.mark.parametrize("path", ALL)
def test_a_removal_needs_the_role_that_setting_needs(filled: ChargingApp, path: str) -> None:
    reader = filled.api_key("reader")

    assert filled.delete(path, key=reader).status == 403
    assert filled.get(path).status == 200


def test_a_bridge_that_was_deleted_is_refused_with_its_next_request(filled: ChargingApp) -> None:
    assert knock(filled).status == 200

    filled.delete(BRIDGE)

    assert (knock(filled).status, knock(filled).code) == (401, "not_authenticated")


def test_a_bridge_is_disabled_and_enabled(filled: ChargingApp) -> None:
    assert knock(filled).status == 200

    filled.call("PATCH", BRIDGE, {"disabled": True})
    refused = knock(filled)
    wrong = filled.post(f"{BRIDGE}/dial-outs", {}, key="wrong")
    assert filled.get(BRIDGE).json["disabled"] is True

    assert (refused.status, refused.json["detail"]) == (401, wrong.json["detail"])
    filled.call("PATCH", BRIDGE, {"disabled": False})
    assert knock(filled).status == 200


@pytest.mark.parametrize("change", ["disabled", "deleted", "another secret"])
def test_every_process_refuses_a_bridge_with_its_next_request(
    filled: ChargingApp, change: str
) -> None:
    other = ChargingApp(filled.tables, filled.clock)
    assert knock(other).status == 200
    filled.clock.advance(1)

    if change == "disabled":
        filled.call("PATCH", BRIDGE, {"disabled": True})
    elif change == "deleted":
        filled.delete(BRIDGE)
    else:
        auth = {"scheme": "basic", "username": "pbx", "secrets": ["another-secret-of-ours"]}
        filled.call("PATCH", BRIDGE, {"auth": auth})
    filled.clock.advance(0.001)
    answer = knock(other)
    other.close()

    assert (answer.status, answer.code) == (401, "not_authenticated")


def test_a_bridge_is_let_in_by_what_was_read_within_30_s_while_the_store_is_down(
    filled: ChargingApp,
) -> None:
    def post() -> Answer:
        leg = {
            "leg_id": "late-1",
            "kind": "dial_out",
            "from": PARIS,
            "to": LONDON,
            "started_at": "2026-11-23T09:00:00Z",
            "answered_at": "2026-11-23T09:00:07Z",
            "ended_at": "2026-11-23T09:03:10Z",
            "account": "contoso",
        }
        credentials = base64.b64encode(b"pbx:one-secret-of-ours").decode()
        headers = {"authorization": f"Basic {credentials}"}
        return filled.post(f"{BRIDGE}/call-ended", leg, key=None, headers=headers)

    assert post().status == 202
    for seconds, status in ((29, 202), (1, 503)):
        filled.clock.advance(seconds)
        filled.tables.inject(1, StoreUnavailable("down"), kind="get")
        assert post().status == status


def test_a_leg_that_was_posted_before_its_bridge_was_deleted_is_charged(
    filled: ChargingApp,
) -> None:
    queued = QueuedLeg(filled.ended(bridge="studio"), filled.clock.now())
    filled.clock.advance(1)
    filled.delete(BRIDGE)
    filled.clock.advance(60)

    outcome = filled.run(filled.container.charge_legs.charge(queued))

    assert isinstance(outcome, Charged)


def meeting_leg(charging: ChargingApp, **more: Any) -> dict[str, Any]:
    """A leg of conference 3001 that names no one."""
    return charging.shown(charging.leg(account=None, conference_id="3001", **more))  # type: ignore[arg-type]


def test_legs_before_a_removal_keep_organizer_and_account(filled: ChargingApp) -> None:
    charged = meeting_leg(filled)
    late = filled.ended(None, conference_id="3001")
    filled.clock.advance(300)
    filled.delete(CONFERENCE)
    filled.delete(ORGANIZER)
    filled.clock.advance(300)

    outcome = filled.run(filled.container.charge_legs.charge(QueuedLeg(late, filled.clock.now())))
    assert isinstance(outcome, Charged)
    after = filled.shown(late.key)
    assert filled.shown(str(charged["leg"])) == charged
    assert after["organizer"] == "ken"
    assert "organizer_unknown" not in after["flags"]

    parked = filled.parked(filled.ended(None, conference_id="3001"))
    assert parked["reason"] == "account_unknown"


def test_a_leg_after_the_removal_of_its_organizer_states_it(filled: ChargingApp) -> None:
    filled.delete(ORGANIZER)
    filled.clock.advance(1)

    assert "organizer_unknown" in meeting_leg(filled)["flags"]


def test_a_removed_number_names_no_kind_and_did_before(filled: ChargingApp) -> None:
    early = filled.ended(None, PARIS, kind=None, from_number=LONDON)
    filled.clock.advance(300)
    filled.delete(NUMBER)
    filled.clock.advance(1)
    late = filled.ended("contoso", PARIS, kind=None, from_number=LONDON)

    assert filled.parked(late)["reason"] == "kind_unknown"
    resolved = filled.run(
        filled.container.charge_legs.resolve(QueuedLeg(early, filled.clock.now()))
    )
    assert resolved[0].kind is LegKind.DIAL_IN


@pytest.mark.parametrize("path", [CONFERENCE, NUMBER])
def test_what_has_ended_stays_readable(filled: ChargingApp, path: str) -> None:
    filled.clock.advance(60)
    filled.delete(path)

    [registration] = filled.get(f"{path}?history=true").json["registrations"]

    assert registration["until"] == "2026-11-23T10:01:00Z"


def test_another_account_never_ends_a_registration(filled: ChargingApp) -> None:
    filled.account("other")
    other = CONFERENCE.replace("contoso", "other")

    assert filled.delete(other).code == "conference_unknown"
    assert filled.get(f"{other}?history=true").status == 404
    assert filled.get(CONFERENCE).status == 200


def test_an_end_touches_nothing_before_it_and_no_other_account() -> None:
    def at(hours: int) -> Any:
        return START + timedelta(hours=hours)

    history = register((), Registration("a", None, organizer="ken"), START)
    history = register(history, Registration("b", None, organizer="eva"), at(10))
    history = register(history, Registration("a", None, organizer="ken"), at(20))

    ended = end(history, "a", at(5))
    names = [
        found and found.account for found in (registration_at(ended, at(h)) for h in range(30))
    ]

    assert names == ["a"] * 5 + [None] * 5 + ["b"] * 20
    assert end(ended, "a", at(6)) == ended
