"""The facts for an authorization of a dial-out, and its possible answers."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.common.documents import stored
from shared.domain.dial_out.budgets import Budgets, BudgetUse, VelocityUse
from shared.domain.dial_out.policy import (
    AccountPolicy,
    CallContext,
    DialRules,
    License,
    check_identity,
    effective_identity,
    rules_in_force,
)
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import DialledNumber


class Reason(StrEnum):
    """Reasons of denial, in order of precedence (the last only for dial-in)."""

    EMERGENCY_NUMBER = "emergency_number"
    SPECIAL_NUMBER = "special_number"
    NUMBER_INVALID = "number_invalid"
    REGION_NOT_SERVED = "region_not_served"
    NUMBER_CLASS_BLOCKED = "number_class_blocked"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_SUSPENDED = "account_suspended"
    DIAL_OUT_STOPPED = "dial_out_stopped"
    ORGANIZER_UNKNOWN = "organizer_unknown"
    LICENSE_MISSING = "license_missing"
    POLICY_DISABLED = "policy_disabled"
    POLICY_DOMESTIC_ONLY = "policy_domestic_only"
    POLICY_ZONE_A_ONLY = "policy_zone_a_only"
    REGION_BLOCKED = "region_blocked"
    NUMBER_BLOCKED = "number_blocked"
    BUDGET_EXCEEDED = "budget_exceeded"
    VELOCITY_EXCEEDED = "velocity_exceeded"
    RATE_MISSING = "rate_missing"
    RATE_OVER_CEILING = "rate_over_ceiling"
    CREDIT_EXHAUSTED = "credit_exhausted"
    TOLL_FREE_DISABLED = "toll_free_disabled"


class CheckOutcome(StrEnum):
    """The result of a check."""

    PASS = "pass"  # noqa: S105 - the wire's word
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The state of an account in the directory and the hold book; `stopped` is the reason, or
    ""."""

    account: str
    usage_location: str | None = None
    suspended: bool = False
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class OrganizerFacts:
    """The registration of an organizer; None means that the account's settings apply."""

    organizer: str
    usage_location: str | None = None
    license: License = License.PAY_PER_MINUTE
    identity: str | None = field(default=None, metadata=stored("policy", read=check_identity))
    toll_free_dial_in: bool = True
    budgets: Budgets = Budgets()  # noqa: RUF009 - frozen
    cost_center: str | None = None
    groups: tuple[str, ...] = ()
    rules: DialRules | None = None


@dataclass(frozen=True, slots=True)
class RateFacts:
    """The rate found: its highest price per minute, and the minimum price of an answered call."""

    prefix: str
    destination: str
    price_per_minute_picos: int
    connection_fee_picos: int = 0
    least_charge_micros: int = 0


@dataclass(frozen=True, slots=True)
class DialOutFacts:
    """The facts for an authorization of a dial-out; None where a fact is absent.

    `budgets` and `velocities` are the limits that bind this call, with their counters. `unpriced`
    is the reason why there is no rate.
    """

    dialled: DialledNumber
    account: AccountFacts | None
    organizer: OrganizerFacts | None
    bridge_country: str | None = None
    policy: AccountPolicy = AccountPolicy()  # noqa: RUF009 - frozen
    rate: RateFacts | None = None
    budgets: tuple[BudgetUse, ...] = ()
    velocities: tuple[VelocityUse, ...] = ()
    half: CallContext = CallContext.CONFERENCE
    unpriced: str = ""

    @property
    def domestic_region(self) -> str | None:
        """The region that counts as domestic: the organizer's, else the account's, else the
        bridge's; without an organizer the bridge's."""
        if self.organizer is None:
            return self.bridge_country
        own = self.organizer.usage_location
        return own or (self.account and self.account.usage_location) or self.bridge_country

    @property
    def identity(self) -> str:
        """The name of the identity that binds this call."""
        if self.organizer is None:
            return self.policy.default_identity
        return effective_identity(self.policy, self.organizer.identity, self.organizer.groups)

    @property
    def rules(self) -> tuple[DialRules, ...]:
        """The account's lists that bind this call."""
        if self.organizer is None:
            return (self.policy.rules,)
        return rules_in_force(self.policy, self.organizer.rules, self.organizer.groups)


@dataclass(frozen=True, slots=True)
class Denial:
    """A refused call: a stable reason, and a sentence for a person."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of an explanation."""

    check: str
    outcome: CheckOutcome
    detail: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of an allowed call; the bridge dials `number`."""

    number: str
    region: str | None
    prefix: str
    number_class: NumberClass


@dataclass(frozen=True, slots=True)
class Allowance:
    """The grant of an allowed call; a dry run has no authorization and holds nothing.

    `ends_by` is the reason why it is `final`, "" where it is not. `pool_seconds` are paid in
    minutes.
    """

    authorization: str | None
    granted_seconds: int
    final: bool
    ends_by: str
    pool_seconds: int
    expires_at: datetime | None
    price_per_minute_picos: int
    connection_fee_picos: int
    currency: str
    held_micros: int
    destination: Destination
