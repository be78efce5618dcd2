"""An ETag names one state of a setting for ever, also across its removal."""

from typing import Any

import pytest

from tests.support.charging_app import ChargingApp
from tests.support.product import Product

ACCOUNT = "/api/v1/accounts/contoso"
CONFERENCE = f"{ACCOUNT}/conferences/3001"
NUMBER = f"{ACCOUNT}/service-numbers/%2B33170000000"
REMOVABLE: list[tuple[str, dict[str, Any]]] = [
    (f"{ACCOUNT}/organizers/ken", {"cost_center": "sales"}),
    ("/api/v1/bridges/studio", {"dialect": "perminute", "accounts": ["*"]}),
    (f"{ACCOUNT}/webhooks/erp", {"url": "https://erp.contoso.com/in", "events": ["*"]}),
    (CONFERENCE, {"organizer": "ken"}),
    (NUMBER, {"kind": "toll"}),
]
REGISTERED = [each for each in REMOVABLE if each[0] in {CONFERENCE, NUMBER}]


@pytest.mark.parametrize(("path", "body"), REMOVABLE)
@pytest.mark.parametrize("changes", [0, 2])
def test_what_is_made_again_has_an_etag_that_no_earlier_state_had(
    app: Product, path: str, body: dict[str, Any], changes: int
) -> None:
    app.account()
    seen: list[str] = []
    for _ in range(4):
        made = app.put(path, body)
        assert made.status == 201, made.body
        seen.append(made.etag)
        for _ in range(changes):
            seen.append(app.put(path, body, seen[-1]).etag)
        assert app.delete(path).status == 204

    assert len(set(seen)) == len(seen) == 4 * (1 + changes)


@pytest.mark.parametrize(("path", "body"), REMOVABLE)
def test_a_stale_etag_overwrites_nothing_that_was_made_again(
    app: Product, path: str, body: dict[str, Any]
) -> None:
    app.account()
    stale = app.put(path, body).etag
    app.delete(path)
    made = app.put(path, body)

    for etag in (stale, '"1"'):
        refused = app.put(path, body, etag)
        assert (refused.status, refused.code) == (412, "etag_mismatch")
    assert app.get(path).etag == made.etag


@pytest.mark.parametrize(("path", "body"), REMOVABLE)
@pytest.mark.parametrize("if_match", ["*", "the last one", '"1"'])
def test_nothing_that_was_removed_is_replaced(
    app: Product, path: str, body: dict[str, Any], if_match: str
) -> None:
    app.account()
    last = app.put(path, body).etag
    app.clock.advance(60)
    app.delete(path)
    app.clock.advance(60)

    refused = app.put(path, body, last if if_match == "the last one" else if_match)

    assert (refused.status, refused.code) == (412, "etag_mismatch")
    assert app.get(path).status == 404
    assert app.put(path, body).status == 201


@pytest.mark.parametrize(("path", "body"), REGISTERED)
@pytest.mark.parametrize("if_match", ["*", '"1"'])
def test_a_registration_of_another_account_is_not_replaced_by_etag(
    charging: ChargingApp, path: str, body: dict[str, Any], if_match: str
) -> None:
    charging.account("fabrikam")
    owner = charging.put(path.replace("contoso", "fabrikam"), body)
    assert owner.status == 201

    refused = charging.put(path, body, if_match)
    by_its_etag = charging.put(path, body, owner.etag)

    assert (refused.status, by_its_etag.status) == (412, 412)
    assert charging.get(path).status == 404


@pytest.mark.parametrize(("path", "body"), REGISTERED)
def test_a_registration_that_begins_later_is_replaced_by_its_etag(
    app: Product, path: str, body: dict[str, Any]
) -> None:
    app.account()
    app.put(path, body)
    app.clock.advance(60)
    app.delete(path)
    later = app.put(f"{path}?from=2026-12-01T00:00:00Z", body)

    assert (later.status, app.put(path, body, later.etag).status) == (201, 200)


@pytest.mark.parametrize(("path", "body"), REMOVABLE)
def test_a_stale_etag_removes_nothing(app: Product, path: str, body: dict[str, Any]) -> None:
    app.account()
    first = app.put(path, body).etag
    second = app.put(path, body, first).etag

    stale = app.delete(path, headers={"if-match": first})
    kept = app.get(path).status
    current = app.delete(path, headers={"if-match": second})

    assert (stale.status, stale.code) == (412, "etag_mismatch")
    assert (kept, current.status) == (200, 204)
