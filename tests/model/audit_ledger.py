"""A1 balance, A5 sequences, A6 lots, A11 alerts, A15 the bank test, A16 verify."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import islice, pairwise

from tests.model.audit_case import (
    ZERO,
    Case,
    Json,
    began,
    entries_of,
    first_times,
    money,
    when,
)
from tests.model.audit_holds import HoldFacts, holds_of
from tests.model.ledger_model import LATE_LEG, LedgerModel, a_year_later

SIGNS = {"top_up": 1, "grant": 1, "reversal": 1, "debit": -1, "expiry": -1, "adjustment": 0}
ON_THE_DAY = timedelta(days=1)
OPENING_KINDS = {"top_up": "purchased", "grant": "granted"}
READINGS_MAX = 1_000


def a1_balance(case: Case) -> Iterator[str]:
    """The balance is the sum of the entries, and so is every running balance."""
    for name, view in case.accounts():
        total = ZERO
        for entry in entries_of(view):
            total += money(entry["amount"])
            if money(entry["balance"]) != total:
                yield (
                    f"A1 {name}: entry {entry['sequence']} says balance {entry['balance']}, "
                    f"the entries make {float(total)}"
                )
        if money(view["account"]["balance"]) != total:
            yield (
                f"A1 {name}: the balance is {view['account']['balance']}, "
                f"the entries make {float(total)}"
            )


def a5_sequences(case: Case) -> Iterator[str]:
    """Numbers without gaps, times that never go back, legs that agree with their entries."""
    for name, view in case.accounts():
        entries = entries_of(view)
        numbers = [int(entry["sequence"]) for entry in entries]
        if numbers != list(range(1, len(entries) + 1)):
            yield f"A5 {name}: the entries are numbered {numbers}"
            continue
        for before, entry in pairwise(entries):
            if when(entry["at"]) < when(before["at"]):
                yield f"A5 {name}: entry {entry['sequence']} is older than the one before"
        legs = view.get("legs", {})
        for entry in entries:
            if entry["kind"] == "debit" and entry.get("leg") not in legs:
                yield f"A5 {name}: entry {entry['sequence']} debits the unknown {entry.get('leg')}"
        for leg, body in legs.items():
            if body["status"] != "parked":
                yield from _leg_and_entry(name, leg, body, entries)


def _leg_and_entry(name: str, leg: str, body: Json, entries: list[Json]) -> Iterator[str]:
    number = int(body.get("entry") or 0)
    if not 1 <= number <= len(entries):
        yield f"A5 {name}: leg {leg} has no entry"
        return
    entry, amount = entries[number - 1], money(body["amount"])
    after = money(entry["balance"])
    if (entry["kind"], entry.get("leg")) != ("debit", leg):
        yield f"A5 {name}: leg {leg} points at entry {number}, which is not its debit"
    elif money(entry["amount"]) != -amount:
        yield f"A5 {name}: leg {leg} costs {body['amount']}, its entry says {entry['amount']}"
    elif "balance_after" in body and (
        money(body["balance_after"]) != after or money(body["balance_before"]) != after + amount
    ):
        yield f"A5 {name}: leg {leg} shows other balances than entry {number}"
    if (body["status"] in {"zero", "pool"} or "zero_reason" in body) and amount != 0:
        yield f"A5 {name}: leg {leg} is {body['status']} and costs {body['amount']}"


# ---- the replay behind A6 and A11


def replay(case: Case, name: str, view: Json) -> tuple[LedgerModel, list[str]]:
    """The entries once more, by the model; and where the two do not agree."""
    if name not in case.replayed:
        case.replayed[name] = _replay(case, name, view)
    model, problems = case.replayed[name]
    return model, problems


def _replay(case: Case, name: str, view: Json) -> tuple[LedgerModel, list[str]]:
    """The first reading of the unconfirmed entries without a problem; else the first reading."""
    first: tuple[LedgerModel, list[str]] | None = None
    for reading in islice(_readings(case, name, entries_of(view)), READINGS_MAX):
        replayed = _replay_reading(case, name, view, reading)
        if not replayed[1]:
            return replayed
        first = first or replayed
    assert first is not None
    return first


def _replay_reading(
    case: Case, name: str, view: Json, bodies: dict[int, Json]
) -> tuple[LedgerModel, list[str]]:
    model, problems = LedgerModel(), []
    listed = {lot["id"]: lot for lot in view["account"].get("lots", [])}
    settings = case.ops("put_account", account=name)
    holds = holds_of(case, name)
    for entry in entries_of(view):
        while settings and began(settings[0]) <= when(entry["at"]):
            model.configure(settings.pop(0)["request"])
        body = bodies.get(entry["sequence"]) or {"amount": str(entry["amount"])}
        wrong = _replay_one(model, entry, body, listed, view, holds)
        if wrong:
            problems.append(f"A6 {name}: entry {entry['sequence']} ({entry['kind']}) {wrong}")
        if model.balance != money(entry["balance"]):
            problems.append(f"A6 {name}: the model's balance leaves at entry {entry['sequence']}")
            break
    for op in settings:
        model.configure(op["request"])
    return model, problems


def _readings(case: Case, name: str, entries: list[Json]) -> Iterator[dict[int, Json]]:
    """Every assignment of top-up commands to entries that the history allows, by sequence.

    A confirmed command has its entry. Each other entry may be any command without an answer of the
    same kind and amount that began before it, each command once, or none of them (a recharge).
    """
    confirmed = {
        op["result"]["entry"]["sequence"]: op["request"] for op in case.ops("top_up", account=name)
    }
    keys = {request["key"] for request in confirmed.values()}
    unconfirmed = {
        op["request"]["key"]: op
        for op in reversed(case.ops("top_up", account=name, unknown=True))
        if op["outcome"] == "info" and op["request"]["key"] not in keys
    }
    open_entries = [
        entry
        for entry in entries
        if entry["kind"] in OPENING_KINDS and entry["sequence"] not in confirmed
    ]
    known = {sequence: request["body"] for sequence, request in confirmed.items()}
    return _assigned(known, open_entries, unconfirmed, case.skew)


def _assigned(
    known: dict[int, Json], entries: list[Json], commands: dict[str, Json], skew: timedelta
) -> Iterator[dict[int, Json]]:
    if not entries:
        yield known
        return
    entry, *rest = entries
    tried = []
    for key, op in commands.items():
        body = op["request"]["body"]
        if body in tried or not _may_be(entry, op, skew):
            continue
        tried.append(body)
        others = {other: each for other, each in commands.items() if other != key}
        yield from _assigned(known | {entry["sequence"]: body}, rest, others, skew)
    yield from _assigned(known, rest, commands, skew)


def _may_be(entry: Json, op: Json, skew: timedelta) -> bool:
    body = op["request"]["body"]
    return (
        money(body["amount"]) == money(entry["amount"])
        and OPENING_KINDS[entry["kind"]] == body.get("kind", "purchased")
        and began(op) <= when(entry["at"]) + skew
    )


def _replay_one(
    model: LedgerModel,
    entry: Json,
    body: Json,
    listed: dict[str, Json],
    view: Json,
    holds: list[HoldFacts],
) -> str | None:
    at, kind, amount = when(entry["at"]), entry["kind"], money(entry["amount"])
    key, lot, leg = f"entry-{entry['sequence']}", entry.get("lot"), entry.get("leg")
    if kind in {"top_up", "grant"}:
        expires_at = listed.get(lot or "", {}).get("expires_at", body.get("expires_at"))
        body = body | {"kind": "granted" if kind == "grant" else "purchased"}
        model.top_up(key, body | {"expires_at": expires_at}, at, lot)
    elif kind == "adjustment":
        model.adjust(key, body, at, lot)
    elif kind == "debit":
        return _replay_debit(model, leg or "", -amount, at, view.get("legs", {}))
    elif kind == "reversal" and leg is None:  # credit that the late leg after it draws on
        answer = model.revive(lot or "", amount, at)
        if answer["outcome"] != "ok":
            return f"gives back {entry['amount']}: {answer['why']}"
    elif kind == "reversal":
        answer = model.reverse(leg or "", at, lot)
        if answer["outcome"] != "ok":
            return f"takes back leg {leg}: {answer.get('why', 'a second time')}"
    elif kind == "expiry":
        lots = {one.id: one for one in model.lots}
        if lot not in lots:
            return f"takes from the unknown lot {lot}"
        held = _held_before(holds, lots[lot].expires_at or at, at)
        answer = model.expire(lot, at, held, amount=-amount)
        if answer["outcome"] != "ok":
            return f"takes {entry['amount']} from lot {lot}: {answer['why']}"
    return None


def _replay_debit(
    model: LedgerModel, leg: str, amount: Fraction, at: datetime, legs: dict[str, Json]
) -> str | None:
    body = legs.get(leg, {})
    answered_at = when(body["answered_at"]) if body.get("answered_at") else None
    answer = model.charge(leg, None, amount, answered_at, at)
    if answer["outcome"] != "ok":
        return f"charges leg {leg} again"
    if body.get("status") == "charged" and "funded_by" in body:
        wanted = {part["lot"]: part["amount"] for part in answer["funded_by"]}
        got = {part["lot"]: money(part["amount"]) for part in body["funded_by"]}
        got.pop(None, None)
        if got != wanted:
            return f"was paid by {_plain(got)}, first in, first out is {_plain(wanted)}"
    return None


def _plain(parts: dict[str, Fraction]) -> dict[str, float]:
    return {lot: float(part) for lot, part in parts.items()}


def _held_before(holds: list[HoldFacts], expires_at: datetime, at: datetime) -> Fraction:
    """The sum of holds that are surely open now and were placed before the lot expired."""
    grants = [
        hold.surely_open(at, timedelta(0)) for hold in holds if hold.grants[0].at < expires_at
    ]
    return sum((grant.held for grant in grants if grant), ZERO)


def a6_lots(case: Case) -> Iterator[str]:
    """Lots are used first in, first out, expire when they may, and add up."""
    for name, view in case.accounts():
        model, problems = replay(case, name, view)
        yield from problems
        yield from (f"A6 {name}: {problem}" for problem in model.problems())
        listed = view["account"].get("lots")
        if problems or listed is None:
            continue
        got = {lot["id"]: money(lot["remaining"]) for lot in listed if money(lot["remaining"])}
        wanted = {lot.id: lot.remaining for lot in model.lots if lot.remaining}
        if got != wanted:
            yield f"A6 {name}: the lots hold {_plain(got)}, they should {_plain(wanted)}"
        explicit = {
            money(op["request"]["body"]["amount"])
            for op in case.ops("top_up", account=name, unknown=True)
            if op["request"]["body"].get("expires_at")
        }
        for lot in listed:
            yield from _lot_dates(name, lot, money(lot["amount"]) in explicit, view.get("at"))


def _lot_dates(name: str, lot: Json, is_explicit: bool, read_at: str | None) -> Iterator[str]:
    if money(lot["remaining"]) < 0 or money(lot["remaining"]) > money(lot["amount"]):
        yield f"A6 {name}: lot {lot['id']} has {lot['remaining']} of {lot['amount']} left"
    if lot["kind"] == "purchased" and not is_explicit:
        wanted = a_year_later(when(lot["purchased_at"]))
        if when(lot["expires_at"]) != wanted:
            yield f"A6 {name}: lot {lot['id']} expires {lot['expires_at']}, not {wanted}"
    is_used_up = money(lot["remaining"]) == 0 or not lot.get("expires_at")
    if (
        not is_used_up
        and read_at
        and (when(read_at) > when(lot["expires_at"]) + LATE_LEG + ON_THE_DAY)
    ):
        yield f"A6 {name}: lot {lot['id']} should have expired on {lot['expires_at']}"


def a11_alerts(case: Case) -> Iterator[str]:
    """One alert for every crossing of every threshold."""
    for name, view in case.accounts():
        unsure = [op for op in case.ops("put_account", account=name, unknown=True)
                  if op["outcome"] == "info"]  # fmt: skip
        if unsure or "events" not in view:
            continue
        model, problems = replay(case, name, view)
        if problems:
            continue
        timed = {
            alert["name"]
            for body in case.settings(name)
            for alert in body.get("alerts") or []
            if "below" not in alert and "below_percent" not in alert
        }
        reported = [
            rule
            for event in first_times(view["events"])
            if event["type"] == "credits.low" and not event["data"].get("repeat")
            for rule in [alert_name(event)]
            if rule not in timed
        ]
        crossed = [rule for _, rule in model.alerts]
        for rule in sorted({*reported, *crossed}):
            if reported.count(rule) != crossed.count(rule):
                yield (
                    f"A11 {name}: {rule} was crossed {crossed.count(rule)} times "
                    f"and alerted {reported.count(rule)} times"
                )


def alert_name(event: Json) -> str:
    """The threshold that an alert names: its name, wherever `data` keeps it."""
    data = event["data"]
    threshold = data.get("threshold")
    if isinstance(threshold, dict):
        return str(threshold["name"])
    return str(data.get("name") or data.get("alert") or threshold)


def a15_bank(case: Case) -> Iterator[str]:
    """Over all accounts, what came in less what went out is what is there."""
    total, balances = ZERO, ZERO
    for name, view in case.accounts():
        balances += money(view["account"]["balance"])
        for entry in entries_of(view):
            amount, sign = money(entry["amount"]), SIGNS.get(entry["kind"])
            total += amount
            if sign is None or amount * sign < 0:
                yield f"A15 {name}: entry {entry['sequence']} is a {entry['kind']} of {amount}"
    if total != balances:
        yield f"A15: all entries make {float(total)}, all balances {float(balances)}"


def a16_verify(case: Case) -> Iterator[str]:
    """`verify` says what the auditor finds."""
    for name, view in case.accounts():
        verify = view.get("verify")
        if verify is None:
            continue
        if not verify["ok"] or verify.get("problems"):
            yield f"A16 {name}: verify says {verify.get('problems')}"
        if int(verify["entries"]) != len(view["entries"]):
            yield f"A16 {name}: verify counts {verify['entries']} entries of {len(view['entries'])}"
        if money(verify["balance"]) != money(view["account"]["balance"]):
            yield f"A16 {name}: verify finds a balance of {verify['balance']}"
