"""Ordered checks: the code that runs them, and the checks that dial-out and dial-in share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from shared.domain.common.money import format_price
from shared.domain.dial_out import denials
from shared.domain.dial_out.facts import (
    AccountFacts,
    CheckOutcome,
    CheckResult,
    Denial,
    OrganizerFacts,
    RateFacts,
    Reason,
)
from shared.domain.dial_out.policy import License


@dataclass(frozen=True, slots=True)
class SkippedCheck:
    """The outcome of a check without a fact that it needs; the reason as a sentence."""

    why: str


type CheckAnswer = Denial | SkippedCheck | None


@dataclass(frozen=True, slots=True)
class Check[F]:
    """A named check of the facts, and the sentence for one that is passed."""

    name: str
    evaluate: Callable[[F], CheckAnswer]
    passed: Callable[[F], str]


class CreditSource(Protocol):
    """Facts that name an account and an organizer."""

    @property
    def account(self) -> AccountFacts | None:
        """The account that pays."""
        ...

    @property
    def organizer(self) -> OrganizerFacts | None:
        """The organizer of the meeting."""
        ...


def rate_passed(rate: RateFacts | None) -> str:
    """The sentence for a call that has a rate."""
    assert rate is not None, "the check of the rate is passed"
    price = format_price(rate.price_per_minute_picos)
    return f"{rate.destination} (prefix {rate.prefix}) costs {price} a minute."


def first_denial[F](checks: Iterable[Check[F]], facts: F) -> Denial | None:
    """The denial of the first check that fails."""
    for check in checks:
        answer = check.evaluate(facts)
        if isinstance(answer, Denial):
            return answer
    return None


def results[F](checks: Iterable[Check[F]], facts: F) -> tuple[CheckResult, ...]:
    """The outcome of every check, in order."""
    return tuple(_result(check, facts) for check in checks)


def _result[F](check: Check[F], facts: F) -> CheckResult:
    answer = check.evaluate(facts)
    if isinstance(answer, Denial):
        return CheckResult(check.name, CheckOutcome.FAIL, answer.message, answer.reason)
    if isinstance(answer, SkippedCheck):
        return CheckResult(check.name, CheckOutcome.SKIPPED, answer.why)
    return CheckResult(check.name, CheckOutcome.PASS, check.passed(facts))


def _account(facts: CreditSource) -> CheckAnswer:
    if facts.account is not None:
        return None
    return Denial(Reason.ACCOUNT_UNKNOWN, "No account is known that this call belongs to.")


def _account_active(facts: CreditSource) -> CheckAnswer:
    if facts.account is None:
        return SkippedCheck("There is no account to check.")
    if not facts.account.suspended:
        return None
    return denials.suspended(facts.account.account)


def _organizer(facts: CreditSource) -> CheckAnswer:
    if facts.account is None:
        return SkippedCheck("There is no account to check.")
    if facts.organizer is not None:
        return None
    return Denial(
        Reason.ORGANIZER_UNKNOWN, "No organizer is registered for this meeting in the account."
    )


def _license(facts: CreditSource) -> CheckAnswer:
    if facts.organizer is None:
        return SkippedCheck("There is no organizer to check.")
    if facts.organizer.license is not License.NONE:
        return None
    return Denial(
        Reason.LICENSE_MISSING,
        f"The organizer {facts.organizer.organizer} has no license for audio conferencing.",
    )


def _account_name(facts: CreditSource) -> str:
    return facts.account.account if facts.account else ""


def _organizer_name(facts: CreditSource) -> str:
    return facts.organizer.organizer if facts.organizer else ""


def _license_name(facts: CreditSource) -> str:
    return facts.organizer.license.value if facts.organizer else ""


ACCOUNT_CHECKS: tuple[Check[CreditSource], ...] = (
    Check("account", _account, _account_name),
    Check("account_active", _account_active, lambda _: "The account is active."),
)
ORGANIZER_CHECKS: tuple[Check[CreditSource], ...] = (
    Check("organizer", _organizer, _organizer_name),
    Check("license", _license, _license_name),
)
