"""The nightly audit of all accounts. It proves that the due marks missed nothing.

For every account the audit writes the settings into the ledger, publishes events, carries out
commands that are due, packs closed days, and adds days and months up. It verifies the chain from
where the last night ended, and day roots with their signatures: the newest ones and, in turn, all
others. It compares both with the newest anchor, and closes the days that are over. Then it anchors
the heads of all ledgers in another storage account. It makes safe repairs, and reports every fault.

A ledger with a problem is not anchored: its anchor of the night before is anchored again, so that
the problem is reported every night until the ledger is restored or that anchor is set aside.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import Conflict, PerminuteError
from shared.domain.directory.access import ALL_ACCOUNTS, Principal
from shared.domain.directory.entities import Account
from shared.domain.ledger import alert_evaluation
from shared.ports.clock import Clock
from shared.ports.denials import Denials
from shared.ports.ledger import Ledger
from shared.ports.notices import DueMark, DueMarks, Notices
from shared.ports.proofs import Anchor, Anchors
from shared.ports.records import pages
from shared.telemetry import failure
from shared.usecases.credits.watch_balances import EVENTS, HOLD_EVENTS, WatchBalances
from shared.usecases.directory.accounts import Accounts
from shared.usecases.directory.sync_ledger_settings import OpenLedger
from shared.usecases.ledger.close_months import close_months
from shared.usecases.ledger.compare_anchors import anchor_problems
from shared.usecases.proof.close_days import CloseDays
from shared.usecases.proof.read_proofs import ReadProofs

_AUDITOR = Principal("nightly audit", frozenset(), frozenset({ALL_ACCOUNTS}))


@dataclass(slots=True)
class AuditResult:
    """Findings of an audit. `missed` are accounts in which something was due for minutes and no
    mark had named it: always none."""

    day: date
    accounts: int = 0
    anchored: int = 0
    days_closed: int = 0
    missed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AuditLedgers:
    """One run over all accounts; running it twice changes nothing."""

    accounts: Accounts
    ledger: Ledger
    open_ledger: OpenLedger
    due: DueMarks
    notices: Notices
    watch_balances: WatchBalances
    anchors: Anchors | None
    read_proofs: ReadProofs
    close_days: CloseDays
    denials: Denials
    clock: Clock

    async def __call__(self) -> AuditResult:
        """Audit all accounts. One that fails is reported and does not stop the others."""
        result = AuditResult(self.clock.now().date())
        heads: list[Anchor] = []
        async for page in pages(partial(self.accounts.page, _AUDITOR)):
            anchors = await gather_bounded(
                lambda account: self._one(account, result),
                page,
                at_once=limits.AUDIT_ACCOUNTS_AT_ONCE,
            )
            heads += [anchor for anchor in anchors if anchor]
            result.accounts += len(page)
        if self.anchors is not None:
            result.anchored = await self.anchors.write(result.day, heads)
        return result

    async def _one(self, account: Account, result: AuditResult) -> Anchor | None:
        """The anchor of an account; the anchor before if the ledger has a problem."""
        anchor: Anchor | None = None
        try:
            if self.anchors is not None:
                anchor = await self.anchors.latest(account.id, result.day)
            return await self._audited(account, anchor, result)
        except PerminuteError as error:
            result.problems.append(f"{account.id}: {error.detail}")
        except Exception as error:  # noqa: BLE001 an error of one account stays its own
            failure("unexpected_error", error, account=account.id)
            result.problems.append(f"{account.id}: {type(error).__name__}")
        return replace(anchor, is_sound=False) if anchor else None

    async def _audited(
        self, account: Account, anchor: Anchor | None, result: AuditResult
    ) -> Anchor | None:
        await self.open_ledger(account)
        await self._check_overdue(account, result)
        await self._end_alerts(account.id)
        await self.ledger.pack_until(account.id, self._today())
        zone = account.settings.time_zone
        await close_months(self.ledger, account.id, zone, self._today())
        over = self.clock.now() - timedelta(seconds=limits.MONTH_CLOSES_AFTER_SECONDS)
        await self.ledger.close_usage_days(account.id, zone, over)
        kept_from = self.clock.now() - timedelta(days=limits.DENIALS_KEPT_DAYS)
        await self.denials.forget(account.id, kept_from)
        verified = await self.ledger.verify(account.id, resume=True)
        in_turn = result.day.toordinal() if anchor is None or anchor.is_sound else None
        of_days = await self.read_proofs.problems(account.id, in_turn=in_turn, is_known=False)
        problems = [*verified.problems, *of_days]
        if anchor is not None and self.anchors is not None:
            problems += await anchor_problems(
                anchor, self.anchors, self.ledger, self.read_proofs.proofs
            )
        result.problems += [f"{account.id}: {problem}" for problem in dict.fromkeys(problems)]
        if problems:
            return replace(anchor, is_sound=False) if anchor else None
        try:
            result.days_closed += len(await self.close_days(account))
        except Conflict as error:  # this process may not sign; the head is anchored all the same
            result.problems.append(f"{account.id}: {error.detail}")
        last = anchor.roots[-1].root.day if anchor and anchor.roots else None
        roots = tuple([signed async for signed in self.read_proofs.every(account.id, last)])
        return Anchor(account.id, verified.commits, verified.head, roots)

    def _today(self) -> datetime:
        return self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)

    async def _end_alerts(self, account: str) -> None:
        """End the alerts of older versions, whose alerts did not end with their cause."""
        state = await self.ledger.state(account)
        if state is None or not state.alerts:
            return
        await self.watch_balances.end_stops(account, state)
        async for page in pages(partial(self.notices.alerts, account)):
            now = self.clock.now()
            for alert in page:
                if alert.over_at is None and alert_evaluation.is_over(state, alert, now):
                    await self.notices.end(account, alert.number, now)

    async def _check_overdue(self, account: Account, result: AuditResult) -> None:
        """Publish and carry out everything that was due before the last ticks and is not done."""
        before = self.clock.now() - timedelta(seconds=limits.OUTBOX_AGE_SECONDS_MAX)
        waiting = await self.ledger.outbox(account.id, limit=1)
        missed = bool(waiting) and waiting[0].at < before
        state = await self.ledger.state(account.id)
        if state is not None:
            is_overdue = alert_evaluation.overdue(state, before)
            if await self.watch_balances.do_what_is_due(account.id, state):
                missed |= is_overdue
        if missed:
            result.missed.append(account.id)
            now = self.clock.now()
            await self.due.mark([DueMark(account.id, kind, now) for kind in (EVENTS, HOLD_EVENTS)])
