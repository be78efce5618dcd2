"""The denials that both the ordered checks and the hold book return."""

from shared.domain.common.money import format_amount
from shared.domain.dial_out.budgets import BudgetUse
from shared.domain.dial_out.facts import Denial, Reason


def suspended(account: str) -> Denial:
    """`account_suspended`."""
    return Denial(Reason.ACCOUNT_SUSPENDED, f"The account {account} is suspended.")


def stopped(why: str) -> Denial:
    """`dial_out_stopped`; `why` is the reason of the breaker or of a person."""
    return Denial(Reason.DIAL_OUT_STOPPED, f"Dial-out of the account is stopped: {why}.")


def over_budget(use: BudgetUse) -> Denial:
    """`budget_exceeded`."""
    return Denial(Reason.BUDGET_EXCEEDED, f"The call does not fit into {use.label()}.")


def too_fast(excess: str) -> Denial:
    """`velocity_exceeded`; `excess` names the exceeded limit."""
    return Denial(Reason.VELOCITY_EXCEEDED, f"Too fast: {excess}.")


def no_credit(available_micros: int, currency: str) -> Denial:
    """`credit_exhausted`."""
    available = f"{format_amount(available_micros)} {currency}"
    message = f"The available credit of {available} does not pay for the call's start."
    return Denial(Reason.CREDIT_EXHAUSTED, message)
