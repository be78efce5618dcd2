"""The legs of an account in a span of time, from its ledger, a page at a time."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import Invalid, LedgerCorrupt
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.legs.parking import ParkStatus
from shared.domain.usage.leg_facts import UsageTime
from shared.domain.usage.leg_list import PARKED, LegFilter, ListedLeg, listed_leg, parked_leg
from shared.domain.usage.leg_selection import LegOrder, LegSelection
from shared.domain.usage.usage import UsageSpan
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.ledger import Commit, Ledger, commit_before, commits_after
from shared.ports.legs import ParkingLot
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.usage.spans import requested_span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_WINDOW_COMMITS = 4


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

    Pages of all legs by the time of the entry read the journal from their place on. Pages in
    another order or with a filter read the columns of the span. Complete lists read the journal of
    the span.
    """

    facts: DirectoryCache
    ledger: Ledger
    parking: ParkingLot
    clock: Clock

    async def page(self, account: str, query: LegQuery, limit: int, place: str | None) -> LegPage:
        """At most `limit` legs from a place on."""
        span = await self._span(account, query)
        if query.wanted.status == PARKED:
            listed, following = await self._parked_page(account, query, span, limit, place)
        elif (
            query.by is UsageTime.BOOKED
            and query.order is not LegOrder.AMOUNT
            and query.wanted == LegFilter()
        ):
            listed, following = await self._scanned(account, query, span, limit, place)
        else:
            listed, following = await self._selected(account, query, span, limit, place)
        return LegPage(listed, following, span.time_zone)

    async def _parked_page(
        self, account: str, query: LegQuery, span: UsageSpan, limit: int, place: str | None
    ) -> tuple[list[ListedLeg], str | None]:
        legs = await self._parked(account, query, span)
        key = _key(query)
        legs.sort(key=key)
        if place is not None:
            after = _read_place(place)
            legs = [leg for leg in legs if key(leg)[:2] > after]
        page_legs = legs[:limit]
        following = None if len(legs) <= limit else _place_text(key(page_legs[-1])[:2])
        return page_legs, following

    async def _selected(
        self, account: str, query: LegQuery, span: UsageSpan, limit: int, place: str | None
    ) -> tuple[list[ListedLeg], str | None]:
        """A page of the legs that columns select, each verified by its guard."""
        selection = await self._selection(account, query, span)
        ordered = selection.in_order(query.order, _read_place(place) if place else None)
        selected: list[ListedLeg] = []
        last, examined = place, 0
        while part := list(islice(ordered, limit + 1 - len(selected))):
            legs = await self._of_guards(account, {leg: name for _, leg, name in part})
            for at, leg_key, _ in part:
                leg = legs[leg_key]
                if query.wanted.admits(leg):
                    if len(selected) == limit:
                        return selected, last
                    selected.append(leg)
                last = _place_text(at)
            examined += len(part)
            if examined >= limits.LISTED_CANDIDATES_MAX + limit:
                return selected, last
        return selected, None

    async def _selection(self, account: str, query: LegQuery, span: UsageSpan) -> LegSelection:
        """The legs that may match, with their corrections, whenever these were booked."""
        selection = LegSelection(account, span, query.wanted)
        ahead = timedelta(0)
        if span.by is UsageTime.ANSWERED:  # a bridge's clock may be ahead
            ahead = timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX)
        after = await self._commit_before(account, span.since - ahead)
        until = None
        if (
            span.by is UsageTime.BOOKED
            and query.order is not LegOrder.AMOUNT
            and not query.wanted.depends_on_corrections
        ):
            until = await self._commit_before(account, span.until)
        async with aclosing(self.ledger.columns(account, after=after)) as history:
            async for columns in history:
                await yield_to_others()
                selection.add(columns)
                if len(selection) > limits.LISTED_LEGS_MAX:
                    raise _too_many(selection.times())
                if until is not None and columns.last >= until:
                    break
        return selection

    async def _of_guards(
        self, account: str, organizers: Mapping[str, str | None]
    ) -> dict[str, ListedLeg]:
        """Legs with their persons and corrections, by their keys. `organizers` are those of the
        journal. Raises LedgerCorrupt where a leg has no guard."""
        debits = await self.ledger.debits_of(account, list(organizers))
        numbers = [record.entry.sequence for entries in debits.values() for record in entries]
        reversals = await self.ledger.reversals_of(account, numbers)
        legs: dict[str, ListedLeg] = {}
        for key, organizer in organizers.items():
            await yield_to_others()
            records = debits.get(key)
            if not records:
                raise LedgerCorrupt(f"The guard of leg {key} is missing.")
            leg = listed_leg(replace(records[0].entry, organizer=organizer), records[0].charge)
            leg.name(records[0].person)
            for record in records:
                if record is not records[0]:
                    leg.correct(record.entry, record.charge)
                if reversal := reversals.get(record.entry.sequence):
                    leg.correct(reversal)
            legs[key] = leg
        return legs

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
        """The charged legs of a conference in a span; without a span those of its last meeting in
        the last 31 days. A meeting begins after four hours without a charge."""
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
        where = {"account": account, "status": ParkStatus.OPEN.value}
        legs = [parked_leg(parked) async for parked in self.parking.every(where)]
        return [
            leg
            for leg in legs
            if span.has(leg.booked_at, leg.called_at) and query.wanted.admits(leg)
        ]

    async def _collected(self, account: str, query: LegQuery, span: UsageSpan) -> list[ListedLeg]:
        """All legs of a span with their corrections, whenever these were booked."""
        legs: dict[str, ListedLeg] = {}
        ahead = timedelta(0)
        if span.by is UsageTime.ANSWERED:  # a bridge's clock may be ahead
            ahead = timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX)
        after = await self._commit_before(account, span.since - ahead)
        async for commit in commits_after(self.ledger, account, after):
            for entry in commit.entries:
                if entry.leg is None:
                    continue
                if (collected := legs.get(entry.leg)) is not None:
                    collected.correct(entry, entry.charge)
                elif leg := _candidate(entry, query, span):
                    legs[entry.leg] = leg
            if len(legs) > limits.LISTED_LEGS_MAX:
                is_booked = span.by is UsageTime.BOOKED
                times = (leg.booked_at if is_booked else leg.called_at for leg in legs.values())
                raise _too_many(sorted(times))
        collected_legs = list(legs.values())
        if query.wanted.number is not None:
            await self._name(account, collected_legs)
        return [leg for leg in collected_legs if query.wanted.admits(leg)]

    async def _scanned(
        self, account: str, query: LegQuery, span: UsageSpan, limit: int, place: str | None
    ) -> tuple[list[ListedLeg], str | None]:
        """A page of all legs by the time of the entry, from the journal's rows where it begins."""
        persons: dict[str, str | None] = {}
        following = last = None
        async with aclosing(self._debits(account, query, span, place)) as debits:
            async for entry, at in debits:
                if len(persons) == limit or entry is None:
                    following = last if len(persons) == limit else at
                    break
                persons[entry.leg or ""] = entry.organizer
                last = at
        legs = await self._of_guards(account, persons)
        return list(legs.values()), following

    async def _debits(
        self, account: str, query: LegQuery, span: UsageSpan, place: str | None
    ) -> AsyncGenerator[tuple[Entry | None, str]]:
        """The first debits of legs with their places, in order; None with the place of the last
        entry that was read where the reads of a page are used up."""
        newest = query.order is LegOrder.NEWEST
        first = await self._commit_before(account, span.since) + 1
        last = await self._commit_before(account, span.until)
        begin = None
        if place is not None:
            begin = _read_place(place)
            first, last = (first, begin[0]) if newest else (begin[0], last)
        size = _FIRST_WINDOW_COMMITS
        for reads in range(1, limits.ENTRY_SCANS_MAX + 1):
            if first > last:
                return
            low = max(first, last - size + 1) if newest else first
            commits = await self.ledger.journal(
                account, after=low - 1, limit=min(size, last - low + 1)
            )
            for commit, at, entry in _entries(commits, newest=newest):
                await yield_to_others()
                if begin is not None and not _is_behind((commit, at), begin, newest=newest):
                    continue
                if entry.is_first_debit and span.since <= entry.at < span.until:
                    yield entry, f"{commit}|{at}"
            end = commits[-1].number if commits else last
            first, last = (first, low - 1) if newest else (end + 1, last)
            size = min(2 * size, limits.JOURNAL_PAGE_ROWS)
            if reads == limits.ENTRY_SCANS_MAX and first <= last:
                yield None, f"{low}|0" if newest else f"{end}|{limits.TRANSACTION_OPERATIONS_MAX}"

    async def _commit_before(self, account: str, moment: datetime) -> int:
        """The number of the last commit before a moment."""
        if moment <= _EPOCH:
            return 0
        if moment > self.clock.now():
            state = await self.ledger.state(account)
            return state.commit if state else 0
        return await commit_before(self.ledger, account, moment)


def _too_many(times: Sequence[datetime]) -> Invalid:
    """The error for a list with more legs than a process reads. The named span has half of the
    legs; `times` are in order."""
    narrower = format_time(times[len(times) // 2])
    detail = f"More than {limits.LISTED_LEGS_MAX:,} legs are in the span. Narrow it, to={narrower}."
    return Invalid(detail, code="result_too_large")


def _read_place(place: str) -> tuple[int, int]:
    first, second = map(int, place.split("|"))
    return first, second


def _place_text(place: tuple[int, ...]) -> str:
    return "|".join(map(str, place))


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


def _is_behind(place: tuple[int, int], begin: tuple[int, int], *, newest: bool) -> bool:
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
