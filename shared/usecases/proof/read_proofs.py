"""Proofs that a customer checks without the operator: day roots, receipts, month files."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.calendar import local_day, month_of
from shared.domain.common.errors import Conflict, Invalid, LedgerCorrupt, NotFound
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import Entry
from shared.domain.ledger.statements import requested_month_span
from shared.domain.legs.leg import decode_leg_key
from shared.domain.proof.commits import GENESIS
from shared.domain.proof.days import DayTree, ProvenDay, follows
from shared.domain.proof.month_file import MonthFile
from shared.domain.proof.rates import RateName, rate_names
from shared.domain.proof.receipts import EntryCorrection, Proven, receipt_document
from shared.domain.proof.roots import DayRoot, SignedRoot
from shared.pacing import yield_to_others
from shared.ports.clock import Clock
from shared.ports.ledger import Commit, Ledger, commits_after
from shared.ports.proofs import Proofs
from shared.ports.rate_cards import RateCardStore
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.proof.close_days import UsedRates, following
from shared.usecases.proof.proof_keys import ProofKeys

type _Persons = Mapping[int, Mapping[str, object]]
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_AROUND = timedelta(days=3)
_FIRST_DAY, _LAST_DAY = "1970-01-01", "9999-12-31"


@dataclass(frozen=True, slots=True)
class ReadProofs:
    """Reads of one account's proofs. All raise NotFound `account_unknown`, StoreUnavailable and
    LedgerCorrupt; interim roots raise what `ProofKeys.current` raises."""

    facts: DirectoryCache
    ledger: Ledger
    proofs: Proofs
    rate_cards: RateCardStore
    keys: ProofKeys
    clock: Clock

    async def root(self, account: str, day: str) -> SignedRoot:
        """The root of a day. Raises Invalid `date_invalid`, Conflict `day_open`, NotFound
        `proof_unknown` for a day before the first one."""
        await self.facts.require_account(account)
        signed = await self.proofs.root(account, _date(day))
        if signed is not None:
            return signed
        last = await self.proofs.last(account)
        if last is not None and day <= last.root.day:
            raise NotFound(
                "The account had no ledger on that day. List the proofs for the days.",
                code="proof_unknown",
            )
        raise _day_open(f"{day} is not closed")

    async def roots(self, account: str, first: str | None, last: str | None) -> list[SignedRoot]:
        """The roots from one day to another one, at most LIST_ITEMS_MAX. Raises Invalid
        `date_invalid`."""
        await self.facts.require_account(account)
        begin, end = _date(first or _FIRST_DAY), _date(last or _LAST_DAY)
        return await self.proofs.roots(account, begin, end, limit=limits.LIST_ITEMS_MAX)

    async def every(
        self, account: str, first: str | None, last: str = _LAST_DAY
    ) -> AsyncIterator[SignedRoot]:
        """The roots from a day, or from the first one, to another day or to the last one."""
        first = first or _FIRST_DAY
        while page := await self.proofs.roots(account, first, last, limit=limits.LIST_ITEMS_MAX):
            for signed in page:
                yield signed
            first = following(page[-1].root.day)

    async def problems(
        self, account: str, *, in_turn: int | None = None, is_known: bool = True
    ) -> list[str]:
        """The faults of the closed days: a day that does not continue the day before, and a root
        that no published key signed while that key held. `in_turn`, the number of a night: only
        the newest days and a part of the others. `is_known`: also the roots of a key that was
        compromised, which an administrator recorded."""
        keys = {key.id: key for key in await self.keys.every()}
        problems: list[str] = []
        try:
            oldest = await self.proofs.roots(account, _FIRST_DAY, _LAST_DAY, limit=1)
            if oldest and (oldest[0].root.previous != GENESIS or oldest[0].root.after):
                problems.append(f"proof|{oldest[0].root.day}: previous: a day before is missing")
            for first, last in await self._spans(account, in_turn):
                before: SignedRoot | None = None
                async for signed in self.every(account, first, last):
                    await yield_to_others()
                    key = f"proof|{signed.root.day}"
                    fault = self.keys.fault(signed, keys)
                    if fault is not None and (is_known or not fault.startswith("compromised")):
                        problems.append(f"{key}: {fault}")
                    if before and not follows(before.root, before.digest, signed.root):
                        problems.append(f"{key}: previous: does not continue the day before")
                    before = signed
        except LedgerCorrupt as error:
            problems.append(error.detail)
        return problems

    async def _spans(self, account: str, in_turn: int | None) -> list[tuple[str | None, str]]:
        """The first and last days of the spans in which roots are verified; they overlap."""
        last = await self.proofs.last(account) if in_turn is not None else None
        if in_turn is None or last is None:
            return [(None, _LAST_DAY)]
        size = limits.PROOF_DAYS_AUDITED_AT_ONCE
        (first, *_) = await self.proofs.roots(account, _FIRST_DAY, _LAST_DAY, limit=1)
        begin, end = (date.fromisoformat(each.root.day) for each in (first, last))
        parts = ((end - begin).days + 1) // size
        if parts <= 1:
            return [(None, _LAST_DAY)]
        old = begin + timedelta(days=size * (in_turn % parts))
        new = end - timedelta(days=size)
        return [
            (old.isoformat(), (old + timedelta(days=size)).isoformat()),
            (new.isoformat(), _LAST_DAY),
        ]

    async def of_leg(
        self, account: str, shown: str, *, is_interim: bool, persons: bool
    ) -> Mapping[str, object]:
        """The receipt of a leg: all its entries. Raises NotFound `leg_unknown`, Conflict
        `day_open`."""
        facts = await self.facts.require_account(account)
        key = decode_leg_key(shown)
        debits = await self.ledger.debits(account, key)
        if not debits:
            raise NotFound(
                "The account has no leg with this id, or the leg is still queued. "
                "Read the leg again in a moment, or list the legs and the parked legs for the ids.",
                code="leg_unknown",
            )
        taken_back = [await self.ledger.reversal(account, each.entry.sequence) for each in debits]
        entries = [*(each.entry for each in debits), *filter(None, taken_back)]
        commits = {each.entry.sequence: each.commit for each in debits}
        shown_persons = {debits[0].entry.sequence: debits[0].person} if persons else {}
        return await self._receipt(
            facts, key, _in_order(entries), commits, shown_persons, is_interim=is_interim
        )

    async def of_entry(
        self, account: str, sequence: int, *, is_interim: bool, persons: bool
    ) -> Mapping[str, object]:
        """The receipt of one entry. Raises NotFound `entry_unknown`, Conflict `day_open`."""
        facts = await self.facts.require_account(account)
        commit = await self.ledger.commit_of(account, sequence)
        if commit is None:
            raise NotFound(
                "The account has no entry with this number. List the entries for the numbers.",
                code="entry_unknown",
            )
        entry = commit.entries[sequence - commit.first]
        shown_persons: dict[int, Mapping[str, object]] = {}
        if persons and entry.is_first_debit and entry.leg is not None:
            stored = await self.ledger.persons_of(account, [entry.leg])
            shown_persons[sequence] = stored.get(entry.leg, {})
        links: list[Entry] = [entry]
        if reversal := await self.ledger.reversal(account, sequence):
            links.append(reversal)
            if reversal.rerates is not None:
                new_charge = await self.ledger.entry(account, reversal.sequence + 1)
                links += [new_charge] if new_charge else []
        return await self._receipt(
            facts,
            entry.leg,
            links,
            {sequence: commit.number},
            shown_persons,
            is_interim=is_interim,
            only=sequence,
        )

    async def month(
        self, account: str, month: str, *, is_interim: bool, persons: bool
    ) -> AsyncIterator[bytes]:
        """The lines of a month file. Raises Invalid `month_invalid`, NotFound `proof_unknown`,
        Conflict `day_open`."""
        facts = await self.facts.require_account(account)
        zone = facts.settings.time_zone
        start, end = requested_month_span(month, zone)
        roots = await self.proofs.roots(
            account, f"{month}-01", f"{month}-31", limit=limits.LIST_ITEMS_MAX
        )
        last = await self.proofs.last(account)
        first_day = await self._first_day(facts)
        open_day = _open_day(last, local_day(self.clock.now(), zone))
        is_over = last is not None and month_of(following(last.root.day)) > month
        if first_day is None or not month_of(first_day) <= month <= month_of(open_day):
            if first_day is not None and month > month_of(open_day) and not is_interim:
                raise _day_open(f"The month {month} is not closed")
            raise NotFound(
                "The account had no ledger in that month. List the proofs for the months.",
                code="proof_unknown",
            )
        if not is_over and not is_interim:
            raise _day_open(f"The month {month} is not closed")
        rates = await self.proofs.rates(account, [each.root.day for each in roots])
        interim: ProvenDay | None = None
        checkpoint = last
        if not is_over:
            if _open_day(last, first_day) < f"{month}-01":
                checkpoint = (await self._rest_of_month(facts, last, start)).signed
            interim = await self._rest_of_month(facts, checkpoint, end)
            rates += [each for each in interim.rates if each not in rates]
        if roots:
            before = date.fromisoformat(roots[0].root.day) - timedelta(days=1)
            checkpoint = await self.proofs.root(account, before.isoformat())
        days = [*roots, *([interim.signed] if interim else [])]
        file = MonthFile(days[0].root)
        head = file.head(
            month,
            is_interim=interim is not None,
            persons=persons,
            created_at=self.clock.now(),
            checkpoint=checkpoint,
            rates=rates,
        )
        return self._lines(file, head, days, persons=persons)

    async def _first_day(self, account: Account) -> str | None:
        """The first day, closed or open; None without a commit."""
        roots = await self.proofs.roots(account.id, _FIRST_DAY, _LAST_DAY, limit=1)
        if roots:
            return roots[0].root.day
        page = await self.ledger.journal(account.id, after=0, limit=1)
        return local_day(page[0].at, account.settings.time_zone) if page else None

    async def _rest_of_month(
        self, account: Account, last: SignedRoot | None, end: datetime
    ) -> ProvenDay:
        """The commits in no closed day yet, up to the end of a month."""
        day = DayTree(account.id, last)
        async for commit in commits_after(self.ledger, account.id, day.after):
            if commit.at >= end:
                break
            day.add(commit.public(account.id, day.head))
        return await self._signed(account, day, day.names, end)

    async def _lines(
        self, file: MonthFile, head: Iterable[bytes], days: Sequence[SignedRoot], *, persons: bool
    ) -> AsyncIterator[bytes]:
        for line in head:
            yield line
        first, last = days[0].root, days[-1].root
        account, public, number = first.account, first.base, first.after
        rest = iter(days)
        day = next(rest)
        while number < last.last:
            page = await self.ledger.history(account, after=number)
            page = [commit for commit in page if commit.number <= last.last]
            if not page:
                raise LedgerCorrupt(f"The journal ends before commit {last.last}.")
            shown = await self._persons(account, page) if persons else {}
            for commit in page:
                await yield_to_others()
                while day.root.last < commit.number:
                    yield self._closed(file, day, public)
                    day = next(rest)
                line, public = file.commit(commit.public(account, public), shown)
                number = commit.number
                yield line
        yield self._closed(file, day, public)
        for day in rest:
            yield self._closed(file, day, public)
        for line in file.tail():
            yield line

    def _closed(self, file: MonthFile, day: SignedRoot, public: str) -> bytes:
        if public != day.root.head:
            raise LedgerCorrupt(f"The commits of {day.root.day} are not those that were signed.")
        return file.root(day)

    async def _persons(self, account: str, page: Sequence[Commit]) -> _Persons:
        """The persons of the legs that are debited for the first time, by entry."""
        debits = [entry for commit in page for entry in commit.entries if entry.is_first_debit]
        legs = {entry.leg for entry in debits if entry.leg is not None}
        persons = await self.ledger.persons_of(account, sorted(legs))
        return {
            entry.sequence: persons.get(entry.leg, {}) for entry in debits if entry.leg is not None
        }

    async def _receipt(
        self,
        account: Account,
        leg: str | None,
        entries: Sequence[Entry],
        numbers: Mapping[int, int],
        persons: _Persons,
        *,
        is_interim: bool,
        only: int | None = None,
    ) -> Mapping[str, object]:
        last = await self.proofs.last(account.id)
        proven: list[tuple[Entry, Commit]] = []
        for entry in entries:
            if only in {None, entry.sequence}:
                number = numbers.get(entry.sequence)
                commit = await self._commit(account.id, entry.sequence, number)
                proven.append((commit.entries[entry.sequence - commit.first], commit))
        closed = last.root.last if last else 0
        if proven[0][1].number > closed and not is_interim:
            raise _day_open("The day of the entry is not closed")
        if not is_interim:
            proven = [each for each in proven if each[1].number <= closed]
        days: list[ProvenDay] = []
        late = [commit for _, commit in proven if commit.number > closed]
        if late:
            named = rate_names(each for each, commit in proven if commit.number > closed)
            days.append(await self._interim(account, last, named))
        items = [
            Proven(
                entry,
                commit.public(account.id, _hash_before(day, commit.number)),
                day,
                persons.get(entry.sequence, {}),
            )
            for entry, commit in proven
            for day in [await self._day_of(account.id, commit, days)]
        ]
        corrections = [link for entry in entries if (link := EntryCorrection.of(entry)) is not None]
        # The same receipt has the same digest whenever it is made.
        created_at = max(item.day.signed.root.signed_at for item in items)
        return receipt_document(account.id, leg, items, corrections, created_at)

    async def _commit(self, account: str, sequence: int, number: int | None) -> Commit:
        if number is None:
            commit = await self.ledger.commit_of(account, sequence)
            page = [commit] if commit else []
        else:
            page = await self.ledger.journal(account, after=number - 1, limit=1)
        if not page or not 0 <= sequence - page[0].first < len(page[0].entries):
            raise LedgerCorrupt(f"The commit of entry {sequence} is missing.")
        return page[0]

    async def _day_of(self, account: str, commit: Commit, days: list[ProvenDay]) -> ProvenDay:
        """The day of a commit: one of `days`, or a closed one, which is added to them."""
        for day in days:
            if day.signed.root.after < commit.number <= day.signed.root.last:
                return day
        around = (
            (commit.at - _AROUND).date().isoformat(),
            (commit.at + _AROUND).date().isoformat(),
        )
        for signed in await self.proofs.roots(account, *around, limit=limits.LIST_ITEMS_MAX):
            if signed.root.after < commit.number <= signed.root.last:
                rows = await self.proofs.day(account, signed.root.day)
                if rows is not None:
                    if not rows.leaves:
                        rows = replace(rows, leaves=await self._leaves(account, signed.root))
                    days.append(rows)
                    return rows
        raise LedgerCorrupt(f"No closed day has commit {commit.number}.")

    async def _leaves(self, account: str, root: DayRoot) -> tuple[bytes, ...]:
        """The public hashes of a day of which none are kept, from the journal."""
        hashes = await self.ledger.public_hashes(account, after=root.after, until=root.last)
        if hashes is None:
            hashes, public = [], root.base
            async for commit in commits_after(self.ledger, account, root.after, root.last):
                public = commit.public(account, public).public_hash()
                hashes.append(public)
        return tuple(map(bytes.fromhex, hashes))

    async def _interim(
        self,
        account: Account,
        last: SignedRoot | None,
        named: set[RateName],
    ) -> ProvenDay:
        """The commits after the last closed day, under the present head."""
        day = DayTree(account.id, last)
        hashes = await self.ledger.public_hashes(account.id, after=day.after)
        if hashes is None:
            async for commit in commits_after(self.ledger, account.id, day.after):
                day.add(commit.public(account.id, day.head))
        elif hashes:
            (end,) = await self.ledger.journal(
                account.id, after=day.after + len(hashes) - 1, limit=1
            )
            day.take(hashes, end.balance_micros, end.first + len(end.entries) - 1)
        return await self._signed(account, day, named)

    async def _signed(
        self, account: Account, day: DayTree, named: set[RateName], end: datetime | None = None
    ) -> ProvenDay:
        """An interim root of the present moment, or of the end of a month that is over."""
        rates = await UsedRates(self.rate_cards).named(named)
        zone = account.settings.time_zone
        key = await self.keys.current()
        now = self.keys.signing_time(key)
        until = min(now, end) if end else now
        root = day.root(
            rates,
            currency=account.settings.currency,
            time_zone=zone,
            day=_open_day(day.previous, local_day(until - timedelta(microseconds=1), zone)),
            until=until,
            signed_at=now,
            key=key.id,
            is_interim=True,
        )
        return ProvenDay(self.keys.sign(root), tuple(day.leaves), rates)


def _open_day(last: SignedRoot | None, day: str) -> str:
    """The day of the commits that are in no closed day yet: `day`, or the one after the last closed
    day where that is later, as in an account that moved to a time zone further west."""
    return max(day, following(last.root.day)) if last else day


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.sequence)


def _hash_before(day: ProvenDay, commit: int) -> str:
    """The public hash of the commit before one of the day's."""
    place = commit - day.signed.root.after - 1
    return day.leaves[place - 1].hex() if place else day.signed.root.base


def _day_open(what: str) -> Conflict:
    return Conflict(
        f"{what}: a day is closed when it is over in the account's time zone."
        " Send interim=true for a proof of the present state.",
        code="day_open",
    )


def _date(text: str) -> str:
    """A day as ISO text. Raises Invalid `date_invalid`."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise Invalid("The date is not a day. Write a day as YYYY-MM-DD.", code="date_invalid")
