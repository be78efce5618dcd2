"""The denials and savings of another dial-out policy, for the legs of a period."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import ceil_div, parse_price
from shared.domain.dial_out.applicable_limits import limits_of
from shared.domain.dial_out.facts import AccountFacts, DialOutFacts, OrganizerFacts, RateFacts
from shared.domain.dial_out.policy import AccountPolicy
from shared.domain.dial_out.policy_simulation import PastCall, Verdict, WhatIf, judge
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import Entry
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.numbers.numbers import look_up
from shared.pacing import yield_to_others
from shared.ports.ledger import Ledger, commit_before, commits_after
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class SimulatePolicy:
    """Plays the dial-outs of a period again under a policy that is not in force."""

    facts: DirectoryCache
    ledger: Ledger

    async def __call__(
        self, account: str, policy: AccountPolicy, since: datetime | None, until: datetime | None
    ) -> WhatIf:
        """Judge the period's dial-outs: at most 2,000 of them, among 20,000 debits. Nothing is
        changed.

        Raises NotFound `account_unknown`, StoreUnavailable.
        """
        facts = await self.facts.require_account(account)
        entries, more = await self._dial_outs(account, since, until)
        persons = await self.ledger.persons_of(account, [entry.leg or "" for entry in entries])
        organizers = await self._organizers(account, persons.values())
        calls: list[PastCall] = []
        for entry in entries:
            await yield_to_others()
            person = persons.get(entry.leg or "", {})
            if person.get("to"):
                organizer = organizers[str(person.get("organizer") or "")]
                calls.append(self._call(facts, policy, entry, person, organizer))
        denied: list[Verdict] = []
        for verdict in judge(calls, facts.settings.time_zone):
            await yield_to_others()
            if verdict.denial:
                denied.append(verdict)
        return WhatIf(len(calls), len(entries) - len(calls), more, denied)

    async def _organizers(
        self, account: str, persons: Iterable[Mapping[str, object]]
    ) -> dict[str, OrganizerFacts]:
        """The organizers of legs by name. A leg of an organizer without a registration was
        charged, too: the lists of the policy judge it."""
        names = sorted({str(person.get("organizer") or "") for person in persons} | {""})
        organizers = await gather_bounded(
            lambda name: self.facts.organizer(account, name),
            names[1:],
            at_once=limits.STATEMENT_READS_AT_ONCE,
        )
        return {
            name: facts or OrganizerFacts(name)
            for name, facts in zip(names, (None, *organizers), strict=True)
        }

    async def _dial_outs(
        self, account: str, since: datetime | None, until: datetime | None
    ) -> tuple[list[Entry], bool]:
        """(first debits of the period's dial-outs, whether there are more)."""
        dial_outs: list[Entry] = []
        seen = 0
        # Nothing before the period is read.
        after = await commit_before(self.ledger, account, since) if since else 0
        async for commit in commits_after(self.ledger, account, after):
            if until is not None and commit.at >= until:
                break
            for entry in commit.entries:
                if not entry.is_first_debit or (since is not None and entry.at < since):
                    continue
                if seen == limits.WHAT_IF_DEBITS_MAX or len(dial_outs) == limits.WHAT_IF_LEGS_MAX:
                    return dial_outs, True
                seen += 1
                if _kind(entry) == LegKind.DIAL_OUT.value:
                    dial_outs.append(entry)
        return dial_outs, False

    def _call(
        self,
        account: Account,
        policy: AccountPolicy,
        entry: Entry,
        person: Mapping[str, object],
        organizer: OrganizerFacts,
    ) -> PastCall:
        charge = ChargeRecord(entry.charge or {})
        settings = account.settings
        facts = DialOutFacts(
            dialled=look_up(str(person["to"]), (settings.usage_location,)),
            account=AccountFacts(account.id, settings.usage_location),
            organizer=organizer,
            policy=policy,
            rate=_rate(charge),
        )
        return PastCall(
            leg=entry.leg or "",
            entry=entry.sequence,
            dialled_at=charge.started_at,
            ended_at=charge.ended_at,
            talk_seconds=charge.talk_seconds,
            amount_micros=-entry.amount_micros,
            facts=facts,
            bounds=limits_of(policy, organizer, charge.conference),
        )


def _kind(entry: Entry) -> object:
    return ChargeRecord(entry.charge).kind_name if entry.charge else None


def _rate(charge: ChargeRecord) -> RateFacts:
    """The rate by which a leg was charged."""
    prices = [ceil_div(60 * parse_price(price), unit) for price, unit in charge.usage_prices]
    return RateFacts(
        prefix=charge.rate.prefix if charge.rate else "",
        destination=charge.rate.destination if charge.rate else "",
        price_per_minute_picos=max(prices, default=0),
    )
