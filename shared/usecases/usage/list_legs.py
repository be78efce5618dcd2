"""The legs of an account in a span of time, from its ledger, a page at a time."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import Invalid
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.legs.parking import ParkStatus
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.leg_list import PARKED, LegFilter, ListedLeg, listed_leg, parked_leg
from shared.domain.usage.usage import UsageSpan
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.ledger import Commit, Ledger
from shared.ports.legs import ParkingLot
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.usage.spans import requested_span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_WINDOW_COMMITS = 4


class LegOrder(StrEnum):
    """The order of a list of legs: by the time that selects them, or the most expensive first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True)
class LegQuery:
    """A selection of legs, and their order."""

    bounds: tuple[datetime | None, datetime | None]
    by: UsageTime
    wanted: LegFilter
    order: LegOrder


@dataclass(frozen=True, slots=True)
class LegPage:
    """Legs in order, with the account's time zone; `place` is that of the next page, None on the
    last one. A page may be short."""

    legs: list[ListedLeg]
    place: str | None
    time_zone: str


@dataclass(frozen=True, slots=True)
class ListLegs:
    """Raises NotFound `account_unknown` and StoreUnavailable.

    Pages by the time of the entry read the journal from their place on. All other lists, and
    complete ones, read the span as a whole.
    """

    facts: DirectoryCache
    ledger: Ledger
    parking: ParkingLot
    clock: Clock

    async def page(self, account: str, query: LegQuery, limit: int, place: str | None) -> LegPage:
        """At most `limit` legs from a place on."""
        span = await self._span(account, query)
        if query.wanted.status == PARKED:
            legs = await self._parked(account, query, span)
        elif query.by is UsageTime.ANSWERED or query.order is LegOrder.AMOUNT:
            legs = await self._collected(account, query, span)
        else:
            listed, following = await self._scanned(account, query, span, limit, place)
            return LegPage(listed, following, span.time_zone)
        key = _key(query)
        legs.sort(key=key)
        if place is not None:
            after = tuple(map(int, place.split("|")))
            legs = [leg for leg in legs if key(leg)[:2] > after]
        listed = legs[:limit]
        is_last = len(legs) <= limit
        if query.wanted.number is None and query.wanted.status != PARKED:
            await self._name(account, listed)
        following = None if is_last else "|".join(map(str, key(listed[-1])[:2]))
        return LegPage(listed, following, span.time_zone)

    async def every(self, account: str, query: LegQuery) -> LegPage:
        """All legs."""
        span = await self._span(account, query)
        if query.wanted.status == PARKED:
            legs = await self._parked(account, query, span)
        else:
            legs = await self._collected(account, query, span)
            if query.wanted.number is None:
                await self._name(account, legs)
        legs.sort(key=_key(query))
        return LegPage(legs, None, span.time_zone)

    async def of_conference(
        self, account: str, conference: str, bounds: tuple[datetime | None, datetime | None]
    ) -> list[ListedLeg]:
        """The charged legs of a conference in a span; without one those of its last meeting, which
        began after four hours without a charge, in the last 31 days."""
        filters, any_time = LegFilter(conference=conference), bounds == (None, None)
        if any_time:
            now = self.clock.now()
            bounds = now - timedelta(days=limits.CONFERENCE_DAYS_BACK), now + timedelta(seconds=1)
        query = LegQuery(bounds, UsageTime.BOOKED, filters, LegOrder.NEWEST)
        gap = timedelta(minutes=limits.MEETING_GAP_MINUTES)
        legs: list[ListedLeg] = []
        place: str | None = None
        while True:
            page = await self.page(account, query, limits.LIST_ITEMS_DEFAULT, place)
            for leg in page.legs:
                if any_time and legs and legs[-1].booked_at - leg.booked_at > gap:
                    return legs
                legs.append(leg)
            place = page.place
            if place is None:
                return legs

    async def _span(self, account: str, query: LegQuery) -> UsageSpan:
        zone = (await self.facts.require_account(account)).settings.time_zone
        now = self.clock.now()
        return await requested_span(self.ledger, account, query.bounds, query.by, zone, now)

    async def _name(self, account: str, legs: Sequence[ListedLeg]) -> None:
        persons = await self.ledger.persons_of(account, [leg.leg for leg in legs])
        for leg in legs:
            await yield_to_others()
            leg.name(persons.get(leg.leg, {}))

    async def _parked(self, account: str, query: LegQuery, span: UsageSpan) -> list[ListedLeg]:
        parked_legs: list[ListedLeg] = []
        cursor = None
        where = {"account": account, "status": ParkStatus.OPEN.value}
        while True:
            page, cursor = await self.parking.page(
                where=where, limit=limits.LIST_ITEMS_MAX, cursor=cursor
            )
            legs = map(parked_leg, page)
            parked_legs += [
                leg
                for leg in legs
                if span.has(leg.booked_at, leg.called_at) and query.wanted.admits(leg)
            ]
            if cursor is None:
                return parked_legs

    async def _collected(self, account: str, query: LegQuery, span: UsageSpan) -> list[ListedLeg]:
        """All legs of a span with their corrections, whenever these were booked."""
        legs: dict[str, ListedLeg] = {}
        ahead = timedelta(0)
        if span.by is UsageTime.ANSWERED:  # a bridge's clock may be ahead
            ahead = timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX)
        after = await self._commit_before(account, span.since - ahead)
        while commits := await self.ledger.history(account, after=after):
            for commit in commits:
                await yield_to_others()
                for entry in commit.entries:
                    if entry.leg is None:
                        continue
                    if (collected := legs.get(entry.leg)) is not None:
                        collected.correct(entry, entry.charge)
                    elif leg := _candidate(entry, query, span):
                        legs[entry.leg] = leg
                if len(legs) > limits.LISTED_LEGS_MAX:
                    raise _too_many(legs.values(), span)
            after = commits[-1].number
        collected_legs = list(legs.values())
        if query.wanted.number is not None:
            await self._name(account, collected_legs)
        return [leg for leg in collected_legs if query.wanted.admits(leg)]

    async def _scanned(
        self, account: str, query: LegQuery, span: UsageSpan, limit: int, place: str | None
    ) -> tuple[list[ListedLeg], str | None]:
        """A page by the time of the entry, from the journal's rows where it begins."""
        legs: list[ListedLeg] = []
        last = ""
        async for part, behind in self._candidates(account, query, span, limit, place):
            for leg, at in await self._detailed(account, part):
                if not query.wanted.admits(leg):
                    continue
                if len(legs) == limit:
                    return legs, last
                legs.append(leg)
                last = at
            if behind is not None:
                return legs, behind
        return legs, None

    async def _candidates(
        self, account: str, query: LegQuery, span: UsageSpan, limit: int, place: str | None
    ) -> AsyncIterator[tuple[list[tuple[ListedLeg, str]], str | None]]:
        """Parts of the legs that may match, each with its place, in order; with the place of
        the last one read where the reads of a page are used up."""
        newest = query.order is LegOrder.NEWEST
        first = await self._commit_before(account, span.since) + 1
        last = await self._commit_before(account, span.until)
        begin = None
        if place is not None:
            begin = tuple(map(int, place.split("|")))
            first, last = (first, begin[0]) if newest else (begin[0], last)
        part: list[tuple[ListedLeg, str]] = []
        size = _FIRST_WINDOW_COMMITS
        for reads in range(1, limits.ENTRY_SCANS_MAX + 1):
            if first > last:
                break
            low = max(first, last - size + 1) if newest else first
            commits = await self.ledger.journal(
                account, after=low - 1, limit=min(size, last - low + 1)
            )
            for commit, at, entry in _entries(commits, newest=newest):
                await yield_to_others()
                if begin is not None and not _is_behind((commit, at), begin, newest=newest):
                    continue
                if leg := _candidate(entry, query, span):
                    part.append((leg, f"{commit}|{at}"))
                if len(part) > limit:
                    yield part, None
                    part = []
            end = commits[-1].number if commits else last
            first, last = (first, low - 1) if newest else (end + 1, last)
            size = min(2 * size, limits.JOURNAL_PAGE_ROWS)
            if reads == limits.ENTRY_SCANS_MAX and first <= last:
                yield part, f"{low}|0" if newest else f"{end}|{limits.TRANSACTION_OPERATIONS_MAX}"
                return
        yield part, None

    async def _detailed(
        self, account: str, part: Sequence[tuple[ListedLeg, str]]
    ) -> Iterable[tuple[ListedLeg, str]]:
        """The legs with their persons and corrections, read from their guards."""
        debits = await self.ledger.debits_of(account, [leg.leg for leg, _ in part])
        records = [record for entries in debits.values() for record in entries]
        reversals = await self.ledger.reversals_of(
            account, [record.entry.sequence for record in records]
        )
        for leg, _ in part:
            for record in debits.get(leg.leg, ()):
                if record.entry.is_first_debit:
                    leg.name(record.person)
                else:
                    leg.correct(record.entry, record.charge)
                if reversal := reversals.get(record.entry.sequence):
                    leg.correct(reversal)
        return part

    async def _commit_before(self, account: str, moment: datetime) -> int:
        """The number of the last commit before a moment."""
        if moment <= _EPOCH:
            return 0
        if moment > self.clock.now():
            state = await self.ledger.state(account)
            return state.commit if state else 0
        before = await self.ledger.commit_at(account, moment - timedelta(microseconds=1))
        return before.number if before else 0


def _too_many(legs: Iterable[ListedLeg], span: UsageSpan) -> Invalid:
    """The error for a list that a process does not hold; half of its legs fit."""
    is_booked = span.by is UsageTime.BOOKED
    times = sorted(leg.booked_at if is_booked else leg.called_at for leg in legs)
    narrower = format_time(times[len(times) // 2])
    detail = f"More than {limits.LISTED_LEGS_MAX:,} legs are in the span. Narrow it, to={narrower}."
    return Invalid(detail, code="result_too_large")


def _candidate(entry: Entry, query: LegQuery, span: UsageSpan) -> ListedLeg | None:
    """The leg of a first debit that may match."""
    if entry.kind is not EntryKind.DEBIT or not entry.is_first_debit:
        return None
    leg = listed_leg(entry, entry.charge or {})
    is_in = span.has(leg.booked_at, leg.called_at) and query.wanted.admits_first(leg)
    return leg if is_in else None


def _entries(commits: Sequence[Commit], *, newest: bool) -> Iterable[tuple[int, int, Entry]]:
    """(commit, place in it, entry), in order, or from the end."""
    step = -1 if newest else 1
    for commit in commits[::step]:
        for at, entry in list(enumerate(commit.entries))[::step]:
            yield commit.number, at, entry


def _is_behind(place: tuple[int, int], begin: tuple[int, ...], *, newest: bool) -> bool:
    return place < begin if newest else place > begin


def _key(query: LegQuery) -> Callable[[ListedLeg], tuple[int, int, str]]:
    """The key that sorts legs as requested; equal ones by their entries, the newest first."""

    def microseconds(leg: ListedLeg) -> int:
        moment = leg.booked_at if query.by is UsageTime.BOOKED else leg.called_at
        return (moment - _EPOCH) // timedelta(microseconds=1)

    match query.order:
        case LegOrder.NEWEST:
            return lambda leg: (-microseconds(leg), -leg.entry, leg.leg)
        case LegOrder.OLDEST:
            return lambda leg: (microseconds(leg), leg.entry, leg.leg)
        case LegOrder.AMOUNT:
            return lambda leg: (-leg.amount_micros, -leg.entry, leg.leg)
