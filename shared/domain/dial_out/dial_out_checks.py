"""The ordered checks of a dial-out, up to the rate; the hold book checks credit. The module reads
nothing: all facts are resolved before. A check passes, fails or, without a fact that it needs, is
skipped. The first failure is the denial; `explain` returns all results.
"""

from shared.domain.common.counts import counted
from shared.domain.common.money import format_price
from shared.domain.dial_out import denials
from shared.domain.dial_out.budgets import BudgetMode, exceeded_budgets, velocity_excess
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
from shared.domain.dial_out.facts import CheckOutcome, CheckResult, Denial, DialOutFacts, Reason
from shared.domain.dial_out.policy import (
    IDENTITIES,
    CallContext,
    DialScope,
    class_allowed,
    is_domestic,
    is_within_scope,
    rate_ceiling_picos,
)
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import DialledNumber
from shared.domain.numbers.regions import INTERNATIONAL, availability, country_name, offer

_OF_REGIONS = frozenset({"region", "policy", "region_lists"})
_NO_NUMBER = SkippedCheck("There is no valid number to check.")


def check_rules(facts: DialOutFacts) -> Denial | None:
    """The first rule that refuses the dial-out, None when only the check of credit remains."""
    return first_denial(_CHECKS, facts)


def region_denial(facts: DialOutFacts) -> Denial | None:
    """The reason why the account's policy blocks a region for every number in it."""
    return first_denial(tuple(each for each in _CHECKS if each.name in _OF_REGIONS), facts)


def explain(facts: DialOutFacts, credit: CheckResult) -> tuple[CheckResult, ...]:
    """Every check in order with its outcome; `credit` is the hold book's line, the last."""
    return (*results(_CHECKS, facts), credit)


def no_rate(dialled: DialledNumber) -> str:
    """The sentence for a rate card that has no rate for a number."""
    where = country_name(dialled.number.region) or "this number"
    return f"The rate card has no price for this number in {where}."


def credit_line(denial: Denial | None, granted_seconds: int | None) -> CheckResult:
    """The last line: credit refused, granted, or (None and None) not evaluated."""
    if denial is not None:
        return CheckResult("credit", CheckOutcome.FAIL, denial.message, denial.reason)
    if granted_seconds is None:
        return CheckResult(
            "credit", CheckOutcome.SKIPPED, "Credit is checked after all other checks pass."
        )
    seconds = counted(granted_seconds, "second")
    return CheckResult("credit", CheckOutcome.PASS, f"Credit covers {seconds}.")


def _emergency(facts: DialOutFacts) -> CheckAnswer:
    if not facts.dialled.emergency:
        return None
    return Denial(
        Reason.EMERGENCY_NUMBER,
        "This is an emergency number: the bridge has to route it itself, and it is never charged.",
    )


def _special(facts: DialOutFacts) -> CheckAnswer:
    if not facts.dialled.special:
        return None
    return Denial(
        Reason.SPECIAL_NUMBER, "This is a short number of a country's network, not dialled here."
    )


def _number(facts: DialOutFacts) -> CheckAnswer:
    if facts.dialled.number.valid:
        return None
    return Denial(
        Reason.NUMBER_INVALID,
        "The number is not a valid one in international form: + and 7 to 15 digits.",
    )


def _region(facts: DialOutFacts) -> CheckAnswer:
    number = facts.dialled.number
    if not number.valid:
        return _NO_NUMBER
    if facts.policy.serves(number.region):
        return None
    if number.region in {None, INTERNATIONAL}:
        return Denial(Reason.REGION_NOT_SERVED, "The number belongs to no country that is served.")
    return Denial(
        Reason.REGION_NOT_SERVED, f"The account does not serve {country_name(number.region)}."
    )


def _number_class(facts: DialOutFacts) -> CheckAnswer:
    if not facts.dialled.number.valid:
        return _NO_NUMBER
    number_class = facts.policy.class_of(facts.dialled.number)
    if class_allowed(number_class, facts.rules):
        return None
    words = number_class.value.replace("_", " ")
    return Denial(Reason.NUMBER_CLASS_BLOCKED, f"Numbers of the class {words} are not dialled.")


def _dial_out_running(facts: DialOutFacts) -> CheckAnswer:
    if facts.account is None:
        return SkippedCheck("There is no account to check.")
    if not facts.account.stopped:
        return None
    return denials.stopped(facts.account.stopped)


def _policy(facts: DialOutFacts) -> CheckAnswer:
    if _is_exempt(facts):
        return None
    reach = IDENTITIES[facts.identity].reach(facts.half)
    if reach is DialScope.NONE:
        return Denial(
            Reason.POLICY_DISABLED, f"The policy {facts.identity} does not let anybody dial out."
        )
    number = facts.dialled.number
    if not number.valid:
        return _NO_NUMBER
    if is_within_scope(reach, number.region, facts.domestic_region):
        return None
    where = country_name(number.region)
    if reach is DialScope.ZONE_A:
        return Denial(Reason.POLICY_ZONE_A_ONLY, f"The policy allows Zone A only: {where} is not.")
    home = country_name(facts.domestic_region) or "an unknown country"
    return Denial(
        Reason.POLICY_DOMESTIC_ONLY, f"The policy allows {home} only; the number is in {where}."
    )


def _region_lists(facts: DialOutFacts) -> CheckAnswer:
    number = facts.dialled.number
    if not number.valid:
        return _NO_NUMBER
    if all(rule.admits_region(number.region) for rule in facts.rules):
        return None
    where = country_name(number.region)
    return Denial(Reason.REGION_BLOCKED, f"The account's lists do not let {where} be dialled.")


def _number_lists(facts: DialOutFacts) -> CheckAnswer:
    number = facts.dialled.number
    if not number.valid:
        return _NO_NUMBER
    if facts.policy.block_high_risk and number.high_risk:
        return Denial(
            Reason.NUMBER_BLOCKED,
            f"The account blocks ranges known for toll fraud ({number.high_risk}).",
        )
    if all(rule.admits_digits(number.digits) for rule in facts.rules):
        return None
    return Denial(Reason.NUMBER_BLOCKED, "The account's lists do not let this number be dialled.")


def _budget(facts: DialOutFacts) -> CheckAnswer:
    exceeded = exceeded_budgets(facts.budgets, _least_charge_micros(facts))
    if not exceeded or exceeded[0].budget.mode is BudgetMode.WARN:
        return None
    return denials.over_budget(exceeded[0])


def _velocity(facts: DialOutFacts) -> CheckAnswer:
    for use in facts.velocities:
        excess = velocity_excess(use)
        if excess is not None:
            return denials.too_fast(excess)
    return None


def _rate(facts: DialOutFacts) -> CheckAnswer:
    if not facts.dialled.number.valid:
        return _NO_NUMBER
    if facts.rate is not None:
        return None
    return Denial(Reason.RATE_MISSING, facts.unpriced or no_rate(facts.dialled))


def _rate_ceiling(facts: DialOutFacts) -> CheckAnswer:
    if facts.rate is None:
        return SkippedCheck("There is no rate to compare.")
    ceiling = rate_ceiling_picos(facts.rules)
    if ceiling is None or facts.rate.price_per_minute_picos <= ceiling:
        return None
    price = format_price(facts.rate.price_per_minute_picos)
    return Denial(
        Reason.RATE_OVER_CEILING,
        f"The price per minute of {price} is above the ceiling of {format_price(ceiling)}.",
    )


def _least_charge_micros(facts: DialOutFacts) -> int:
    """Without a rate the call has an unknown price."""
    return 1 if facts.rate is None else facts.rate.least_charge_micros


def _is_exempt(facts: DialOutFacts) -> bool:
    """A user's own emergency calls are under no policy; those of a meeting are."""
    return facts.dialled.emergency and facts.half is CallContext.PSTN


def _region_passed(facts: DialOutFacts) -> str:
    region = facts.dialled.number.region or ""
    return f"{country_name(region)}: {offer(region)}"


def _policy_passed(facts: DialOutFacts) -> str:
    if _is_exempt(facts):
        return f"{facts.identity}: a user's own emergency calls are exempt."
    home = is_domestic(facts.dialled.number.region, facts.domestic_region)
    return f"{facts.identity}: the call is {'domestic' if home else 'international'}."


def _class_passed(facts: DialOutFacts) -> str:
    number_class = facts.policy.class_of(facts.dialled.number)
    offered = availability(facts.dialled.number.region or "")
    if offered is None or number_class not in {NumberClass.PREMIUM_RATE, NumberClass.SHARED_COST}:
        return number_class.value
    words = offered.premium_numbers.value.replace("_", " ")
    return f"{number_class.value}; premium numbers of the country in Teams: {words}"


def _budget_passed(facts: DialOutFacts) -> str:
    warned = exceeded_budgets(facts.budgets, _least_charge_micros(facts))
    if warned:
        return f"Only a warning: the call does not fit into {warned[0].label()}."
    return f"{counted(len(facts.budgets), 'budget has', 'budgets have')} room."


_CHECKS: tuple[Check[DialOutFacts], ...] = (
    Check("emergency", _emergency, lambda _: "No emergency number."),
    Check("special", _special, lambda _: "No short number."),
    Check("number", _number, lambda facts: f"{facts.dialled.number.e164} is a valid number."),
    Check("region", _region, _region_passed),
    Check("number_class", _number_class, _class_passed),
    *ACCOUNT_CHECKS,
    Check("dial_out_running", _dial_out_running, lambda _: "Dial-out is not stopped."),
    *ORGANIZER_CHECKS,
    Check("policy", _policy, _policy_passed),
    Check("region_lists", _region_lists, lambda _: "No list of the account blocks the region."),
    Check("number_lists", _number_lists, lambda _: "No list of the account blocks the number."),
    Check("budget", _budget, _budget_passed),
    Check(
        "velocity",
        _velocity,
        lambda _: "The dial-outs at once and within an hour are within the limits.",
    ),
    Check("rate", _rate, lambda facts: rate_passed(facts.rate)),
    Check("rate_ceiling", _rate_ceiling, lambda _: "The price is under every ceiling."),
)
