"""A2 held and available, A7 what was granted is paid for, A13 counters.

Requests overlap, so that a check uses what is sure: a hold is *surely open* at an instant if its
grant had been answered by then and nothing that could end it had been sent.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from tests.model.audit_case import (
    LONG_AGO,
    STALE_VIEW,
    ZERO,
    Case,
    Json,
    began,
    ended,
    entries_of,
    leg_key,
    money,
    when,
)
from tests.model.rating_model import cost, longest_prefix

FREEING_CAUSES = {None, "", "USER_BUSY", "NO_ANSWER", "CALL_REJECTED", "ORIGINATOR_CANCEL", "17"}
CONCURRENT_MAX, HOURLY_MAX = 100, 600


@dataclass
class Grant:
    """An answered allow or extension."""

    began: datetime
    at: datetime
    granted_seconds: int
    held: Fraction
    expires_at: datetime
    is_growth: bool


@dataclass
class HoldFacts:
    """What the history reports about one authorisation."""

    authorization: str
    request: Json
    grants: list[Grant]
    is_dial_out: bool
    wanted_seconds: int
    ends: list[datetime] = field(default_factory=list)
    is_released: bool = False
    may_be_longer: bool = False
    leg_keys: set[str] = field(default_factory=set)

    def grant_at(self, moment: datetime) -> Grant | None:
        """The longest grant that was answered by then."""
        answered = [grant for grant in self.grants if grant.at <= moment]
        return max(answered, key=lambda grant: grant.granted_seconds, default=None)

    def surely_open(self, moment: datetime, skew: timedelta) -> Grant | None:
        """Its grant, if it must count at that instant."""
        grant = self.grant_at(moment)
        if grant is None or moment + skew >= grant.expires_at:
            return None
        return None if any(end <= moment for end in self.ends) else grant


def holds_of(case: Case, account: str) -> list[HoldFacts]:
    """Every hold of the account that was answered, with all that may have ended it."""
    found: dict[str, HoldFacts] = {}
    for op in case.ops("dial_out", "dial_in", account=account):
        result = op["result"]
        authorization = result.get("authorization")
        if result.get("decision") == "allow" and authorization and authorization not in found:
            sent = [began(other) for other in case.history if _same_key(op, other)]
            grant = _grant(op, min(sent), is_growth=money(result["held"]) > 0)
            is_dial_out = op["op"] == "dial_out"
            wanted = int(op["request"]["body"].get("requested_seconds") or grant.granted_seconds)
            found[authorization] = HoldFacts(
                authorization, op["request"], [grant], is_dial_out, wanted
            )
    for op in case.ops("extend", account=account, unknown=True):
        hold = found.get(op["request"]["authorization"])
        if hold is None:
            continue
        hold.wanted_seconds = max(hold.wanted_seconds, int(op["request"]["seconds"]))
        if op["outcome"] == "info":
            hold.may_be_longer = True
        elif "granted_seconds" in op["result"]:
            is_growth = money(op["result"]["held"]) > max(grant.held for grant in hold.grants)
            hold.grants.append(_grant(op, began(op), is_growth))
    for hold in found.values():
        _find_ends(case, hold)
    return list(found.values())


def _same_key(op: Json, other: Json) -> bool:
    keys = [(one["op"], one["request"].get("bridge"), one["request"].get("key"))
            for one in (op, other)]  # fmt: skip
    return op is other or (keys[0] == keys[1] and keys[0][2] is not None)


def _grant(op: Json, first_sent: datetime, is_growth: bool) -> Grant:
    result = op["result"]
    return Grant(
        first_sent,
        ended(op),
        int(result["granted_seconds"]),
        money(result["held"]),
        when(result["expires_at"]),
        is_growth,
    )


def _find_ends(case: Case, hold: HoldFacts) -> None:
    for op in case.ops("release", unknown=True):
        if op["request"]["authorization"] == hold.authorization:
            hold.ends.append(began(op))
            hold.is_released = True
    own_leg = hold.request["body"].get("leg_id")
    for op in case.ops("call_ended", "replay", unknown=True):
        leg = op["request"].get("leg") or {}
        is_own = own_leg is not None and leg.get("leg_id") == own_leg
        if _keeps_hold(leg):
            continue
        if leg.get("authorization") == hold.authorization or is_own:
            hold.ends.append(began(op))
            if "bridge" in op["request"]:
                hold.leg_keys.add(leg_key(op["request"]["bridge"], leg["leg_id"]))


def _keeps_hold(leg: Json) -> bool:
    """A leg that ends no hold: VoIP, or an attempt that failed while another may be answered."""
    is_failed = not leg.get("answered_at") and leg.get("hangup_cause") not in FREEING_CAUSES
    return bool(leg) and (leg.get("kind") == "voip" or is_failed)


# ---- A2


def a2_held(case: Case) -> Iterator[str]:
    """Held is the sum of open holds; available is balance − held + credit limit."""
    for name, view in case.accounts():
        account = view["account"]
        held = money(account["held"])
        available = money(account["balance"]) - held + money(account.get("credit_limit", "0"))
        if money(account["available"]) != available:
            yield f"A2 {name}: available is {account['available']}, not {float(available)}"
        if "at" not in view:
            continue
        moment = when(view["at"])
        holds = holds_of(case, name)
        least = [hold.surely_open(moment, case.skew) for hold in holds]
        at_least = sum((grant.held for grant in least if grant), ZERO)
        at_most = sum((_may_hold(case, name, hold, moment) for hold in holds), ZERO)
        if held < at_least:
            yield f"A2 {name}: {account['held']} is held, open holds make {float(at_least)}"
        if held > at_most and not _has_unknown_holds(case, name):
            yield f"A2 {name}: {account['held']} is held, at most {float(at_most)} can be open"


def _may_hold(case: Case, name: str, hold: HoldFacts, moment: datetime) -> Fraction:
    legs = case.final[name].get("legs", {})
    is_settled = any(legs.get(leg, {}).get("status", "parked") != "parked" for leg in hold.leg_keys)
    longest = max(hold.grants, key=lambda grant: grant.granted_seconds)
    is_released = any(
        op["request"]["authorization"] == hold.authorization for op in case.ops("release")
    )
    is_over = moment - case.skew >= longest.expires_at and not hold.may_be_longer
    return ZERO if is_settled or is_released or is_over else longest.held


def _has_unknown_holds(case: Case, name: str) -> bool:
    requested = case.ops("dial_out", "dial_in", "extend", account=name, unknown=True)
    unknown = [op for op in requested if op["outcome"] == "info"]
    return any(
        op["op"] == "extend"
        or not any(_same_key(op, other) and other["outcome"] == "ok" for other in requested)
        for op in unknown
    )


# ---- A7


def a7_grants(case: Case) -> Iterator[str]:
    """No hold without the money for it, none that does not cover its seconds; honest flags."""
    for name, view in case.accounts():
        holds = holds_of(case, name)
        for hold in holds:
            yield from _check_price(case, name, hold)
            yield from _check_flags(case, name, view, hold)
            longest = max(grant.granted_seconds for grant in hold.grants)
            if longest > hold.wanted_seconds:
                yield (
                    f"A7 {name}: {hold.authorization} was granted {longest} s in all, "
                    f"no more than {hold.wanted_seconds} s were wanted"
                )
            for grant in hold.grants:
                if grant.is_growth:
                    yield from _check_cover(case, name, holds, grant)


def _check_cover(case: Case, name: str, holds: list[HoldFacts], grant: Grant) -> Iterator[str]:
    moment = grant.at
    open_grants = [one for hold in holds if (one := hold.surely_open(moment, case.skew))]
    total = sum((one.held for one in open_grants), ZERO)
    growths = [one for one in open_grants if one.is_growth]
    if not growths:
        return
    # One of these was placed last, and counted all the others.
    last_began = max(one.began for one in growths)
    seen_from = min(one.began for one in growths if one.at >= last_began) - STALE_VIEW - case.skew
    most = _most_credit(case, name, seen_from, moment + case.skew)
    if total > most:
        yield (
            f"A7 {name}: at {moment.isoformat()} holds of {float(total)} were open, with no more "
            f"than {float(most)} of balance and limit to pay for them"
        )


def _most_credit(case: Case, name: str, start: datetime, end: datetime) -> Fraction:
    balances, limits = [ZERO], [ZERO]
    for entry in entries_of(case.final[name]):
        if when(entry["at"]) <= end:
            balances = balances if when(entry["at"]) >= start else []
            balances.append(money(entry["balance"]))
    for op in case.ops("put_account", account=name, unknown=True):
        if began(op) <= end:
            is_sure = op["outcome"] == "ok" and ended(op) < start
            limits = [] if is_sure else limits
            limits.append(money(op["request"].get("credit_limit", "0")))
    return max(balances) + max(limits)


def _check_price(case: Case, name: str, hold: HoldFacts) -> Iterator[str]:
    organizers = case.ops("put_organizer", account=name, unknown=True)
    has_pool = any(op["request"]["body"].get("license") == "subscription" for op in organizers)
    if has_pool or not hold.is_dial_out:
        return
    first = hold.grants[0]
    cards = {body.get("rate_card", "default") for body in case.settings(name)}
    prices = [
        (price, Fraction(1, 10 ** min(int(version["rounding"].get("decimals", 6)), 6)))
        for version in _versions_in_force(case, cards, first.began, first.at)
        for rate in longest_prefix(version, "dial_out", hold.request["body"]["to"])
        for price in [cost(rate, first.granted_seconds, version["rounding"])]
    ]
    known = [(price["amount"], unit) for price, unit in prices if price is not None]
    if not known or len(known) < len(prices):
        return
    if not any(amount <= first.held <= amount + unit for amount, unit in known):
        wanted = [float(amount) for amount, _ in known]
        yield (
            f"A7 {name}: {hold.authorization} holds {float(first.held)} for "
            f"{first.granted_seconds} s that cost {wanted}"
        )


def _versions_in_force(
    case: Case, cards: set[str], start: datetime, end: datetime
) -> Iterator[Json]:
    for card in cards:
        puts = [
            op["request"]
            for op in case.ops("put_rate_card", unknown=True)
            if op["request"]["card"] == card and when(op["request"]["effective_from"]) <= end
        ]
        before = [when(put["effective_from"]) for put in puts]
        in_force = max((one for one in before if one <= start), default=LONG_AGO)
        yield from (put["version"] for put in puts if when(put["effective_from"]) >= in_force)


def _check_flags(case: Case, name: str, view: Json, hold: HoldFacts) -> Iterator[str]:
    if hold.is_released or len(hold.leg_keys) != 1:
        return
    (leg,) = hold.leg_keys
    body = view.get("legs", {}).get(leg)
    if body is None or body["status"] not in {"charged", "pool"}:
        return
    flags, talk_seconds = body.get("flags", []), int(body["talk_seconds"])
    first_end = min(hold.ends)
    grant = hold.grant_at(first_end) or hold.grants[0]
    longest = max(hold.grants, key=lambda one: one.granted_seconds)
    if talk_seconds <= grant.granted_seconds and "overrun" in flags:
        yield f"A7 {name}: leg {leg} is marked overrun within its {grant.granted_seconds} s"
    if hold.may_be_longer:
        return
    if talk_seconds > longest.granted_seconds and "overrun" not in flags:
        yield f"A7 {name}: leg {leg} outran its {longest.granted_seconds} s without the mark"
    entry = next((one for one in view["entries"] if one["sequence"] == body.get("entry")), None)
    if entry and "late" in flags and when(entry["at"]) + case.skew < grant.expires_at:
        yield f"A7 {name}: leg {leg} is marked late before its hold expired"
    if "late" not in flags and first_end - case.skew > longest.expires_at:
        yield f"A7 {name}: leg {leg} ended its hold after it had expired, and is not marked late"


# ---- A13


def a13_counters(case: Case) -> Iterator[str]:
    """Spend counters are the sum over the legs of the day; velocity limits were kept."""
    for name, view in case.accounts():
        spent: Counter[tuple[str, str]] = Counter()
        for leg in view.get("legs", {}).values():
            if leg["status"] == "charged":
                key = (leg.get("organizer"), when(leg["answered_at"]).date().isoformat())
                spent[key] += money(leg["amount"])  # type: ignore[assignment]
        for row in view.get("spend", []):
            wanted = spent[row["organizer"], row["day"]]
            if money(row["amount"]) != wanted:
                yield (
                    f"A13 {name}: {row['organizer']} spent {float(wanted)} on {row['day']}, "
                    f"the counter says {row['amount']}"
                )
        yield from _velocity(case, name, view.get("limits", {}))


def _velocity(case: Case, name: str, limits: Json) -> Iterator[str]:
    holds = holds_of(case, name)
    hours = Counter(
        hour
        for hold in holds
        for hour in [hold.grants[0].began.replace(minute=0, second=0, microsecond=0)]
        if hold.grants[0].at < hour + timedelta(hours=1)
    )
    for hour, count in hours.items():
        if count > limits.get("hourly", HOURLY_MAX):
            yield f"A13 {name}: {count} dial-outs were allowed in the hour of {hour.isoformat()}"
    for hold in holds:
        moment = hold.grants[0].at
        count = sum(1 for one in holds if one.surely_open(moment, case.skew))
        if count > limits.get("concurrent", CONCURRENT_MAX):
            yield f"A13 {name}: {count} dial-outs were open at {moment.isoformat()}"
