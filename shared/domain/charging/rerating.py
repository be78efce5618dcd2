"""The inputs and results of re-rating: the facts that a charged leg's price depends on, and the
sums of differences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.domain.common.kinds import LegKind
from shared.domain.ledger.stored_charge import ChargeRecord, RatedBy
from shared.domain.numbers.numbers import called_number, caller_number, caller_origin
from shared.domain.rating.diff import PastLegFacts


class SkipReason(StrEnum):
    """The reason why a leg keeps its charge under any card."""

    VOIP = "voip"
    UNANSWERED = "unanswered"
    ZERO_DURATION = "zero_duration"
    INCLUDED = "included"
    POOL = "pool"
    ERASED = "erased"
    REVERSED = "reversed"
    RATE_MISSING = "rate_missing"
    CURRENCY_MISMATCH = "currency_mismatch"


def leg_facts(charge: ChargeRecord, person: Mapping[str, object]) -> PastLegFacts | SkipReason:
    """The facts that the price of a charged leg depends on, or the reason why the leg can't be
    priced again. `person` is the erasable part of the leg, with the numbers. For a leg that the
    pool paid in part, these are the facts of the rest, which is a separate call.
    """
    if charge.zero_reason in set(SkipReason):
        return SkipReason(str(charge.zero_reason))
    pool_until = charge.pool_until_second
    talk_seconds = charge.talk_seconds - pool_until
    if pool_until and talk_seconds <= 0:
        return SkipReason.POOL
    to_number = person.get("to")
    if not to_number:
        return SkipReason.ERASED
    assert charge.answered_at is not None, "an unanswered leg has its reason"
    return PastLegFacts(
        kind=charge.kind,
        to_digits=called_number(str(to_number)).removeprefix("+"),
        origin=origin_of(charge.kind, person.get("from")),
        answered_at=charge.answered_at + timedelta(seconds=pool_until),
        talk_seconds=talk_seconds,
    )


def origin_of(kind: LegKind, from_number: object) -> str | None:
    """The caller's region: dial-in is rated by it (docs/rating.md)."""
    if kind is not LegKind.DIAL_IN or not isinstance(from_number, str):
        return None
    return caller_origin(caller_number(from_number))


class RerateStatus(StrEnum):
    """The effect of re-rating on a leg. `would_change` in a dry run becomes `changed`; `present`
    legs are charged by that version already."""

    WOULD_CHANGE = "would_change"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    PRESENT = "present"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class RerateOutcome:
    """A leg with its present and its new cost. `entries` are the numbers of the entries that the
    re-rating wrote. `after` and its amount are the present ones where no other charge was found.
    """

    account: str
    currency: str
    leg: str
    entry: int
    status: RerateStatus
    before_micros: int
    after_micros: int
    answered_at: str | None = None
    talk_seconds: int = 0
    reason: SkipReason | None = None
    before: RatedBy | None = None
    after: RatedBy | None = None
    entries: tuple[int, ...] = ()

    @property
    def differs(self) -> bool:
        """True if the new amount differs from the present one, or differed before the re-rating."""
        return self.status in {RerateStatus.WOULD_CHANGE, RerateStatus.CHANGED}


@dataclass(slots=True)
class Difference:
    """Sums of legs. Amounts, in micros, include legs without a difference."""

    legs: int = 0
    changed: int = 0
    before_micros: int = 0
    after_micros: int = 0

    def add(self, outcome: RerateOutcome) -> None:
        """One more leg."""
        self.legs += 1
        self.changed += outcome.differs
        self.before_micros += outcome.before_micros
        self.after_micros += outcome.after_micros


@dataclass(frozen=True, slots=True)
class Differences:
    """Sums by (account, currency) and by (currency, destination); skipped legs by their reason."""

    accounts: Mapping[tuple[str, str], Difference]
    destinations: Mapping[tuple[str, str], Difference]
    skipped: Mapping[SkipReason, int]


def add_up(outcomes: Iterable[RerateOutcome]) -> Differences:
    """The sums of the outcomes. A destination has the name that the new charge gives it."""
    accounts: dict[tuple[str, str], Difference] = {}
    destinations: dict[tuple[str, str], Difference] = {}
    skipped: dict[SkipReason, int] = {}
    for outcome in outcomes:
        if outcome.reason is not None:
            skipped[outcome.reason] = skipped.get(outcome.reason, 0) + 1
            continue
        account = outcome.account, outcome.currency
        accounts.setdefault(account, Difference()).add(outcome)
        rate = outcome.after or outcome.before
        place = outcome.currency, rate.destination if rate else ""
        destinations.setdefault(place, Difference()).add(outcome)
    return Differences(accounts, destinations, skipped)
