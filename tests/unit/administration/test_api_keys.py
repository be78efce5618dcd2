"""API keys: they expire, say when they were last used, and are refused once they are deleted."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common.errors import OutcomeUnknown
from tests.unit.administration.house import START, House

KEYS = "/api/v1/api-keys"
BODY = {"name": "night shift", "roles": ["reader"], "accounts": ["*"]}


def created(house: House, **changes: Any) -> tuple[str, str]:
    """(id, key)."""
    answer = house.post(KEYS, {**BODY, **changes})
    assert answer.status == 201, answer.body
    return answer.json["id"], answer.json["key"]


def shown(house: House, key_id: str) -> dict[str, Any]:
    return next(each for each in house.get(KEYS).json["items"] if each["id"] == key_id)


def test_a_key_is_refused_from_its_expiry_on(house: House) -> None:
    key_id, key = created(house, expires_at="2026-11-23T10:01:00Z")

    house.clock.advance(59)
    before = house.get("/api/v1/accounts", key=key)
    house.clock.advance(1)
    after = house.get("/api/v1/accounts", key=key)

    assert (before.status, after.status, after.code) == (200, 401, "not_authenticated")
    assert shown(house, key_id)["expires_at"] == "2026-11-23T10:01:00Z"


@pytest.mark.parametrize("text", ["2026-11-23T10:00:00Z", "2020-01-01T00:00:00Z"])
def test_a_key_that_has_expired_already_is_not_made(house: House, text: str) -> None:
    answer = house.post(KEYS, {**BODY, "expires_at": text})

    assert (answer.status, answer.pointers()) == (422, ["/expires_at"])
    assert house.get(KEYS).json["items"] == []


def test_a_key_without_expiry_never_expires(house: House) -> None:
    _, key = created(house)
    house.clock.advance(timedelta(days=3650).total_seconds())

    assert house.get("/api/v1/accounts", key=key).status == 200


def test_a_key_that_expires_is_not_read_by_code_that_knows_no_expiry(house: House) -> None:
    """Its row has a schema number of its own; a key without expiry keeps the old one."""
    created(house)
    created(house, expires_at="2027-01-01T00:00:00Z")

    rows = house.run(house.tables.query("directory", "api_key", before="~"))

    assert sorted(row.values["schema"] for row in rows) == [1, 4]


def test_a_key_that_was_deleted_is_refused_by_every_process_at_once(house: House) -> None:
    other = House(house.tables, house.clock)
    key_id, key = created(house)
    assert other.get("/api/v1/accounts", key=key).status == 200

    house.delete(f"{KEYS}/{key_id}")

    assert other.get("/api/v1/accounts", key=key).status == 401
    other.close()


def test_the_last_use_is_shown_to_the_hour(house: House) -> None:
    key_id, key = created(house)
    assert shown(house, key_id)["last_used_at"] is None

    seen = []
    for seconds in (0, 3599, 3600):
        house.clock.moment = START + timedelta(seconds=seconds)
        assert house.get("/api/v1/accounts", key=key).status == 200
        seen.append(shown(house, key_id)["last_used_at"])

    assert seen == ["2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"]


def test_a_use_that_could_not_be_written_delays_nobody_and_is_written_later(house: House) -> None:
    key_id, key = created(house)
    house.tables.inject(1, OutcomeUnknown("lost"))

    assert house.get("/api/v1/accounts", key=key).status == 200
    assert shown(house, key_id)["last_used_at"] is None
    assert house.get("/api/v1/accounts", key=key).status == 200
    assert shown(house, key_id)["last_used_at"] == "2026-11-23T10:00:00Z"


def test_a_refused_key_counts_as_no_use(house: House) -> None:
    key_id, key = created(house)

    assert house.get("/api/v1/accounts", key=f"{key[:-1]}!").status == 401
    assert house.get("/api/v1/accounts", key=f"{key}x").status == 401

    assert shown(house, key_id)["last_used_at"] is None


def test_the_actor_is_the_name_of_the_key_and_no_other_keys(house: House) -> None:
    house.account()
    (_, first), (second_id, second) = (created(house, roles=["operator"]) for _ in range(2))
    for number, key in enumerate((first, second)):
        path = f"/api/v1/accounts/contoso/organizers/o{number}"
        assert house.put(path, {}, key=key).status == 201

    log = house.get("/api/v1/audit-log?kind=organizer").json["items"]

    assert [each["actor"] for each in log] == [f"night shift ({second_id})", "night shift"]
    assert shown(house, second_id)["actor"] == f"night shift ({second_id})"


@pytest.mark.parametrize("name", ["bootstrap", "perminute", "entra:1"])
def test_a_key_has_no_name_that_others_act_under(house: House, name: str) -> None:
    answer = house.post(KEYS, {**BODY, "name": name})

    assert (answer.status, answer.pointers()) == (422, ["/name"])


def test_a_key_of_before_has_its_name_as_actor_and_does_not_expire(house: House) -> None:
    document = {
        "name": "old",
        "roles": ["reader"],
        "accounts": ["*"],
        "secret_hash": "0" * 64,
        "created_at": "2026-01-01T00:00:00Z",
    }
    house.run(house.container.records.put("api_key", "0" * 16, document, if_match=None))

    old = shown(house, "0" * 16)

    assert (old["actor"], old["expires_at"], old["last_used_at"]) == ("old", None, None)
