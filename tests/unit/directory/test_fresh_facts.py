"""What was just put holds for the next request, also in a process that had read before it."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.charging_app import BRITAIN, CARD, FRANCE, MAY, TOKYO, ChargingApp, card, rate

JAPAN = rate("81", "0.30", "Japan")
ACCOUNT = "/api/v1/accounts/contoso"


@pytest.fixture
def other(charging: ChargingApp) -> Iterator[ChargingApp]:
    """A second process on the same tables, which has read all that there is."""
    made = ChargingApp(charging.tables, charging.clock)
    made.count = 1_000
    made.leg()
    yield made
    made.close()


def test_a_rate_that_was_just_put_is_charged_by_every_process(
    charging: ChargingApp, other: ChargingApp
) -> None:
    charging.put(f"{CARD}/{MAY}?backdate=true", card(BRITAIN, FRANCE, JAPAN))
    charging.clock.advance(0.1)

    assert other.shown(other.leg(to=TOKYO))["amount"] == "0.30"


def test_a_price_that_was_just_changed_is_charged_by_every_process(
    charging: ChargingApp, other: ChargingApp
) -> None:
    charging.cheaper()
    charging.clock.advance(0.1)

    assert other.shown(other.leg())["amount"] == "0.05"


def test_a_quote_by_a_rate_that_was_just_put_is_given_by_every_process(
    charging: ChargingApp, other: ChargingApp
) -> None:
    inquiry = {"account": "contoso", "kind": "dial_out", "to": TOKYO, "talk_seconds": 60}
    assert other.post("/api/v1/quotes", inquiry).code == "rate_missing"

    charging.put(f"{CARD}/{MAY}?backdate=true", card(BRITAIN, FRANCE, JAPAN))
    charging.clock.advance(0.1)

    assert other.post("/api/v1/quotes", inquiry).json["amount"] == "0.30"


def test_what_was_missing_is_found_with_the_next_request(
    charging: ChargingApp, other: ChargingApp
) -> None:
    """Absence is never remembered."""
    missing = {
        "/api/v1/accounts/late": {"currency": "USD"},
        f"{ACCOUNT}/organizers/ken": {},
        f"{ACCOUNT}/conferences/3001": {"organizer": "ken"},
        "/api/v1/bridges/late": {"dialect": "perminute", "accounts": ["*"]},
        f"{CARD.replace('default', 'late')}/2026-01-01T00:00:00Z": card(BRITAIN),
    }
    for path, body in missing.items():
        assert other.get(path).status == 404, path
        assert charging.put(path, body).status == 201, path
        assert other.get(path).status == 200, path


def test_the_legs_of_a_batch_read_a_card_once(charging: ChargingApp, other: ChargingApp) -> None:
    charging.clock.advance(0.1)
    reads = []
    read = other.container.rate_cards._read  # type: ignore[attr-defined]

    async def counted(name: str) -> object:
        reads.append(name)
        return await read(name)

    other.container.rate_cards._read = counted  # type: ignore[attr-defined]
    now = charging.clock.now()

    async def batch() -> None:
        cards = other.container.rate_cards
        await asyncio.gather(*(cards.version_for("default", now, known_at=now) for _ in range(50)))

    other.run(batch())
    assert reads == ["default"]
