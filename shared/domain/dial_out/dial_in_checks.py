"""The ordered checks of a caller before credit, as for a dial-out."""

from dataclasses import dataclass

from shared.domain.dial_out.checks import (
    ACCOUNT_CHECKS,
    ORGANIZER_CHECKS,
    Check,
    CheckAnswer,
    SkippedCheck,
    first_denial,
    rate_passed,
    results,
)
from shared.domain.dial_out.facts import (
    AccountFacts,
    CheckResult,
    Denial,
    OrganizerFacts,
    RateFacts,
    Reason,
)


@dataclass(frozen=True, slots=True)
class DialInFacts:
    """The facts for an authorization of a caller. `toll_free`: the called number is toll-free by
    its registration, else by its class. `unpriced` is the reason for a missing rate."""

    account: AccountFacts | None
    organizer: OrganizerFacts | None
    toll_free: bool
    rate: RateFacts | None = None
    unpriced: str = ""


def check_admission(facts: DialInFacts) -> Denial | None:
    """The first rule that refuses the caller, None when only the check of credit remains."""
    return first_denial(_CHECKS, facts)


def explain_admission(facts: DialInFacts, credit: CheckResult) -> tuple[CheckResult, ...]:
    """Every check in order with its outcome; `credit` is the hold book's line, the last."""
    return (*results(_CHECKS, facts), credit)


def _toll_free(facts: DialInFacts) -> CheckAnswer:
    if not facts.toll_free:
        return None
    if facts.organizer is None:
        return SkippedCheck("There is no organizer to check.")
    if facts.organizer.toll_free_dial_in:
        return None
    return Denial(
        Reason.TOLL_FREE_DISABLED,
        f"Meetings of {facts.organizer.organizer} can't be joined through a toll-free number.",
    )


def _rate(facts: DialInFacts) -> CheckAnswer:
    if facts.rate is not None:
        return None
    return Denial(Reason.RATE_MISSING, facts.unpriced)


_CHECKS: tuple[Check[DialInFacts], ...] = (
    *ACCOUNT_CHECKS,
    *ORGANIZER_CHECKS,
    Check("toll_free", _toll_free, lambda _: "The number may be called."),
    Check("rate", _rate, lambda facts: rate_passed(facts.rate)),
)
