"""A3 a leg is debited once anywhere, A4 no leg is lost, A14 every charge is right."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

from tests.model.audit_case import (
    FACTS_LIVE,
    LONG_AGO,
    Case,
    Json,
    began,
    ended,
    money,
    when,
)
from tests.model.rating_model import cost, digits_of, longest_prefix

MICRO = Fraction(1, 1_000_000)
CONTENT = (
    "kind", "from", "to", "started_at", "answered_at", "ended_at", "talk_seconds",
    "conference_id", "account", "organizer_id", "authorization",
)  # fmt: skip


def a3_once(case: Case) -> Iterator[str]:
    """A leg key is debited once per account, and once over all accounts after reversals."""
    debits: Counter[tuple[str, str]] = Counter()
    reversals: Counter[tuple[str, str]] = Counter()
    for name, view in case.accounts():
        for entry in view["entries"]:
            counter = {"debit": debits, "reversal": reversals}.get(entry["kind"])
            if counter is not None and "leg" in entry:
                counter[name, entry.get("leg", "")] += 1
    for (name, leg), count in debits.items():
        if count > 1:
            yield f"A3 {name}: leg {leg} is debited {count} times"
    for (name, leg), count in reversals.items():
        if count > debits[name, leg]:
            yield f"A3 {name}: leg {leg} is taken back {count} times"
    for leg in {leg for _, leg in debits}:
        at = [name for name, other in debits if other == leg]
        if len(at) - sum(reversals[name, leg] for name in at) > 1:
            yield f"A3: leg {leg} is debited in {sorted(at)}"

    yield from _one_charge_a_call(case)


def _one_charge_a_call(case: Case) -> Iterator[str]:
    """Of all answered phone legs that name one authorization of an account, one is debited."""
    placed = {
        (op["account"], op["result"].get("authorization"))
        for op in case.ops("dial_out", "dial_in")
        if op["result"].get("decision") == "allow"
    }
    legs: dict[tuple[str, str], list[str]] = {}
    for name, leg, body in case.debited_legs():
        authorization = body.get("authorization")
        is_phone = bool(body.get("answered_at")) and body.get("kind") != "voip"
        if is_phone and (name, authorization) in placed:
            legs.setdefault((name, str(authorization)), []).append(leg)
    for (name, authorization), found in legs.items():
        if len(found) > 1:
            yield f"A3 {name}: {sorted(found)} are all debited under {authorization}"


# ---- A4


def content_of(leg: Json) -> tuple[object, ...]:
    """What makes two deliveries of a leg the same: times as instants, talk seconds filled in."""
    filled = {name: leg.get(name) for name in CONTENT}
    for name in ("started_at", "answered_at", "ended_at"):
        filled[name] = when(filled[name]) if filled[name] else None
    filled["talk_seconds"] = talk_seconds_of(leg)
    return tuple(filled.values())


def talk_seconds_of(leg: Json) -> int:
    """What is billed: as sent, else from answer to end."""
    if not leg.get("answered_at"):
        return 0
    if leg.get("talk_seconds") is not None:
        return int(leg["talk_seconds"])
    return int((when(leg["ended_at"]) - when(leg["answered_at"])).total_seconds())


def a4_conserved(case: Case) -> Iterator[str]:
    """Every leg that was accepted is charged, free with a reason, or parked; and no other is."""
    acked, perhaps = case.sent(), case.sent(unknown=True)
    debited = {leg: (name, body) for name, leg, body in case.debited_legs()}
    items: dict[str, list[Json]] = {}
    for item in case.parked():
        items.setdefault(str(item.get("leg")), []).append(item)
    corrected = _corrected(case)
    for leg in sorted({*perhaps, *debited, *items} - {"None"}):
        sent = {content_of(op["request"]["leg"]) for op in acked.get(leg, [])}
        most = {content_of(op["request"]["leg"]) for op in perhaps.get(leg, [])}
        parked = len(items.get(leg, []))
        places = parked + (leg in debited)
        if places < len(sent):
            yield f"A4: leg {leg} was accepted with {len(sent)} contents, {places} are to be found"
        if parked > len(most):
            yield f"A4: leg {leg} is parked {parked} times, {len(most)} contents were sent"
        if leg in debited:
            ops = [op["request"]["leg"] for op in perhaps.get(leg, [])]
            name, body = debited[leg]
            yield from _is_what_was_sent(case, leg, name, body, ops + corrected.get(leg, []))


def _corrected(case: Case) -> dict[str, list[Json]]:
    """Legs as they were corrected when they were replayed."""
    found: dict[str, list[Json]] = {}
    parked = {item["id"]: item for item in case.parked()}
    for op in case.ops("replay", unknown=True):
        item = parked.get(op["request"]["parked"])
        if op["request"].get("leg") and item:
            found.setdefault(str(item.get("leg")), []).append(op["request"]["leg"])
    return found


def _is_what_was_sent(
    case: Case, leg: str, name: str, body: Json, contents: list[Json]
) -> Iterator[str]:
    if not contents:
        yield f"A4 {name}: leg {leg} is charged and was never sent"
    elif not any(_matches(body, content) for content in contents):
        yield f"A4 {name}: leg {leg} is charged with facts that no one sent"
    elif not any(content.get("account") in {None, name} for content in contents):
        moved = any(
            entry["kind"] == "reversal" and entry.get("leg") == leg
            for _, view in case.accounts()
            for entry in view["entries"]
        )
        if not moved:
            yield f"A4 {name}: leg {leg} is charged here, it named another account"
    if body["status"] == "zero" and body.get("zero_reason") not in {
        "unanswered",
        "voip",
        "free_rate",
        "zero_duration",
    }:
        yield f"A4 {name}: leg {leg} is free for no reason"


def _matches(body: Json, sent: Json) -> bool:
    for name in ("answered_at", "ended_at"):
        one, other = body.get(name), sent.get(name)
        if (when(one) if one else None) != (when(other) if other else None):
            return False
    for name in ("from", "to"):
        received = body.get(f"{name}_received") or body.get(name) or ""
        if sent.get(name) and digits_of(received) != digits_of(sent[name]):
            return False
    kind_fits = sent.get("kind") in {None, body["kind"]}
    return kind_fits and int(body.get("talk_seconds") or 0) == talk_seconds_of(sent)


# ---- A14


def a14_charges(case: Case) -> Iterator[str]:
    """Every charge is what the slow rating model makes of the recorded version."""
    sent = case.sent(unknown=True)
    for name, leg, body in case.debited_legs():
        seconds = int(body.get("talk_seconds") or 0)
        is_free = body["kind"] == "voip" or not body.get("answered_at") or seconds == 0
        if is_free or body["status"] == "pool":
            if money(body["amount"]) != 0:
                yield f"A14 {name}: leg {leg} costs {body['amount']} and should cost nothing"
            continue
        rate = body.get("rate")
        if not rate:
            yield f"A14 {name}: leg {leg} names no rate"
            continue
        first_sent = min((began(op) for op in sent.get(leg, [])), default=LONG_AGO)
        yield from _right_version(case, name, leg, body, first_sent)
        yield from _right_price(case, name, leg, body)


def _puts(case: Case, card: str) -> list[Json]:
    ops = case.ops("put_rate_card", unknown=True)
    return [op for op in ops if op["request"]["card"] == card]


def _right_version(
    case: Case, name: str, leg: str, body: Json, first_sent: datetime
) -> Iterator[str]:
    """The last version before the answer; one that was put while the leg was under way may be."""
    answered_at, recorded = when(body["answered_at"]), when(body["rate"]["version"])
    cards = {settings.get("rate_card", "default") for settings in case.settings(name)}
    if cards and body["rate"]["card"] not in cards:
        yield f"A14 {name}: leg {leg} is rated by the card {body['rate']['card']}"
    known: list[datetime] = [LONG_AGO]
    perhaps: list[datetime] = []
    for op in _puts(case, body["rate"]["card"]):
        effective_from = when(op["request"]["effective_from"])
        if effective_from <= answered_at:
            is_sure = op["outcome"] == "ok" and ended(op) + FACTS_LIVE <= first_sent
            (known if is_sure else perhaps).append(effective_from)
    right = max(known)
    if recorded != right and recorded not in {one for one in perhaps if one > right}:
        yield f"A14 {name}: leg {leg} is rated by the version of {recorded}, not of {right}"


def _right_price(case: Case, name: str, leg: str, body: Json) -> Iterator[str]:
    prefix = digits_of(body["rate"]["prefix"])
    expected = []
    for op in _puts(case, body["rate"]["card"]):
        version = op["request"]["version"]
        if when(op["request"]["effective_from"]) != when(body["rate"]["version"]):
            continue
        if body["kind"] == "dial_out":
            rates = longest_prefix(version, "dial_out", body["to"])
        else:  # which number a dial-in is rated by is the card's affair: take the recorded rate
            rates = [
                rate
                for rate in version["rates"]
                if rate["kind"].startswith(body["kind"]) and digits_of(rate["prefix"]) == prefix
            ]
        rates = [rate for rate in rates if digits_of(rate["prefix"]) == prefix]
        prices = [cost(rate, int(body["talk_seconds"]), version["rounding"]) for rate in rates]
        if any(price is None for price in prices):
            return
        expected += [price for price in prices if price]
    if not any(_agrees(body, price) for price in expected):
        wanted = [f"{float(price['amount'])} for {price['billed_seconds']} s" for price in expected]
        yield (
            f"A14 {name}: leg {leg} costs {body['amount']} for {body['billed_seconds']} s by "
            f"prefix {body['rate']['prefix']}, the model makes it {wanted}"
        )


def _agrees(body: Json, price: Json) -> bool:
    exact = body.get("rounding", {}).get("unrounded")
    if exact is not None and money(exact) != price["unrounded"]:
        return False
    if sum((money(line["amount"]) for line in body.get("lines", [])), Fraction(0)) > 0:
        lines = sum((money(line["amount"]) for line in body["lines"]), Fraction(0))
        if abs(lines - price["unrounded"]) > MICRO * len(body["lines"]):
            return False
    is_close = abs(money(body["amount"]) - price["amount"]) < MICRO  # the mode `none` has to cut
    return is_close and int(body["billed_seconds"]) == int(price["billed_seconds"])
