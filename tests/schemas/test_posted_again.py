"""Legs that a release charged or parked are the same legs when a bridge posts them again."""

from typing import Any

import pytest

from shared.domain.common.canonical import parse_time
from shared.domain.common.kinds import LegKind
from shared.domain.legs.leg import EndedLeg, QueuedLeg, read_leg_document
from shared.domain.legs.parking import earlier_parked_ids, parked_id
from shared.usecases.charging.charge_legs import Charged, ChargeStatus

from .test_schemas import ACCOUNT, RELEASES, _uninstall_container, container_of, release

__all__ = ["_uninstall_container"]


def _as_posted(shown: dict[str, Any], **changes: Any) -> EndedLeg:
    """A charged leg as its bridge posted it to the release: it named no account."""
    bridge, _, leg_id = shown["leg"].partition("~")
    answered_at = shown["answered_at"]
    posted = {
        "bridge": bridge,
        "leg_id": leg_id,
        "conference_id": shown["conference"],
        "kind": LegKind(shown["kind"]),
        "from_number": shown["from"],
        "to_number": shown["to"],
        "started_at": parse_time(shown["started_at"]),
        "answered_at": parse_time(answered_at) if answered_at else None,
        "ended_at": parse_time(shown["ended_at"]),
        "talk_seconds": shown["talk_seconds"] if answered_at else None,
        "authorization": shown["authorization"],
    }
    return EndedLeg(**posted | changes)


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize("leg", ["local~leg-2", "local~leg-3", "local~leg-4"])
async def test_a_leg_that_a_release_charged_is_not_a_conflict_when_it_comes_again(
    name: str, leg: str
) -> None:
    app, _ = await container_of(name)
    posted = _as_posted(release(name)["answers"]["legs"][leg])
    before = await app.ledger.state(ACCOUNT)

    (outcome,) = await app.charge_legs([QueuedLeg(posted, app.clock.now())], seconds=10)

    assert (outcome.status, outcome.detail) == (ChargeStatus.REPEATED, "")
    after = await app.ledger.state(ACCOUNT)
    assert before is not None
    assert after is not None
    assert after.balance_micros == before.balance_micros


@pytest.mark.parametrize("name", RELEASES)
async def test_a_leg_that_a_release_charged_is_a_conflict_with_other_content(name: str) -> None:
    app, _ = await container_of(name)
    posted = _as_posted(release(name)["answers"]["legs"]["local~leg-2"], talk_seconds=184)

    (outcome,) = await app.charge_legs([QueuedLeg(posted, app.clock.now())], seconds=10)

    assert outcome.status is ChargeStatus.PARKED
    assert outcome.parked is not None
    assert outcome.parked.reason == "conflict"


@pytest.mark.parametrize("name", RELEASES)
async def test_a_leg_that_a_release_parked_is_not_parked_twice(name: str) -> None:
    app, _ = await container_of(name)
    before, _ = await app.parking.page(where={}, limit=100, cursor=None)
    legs = [read_leg_document(each.original) for each in before]
    assert {parked_id(leg) for leg in legs}.isdisjoint(each.id for each in before)

    queued = [QueuedLeg(leg, app.clock.now()) for leg in legs]
    outcomes = await app.charge_legs(queued, seconds=10)

    after, _ = await app.parking.page(where={}, limit=100, cursor=None)
    assert {each.id for each in after} == {each.id for each in before}
    assert all(isinstance(each, Charged) and each.parked for each in outcomes)
    assert {each.id for each in before} == {earlier_parked_ids(leg)[0] for leg in legs}
