"""API keys: they expire, say when they were last used, and are refused once they are deleted."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common.errors import OutcomeUnknown
from tests.support.product import START, Product

KEYS = "/api/v1/api-keys"
BODY = {"name": "night shift", "roles": ["reader"], "accounts": ["*"]}


def created(app: Product, **changes: Any) -> tuple[str, str]:
    """(id, key)."""
    answer = app.post(KEYS, {**BODY, **changes})
    assert answer.status == 201, answer.body
    return answer.json["id"], answer.json["key"]


def shown(app: Product, key_id: str) -> dict[str, Any]:
    return next(each for each in app.get(KEYS).json["items"] if each["id"] == key_id)


def test_a_key_is_refused_from_its_expiry_on(app: Product) -> None:
    key_id, key = created(app, expires_at="2026-11-23T10:01:00Z")

    app.clock.advance(59)
    before = app.get("/api/v1/accounts", key=key)
    app.clock.advance(1)
    after = app.get("/api/v1/accounts", key=key)

    assert (before.status, after.status, after.code) == (200, 401, "not_authenticated")
    assert shown(app, key_id)["expires_at"] == "2026-11-23T10:01:00Z"


@pytest.mark.parametrize("text", ["2026-11-23T10:00:00Z", "2020-01-01T00:00:00Z"])
def test_a_key_that_has_expired_already_is_not_made(app: Product, text: str) -> None:
    answer = app.post(KEYS, {**BODY, "expires_at": text})

    assert (answer.status, answer.pointers()) == (422, ["/expires_at"])
    assert app.get(KEYS).json["items"] == []


def test_a_key_without_expiry_never_expires(app: Product) -> None:
    _, key = created(app)
    app.clock.advance(timedelta(days=3650).total_seconds())

    assert app.get("/api/v1/accounts", key=key).status == 200


def test_a_key_that_expires_is_not_read_by_code_that_knows_no_expiry(app: Product) -> None:
    """Its row has a schema number of its own; a key without expiry keeps the old one."""
    created(app)
    created(app, expires_at="2027-01-01T00:00:00Z")

    rows = app.run(app.tables.query("directory", "api_key", before="~"))

    assert sorted(row.values["schema"] for row in rows) == [1, 4]


def test_a_key_that_was_deleted_is_refused_by_every_process_at_once(app: Product) -> None:
    other = Product(app.tables, app.clock)
    key_id, key = created(app)
    assert other.get("/api/v1/accounts", key=key).status == 200

    app.delete(f"{KEYS}/{key_id}")

    assert other.get("/api/v1/accounts", key=key).status == 401
    other.close()


def test_the_last_use_is_shown_to_the_hour(app: Product) -> None:
    key_id, key = created(app)
    assert shown(app, key_id)["last_used_at"] is None

    seen = []
    for seconds in (0, 3599, 3600):
        app.clock.moment = START + timedelta(seconds=seconds)
        assert app.get("/api/v1/accounts", key=key).status == 200
        seen.append(shown(app, key_id)["last_used_at"])

    assert seen == ["2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"]


def test_a_use_that_could_not_be_written_delays_no_one_and_is_written_later(app: Product) -> None:
    key_id, key = created(app)
    app.tables.inject(1, OutcomeUnknown("lost"))

    assert app.get("/api/v1/accounts", key=key).status == 200
    assert shown(app, key_id)["last_used_at"] is None
    assert app.get("/api/v1/accounts", key=key).status == 200
    assert shown(app, key_id)["last_used_at"] == "2026-11-23T10:00:00Z"


def test_a_refused_key_counts_as_no_use(app: Product) -> None:
    key_id, key = created(app)

    assert app.get("/api/v1/accounts", key=f"{key[:-1]}!").status == 401
    assert app.get("/api/v1/accounts", key=f"{key}x").status == 401

    assert shown(app, key_id)["last_used_at"] is None


def test_the_actor_is_the_name_of_the_key_and_no_other_keys(app: Product) -> None:
    app.account()
    (_, first), (second_id, second) = (created(app, roles=["operator"]) for _ in range(2))
    for number, key in enumerate((first, second)):
        path = f"/api/v1/accounts/contoso/organizers/o{number}"
        assert app.put(path, {}, key=key).status == 201

    log = app.get("/api/v1/audit-log?kind=organizer").json["items"]

    assert [each["actor"] for each in log] == [f"night shift ({second_id})", "night shift"]
    assert shown(app, second_id)["actor"] == f"night shift ({second_id})"


@pytest.mark.parametrize("name", ["bootstrap", "perminute", "entra:1"])
def test_a_key_has_no_name_that_others_act_under(app: Product, name: str) -> None:
    answer = app.post(KEYS, {**BODY, "name": name})

    assert (answer.status, answer.pointers()) == (422, ["/name"])


def test_a_key_of_before_has_its_name_as_actor_and_does_not_expire(app: Product) -> None:
    document = {
        "name": "old",
        "roles": ["reader"],
        "accounts": ["*"],
        "secret_hash": "0" * 64,
        "created_at": "2026-01-01T00:00:00Z",
    }
    app.run(app.container.records.put("api_key", "0" * 16, document, if_match=None))

    old = shown(app, "0" * 16)

    assert (old["actor"], old["expires_at"], old["last_used_at"]) == ("old", None, None)
