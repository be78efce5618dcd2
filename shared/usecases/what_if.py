"""What would another dial-out policy have denied and saved? Asked of the legs of a period."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.domain import limits
from shared.domain.dial_out_facts import AccountFacts, DialOutFacts, OrganizerFacts, RateFacts
from shared.domain.dial_what_if import PastCall, WhatIf, judge
from shared.domain.directory import Account
from shared.domain.errors import NotFound
from shared.domain.ledger import Entry, EntryKind
from shared.domain.legs import LegKind, parse_time
from shared.domain.money import ceil_div, parse_price
from shared.domain.numbers import look_up
from shared.domain.policy import AccountPolicy
from shared.domain.spend_limits import limits_of
from shared.ports.ledger import Ledger, LegRecord
from shared.usecases.facts import Facts
from shared.usecases.read_ledger import EntryFilter, ReadLedger


class AskWhatIf:
    """Plays the dial-outs of a period again under a policy that is not in force."""

    def __init__(self, facts: Facts, ledger: Ledger, read_ledger: ReadLedger) -> None:
        self._facts = facts
        self._ledger = ledger
        self._read = read_ledger

    async def __call__(
        self, account: str, policy: AccountPolicy, since: datetime | None, until: datetime | None
    ) -> WhatIf:
        """Judge the period's dial-outs: at most 2,000 of them, among 20,000 debits. Nothing is
        changed.

        Raises NotFound `account_unknown`, StoreUnavailable.
        """
        known = await self._facts.account(account)
        if known is None:
            raise NotFound("There is no such account.", code="account_unknown")
        entries, more = await self._dial_outs(account, since, until)
        slots = asyncio.Semaphore(limits.WHAT_IF_READS_AT_ONCE)

        async def read(entry: Entry) -> LegRecord | None:
            async with slots:
                return await self._ledger.leg(account, entry.leg or "")

        records = await asyncio.gather(*(read(entry) for entry in entries))
        calls: list[PastCall] = []
        for entry, record in zip(entries, records, strict=True):
            if record is not None and record.person.get("to"):
                calls.append(await self._call(known, policy, entry, record))
        denied = [verdict for verdict in judge(calls, known.settings.time_zone) if verdict.denial]
        return WhatIf(len(calls), len(entries) - len(calls), more, denied)

    async def _dial_outs(
        self, account: str, since: datetime | None, until: datetime | None
    ) -> tuple[list[Entry], bool]:
        wanted = EntryFilter(since=since, until=until, kind=EntryKind.DEBIT)
        found: list[Entry] = []
        cursor: str | None = None
        for _ in range(limits.WHAT_IF_PAGES_MAX):
            page = await self._read.entries(
                account, wanted, limit=limits.LIST_ITEMS_MAX, cursor=cursor
            )
            found += [entry for entry in page.entries if _kind(entry) == LegKind.DIAL_OUT.value]
            cursor = page.cursor
            if cursor is None or len(found) > limits.WHAT_IF_LEGS_MAX:
                break
        kept = found[: limits.WHAT_IF_LEGS_MAX]
        return kept, cursor is not None or len(kept) < len(found)

    async def _call(
        self, account: Account, policy: AccountPolicy, entry: Entry, record: LegRecord
    ) -> PastCall:
        charge: Mapping[str, Any] = record.charge
        name = record.person.get("organizer")
        organizer = await self._facts.organizer(account.id, str(name)) if name else None
        # One that nobody registered was charged all the same: the lists judge it.
        organizer = organizer or OrganizerFacts(str(name or ""))
        settings = account.settings
        facts = DialOutFacts(
            dialled=look_up(str(record.person["to"]), (settings.usage_location,)),
            account=AccountFacts(account.id, settings.usage_location),
            organizer=organizer,
            policy=policy,
            rate=_rate(charge),
        )
        return PastCall(
            leg=record.leg,
            entry=entry.sequence,
            dialled_at=parse_time(charge["started_at"]),
            ended_at=parse_time(charge["ended_at"]),
            talk_seconds=charge["talk_seconds"],
            amount_micros=-entry.amount_micros,
            facts=facts,
            bounds=limits_of(policy, organizer, charge.get("conference")),
        )


def _kind(entry: Entry) -> object:
    return entry.charge.get("kind") if entry.charge else None


def _rate(charge: Mapping[str, Any]) -> RateFacts:
    """The rate by which a leg was charged, as its explanation tells it."""
    usage = [line for line in charge["lines"] if line["kind"] == "usage"]
    prices = [ceil_div(60 * parse_price(line["price"]), line["unit_seconds"]) for line in usage]
    rate = charge.get("rate") or {}
    return RateFacts(
        prefix=rate.get("prefix", ""),
        destination=rate.get("destination", ""),
        price_per_minute_picos=max(prices, default=0),
    )
