"""Versions of rate cards in tables: whole or not at all, and found by time."""

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from shared.adapters.rate_cards.store import TableRateCards
from shared.domain.common import limits
from shared.domain.common.errors import Conflict, Invalid, OutcomeUnknown, StoreUnavailable
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import RoundingMode
from shared.domain.rating.rate_card import Rate, RateCardVersion, Rounding, Slot, build_version
from shared.domain.rating.versioning import PutRules
from tests.support.memory_tables import MemoryTables
from tests.support.product import START, ManualClock


def version(start: datetime, count: int = 1, price: int = 10**10) -> RateCardVersion:
    return build_version(
        card="default",
        effective_from=start,
        currency="USD",
        time_zone="UTC",
        rounding=Rounding(RoundingMode.HALF_UP, 4),
        rates=_rates(count, price),
    )


def _rates(count: int, price: int) -> Iterator[Rate]:
    noise = random.Random(count)
    for number in range(count):
        slot = Slot(0, price if count == 1 else noise.getrandbits(38), 60, 60)
        name = f"{noise.getrandbits(400):x}" if count > 1 else "All"
        yield Rate(LegKind.DIAL_OUT, str(3_000_000 + number), name, 0, (slot,))


class RateCardStores:
    def __init__(self) -> None:
        self.tables = MemoryTables()
        self.clock = ManualClock()
        self.cards = self.process()

    def process(self) -> TableRateCards:
        """Another process on the same tables."""
        return TableRateCards(self.tables, self.clock)

    def rules(self, **fields: object) -> PutRules:
        return PutRules(self.clock.now(), **fields)  # type: ignore[arg-type]

    async def starts(self, moment: datetime, cards: TableRateCards | None = None) -> datetime:
        found = await (cards or self.cards).version_for("default", moment)
        assert found is not None
        return found.effective_from


DAY = timedelta(days=1)


async def test_the_version_in_force_when_the_leg_was_answered_is_found() -> None:
    stores = RateCardStores()
    for start in (START, START + DAY, START + 2 * DAY):
        await stores.cards.put(version(start), stores.rules())

    microsecond = timedelta(microseconds=1)
    assert await stores.cards.version_for("default", START - microsecond) is None
    assert await stores.starts(START) == START
    assert await stores.starts(START + DAY - microsecond) == START
    assert await stores.starts(START + DAY) == START + DAY
    assert await stores.starts(START + 900 * DAY) == START + 2 * DAY


async def test_a_large_deck_comes_out_of_its_chunks_whole() -> None:
    stores = RateCardStores()
    deck = version(START, count=10_000)
    await stores.cards.put(deck, stores.rules())

    found = await stores.process().version_for("default", START)

    assert found is not None
    assert len(found) == 10_000
    assert list(found.rates())[::997] == list(deck.rates())[::997]
    rows = (await stores.tables.scan("ratecards", limit=100)).rows
    chunks = [row for row in rows if row.partition.startswith("chunks|")]
    assert len(chunks) > 1
    for row in chunks:
        sizes = [len(value) for value in row.values.values() if isinstance(value, bytes)]
        assert max(sizes) <= limits.PROPERTY_BINARY_BYTES_MAX
        assert sum(sizes) <= limits.RATE_CARD_CHUNK_BYTES_MAX


async def test_absence_is_only_reported_after_a_fresh_read() -> None:
    stores = RateCardStores()
    other = stores.process()
    assert await other.version_for("default", START) is None

    await stores.cards.put(version(START), stores.rules())
    assert await stores.starts(START, other) == START

    await stores.cards.put(version(START - DAY), stores.rules(backdate=True))
    assert await stores.starts(START - DAY, other) == START - DAY


async def test_another_process_learns_of_a_backdated_version_within_a_second() -> None:
    stores = RateCardStores()
    other = stores.process()
    await stores.cards.put(version(START - DAY), stores.rules())
    await stores.starts(START, other)

    await stores.cards.put(version(START), stores.rules(backdate=True))
    stores.clock.advance(limits.RATE_CARD_LIST_SECONDS)

    assert await stores.starts(START, other) == START


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("after", [False, True])
async def test_a_lost_answer_at_any_step_is_overcome(call: int, after: bool) -> None:
    """Steps: the chunk, the list of cards, head and header."""
    stores = RateCardStores()
    stores.tables.inject(call, OutcomeUnknown("lost"), after=after)

    made = await stores.cards.put(version(START), stores.rules())

    assert made.revision == 1
    assert await stores.starts(START, stores.process()) == START
    assert [v.revision for v in await stores.cards.versions("default")] == [1]


@pytest.mark.parametrize("call", [1, 2, 3])
async def test_a_crash_at_any_step_leaves_no_version(call: int) -> None:
    stores = RateCardStores()
    stores.tables.inject(call, StoreUnavailable("crashed"))

    with pytest.raises(StoreUnavailable):
        await stores.cards.put(version(START), stores.rules())

    assert await stores.cards.versions("default") == []
    assert await stores.cards.version_for("default", START) is None
    made = await stores.cards.put(version(START), stores.rules())
    assert made.revision == 1


async def test_two_first_versions_at_once_are_one_first_version() -> None:
    """Which of them comes first decides: the other one is a later one, and too soon."""
    stores = RateCardStores()
    puts = [stores.process().put(version(START + n * DAY / 1e6), stores.rules()) for n in (0, 1)]

    outcomes = await asyncio.gather(*puts, return_exceptions=True)

    assert [type(o) for o in outcomes].count(Invalid) == 1
    assert len(await stores.cards.versions("default")) == 1


async def test_two_replacements_at_once_are_one() -> None:
    stores = RateCardStores()
    start = START + DAY
    await stores.cards.put(version(start), stores.rules())
    puts = [
        stores.process().put(version(start, price=price), stores.rules(if_match='"1"'))
        for price in (1, 2)
    ]

    outcomes = await asyncio.gather(*puts, return_exceptions=True)

    assert sum(isinstance(o, Exception) for o in outcomes) == 1
    assert [v.revision for v in await stores.cards.versions("default")] == [2]


async def test_a_replaced_version_is_never_served_from_what_was_decoded_before() -> None:
    stores = RateCardStores()
    start = START + DAY
    await stores.cards.put(version(start, price=1), stores.rules())
    await stores.starts(start)
    await stores.cards.put(version(start, price=2), stores.rules(if_match='"1"'))

    found = await stores.cards.version_for("default", start)

    assert found is not None
    assert [rate.slots[0].price_picos for rate in found.rates()] == [2]


async def test_many_who_request_at_once_decode_once() -> None:
    stores = RateCardStores()
    await stores.cards.put(version(START, count=2_000), stores.rules())
    other = stores.process()

    found = await asyncio.gather(*(other.version_for("default", START) for _ in range(20)))

    assert len({id(each) for each in found}) == 1


async def test_decoded_versions_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = RateCardStores()
    for number in range(5):
        await stores.cards.put(version(START + number * DAY, count=200), stores.rules())
    one = await stores.cards.version_for("default", START)
    assert one is not None
    monkeypatch.setattr(limits, "RATE_CARDS_CACHED_BYTES_MAX", int(2.5 * one.held_bytes))

    for number in range(5):
        await stores.starts(START + number * DAY)

    assert len(stores.cards._decoded) <= 3


async def test_a_card_has_a_limited_number_of_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATE_CARD_VERSIONS_MAX", 2)
    stores = RateCardStores()
    for number in range(2):
        await stores.cards.put(version(START + number * DAY), stores.rules())

    with pytest.raises(Conflict) as caught:
        await stores.cards.put(version(START + 2 * DAY), stores.rules())
    assert caught.value.code == "too_many_versions"
