"""Compares the product's answers with the expectations of the meeting's script."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from local.demo import meeting
from local.demo.meeting import LEGS, DemoLeg
from local.demo.play import DemoResult
from local.demo.seed import ALERT_BELOW, FINANCE
from local.demo.wire import Json
from shared.domain.common.counts import counted

RATES_MIN = 200


def differences(result: DemoResult) -> list[str]:
    """A sentence for each thing that is not as expected; none when all is well."""
    return [
        *_start(result),
        *_dial_outs(result),
        *(sentence for leg in LEGS for sentence in _leg(result, leg)),
        *_parked(result),
        *_alert(result),
        *_recharges(result),
        *_report(result),
        *_top_ups(result),
        *_call_ended(result),
        *_ledger(result),
        *_end(result),
    ]


def _differs(what: str, got: object, expected: object) -> Iterator[str]:
    if got != expected:
        yield f"{what} is {got!r}, expected {expected!r}."


def _amount_differs(what: str, got: str, expected: str) -> Iterator[str]:
    if Decimal(got) != Decimal(expected):
        yield f"{what} is {got}, expected {expected}."


def _call_ended(result: DemoResult) -> Iterator[str]:
    yield from _differs(
        "The reason of call.end", result.call_ended["data"].get("reason"), "account_suspended"
    )


def _start(result: DemoResult) -> Iterator[str]:
    if result.rate_count < RATES_MIN:
        rates = counted(result.rate_count, "rate")
        yield f"The rate card has {rates}, expected at least {RATES_MIN}."
    yield from _differs("The number of lots", len(result.account_at_first["lots"]), 2)
    balance = result.account_at_first["balance"]
    yield from _amount_differs("The balance at first", balance, meeting.BALANCE_AT_FIRST)


def _dial_outs(result: DemoResult) -> Iterator[str]:
    for question, answer in result.dial_outs:
        what = f"The dial-out to {question.to}"
        if question in meeting.DENIED:
            yield from _differs(f"{what}: the reason", answer.get("reason"), question.expected)
        elif answer["decision"] != "allow":
            yield f"{what} is denied, expected to be allowed: {answer['message']}"
        else:
            yield from _amount_differs(f"{what}: the hold", answer["held"], question.expected)
    held = result.account_while_held["held"]
    yield from _amount_differs("The sum of the holds", held, meeting.HELD_IN_ALL)


def _leg(result: DemoResult, leg: DemoLeg) -> Iterator[str]:
    charge, what = result.legs[leg.key], f"Leg {leg.key}"
    yield from _differs(f"{what}: the status", charge["status"], "zero" if leg.free else "charged")
    yield from _differs(f"{what}: the zero_reason", charge.get("zero_reason", ""), leg.free)
    yield from _amount_differs(f"{what}: the amount", charge.get("amount", "0"), leg.expected)
    billed = charge.get("billed_seconds")
    yield from _differs(f"{what}: billed_seconds", billed, leg.billed_seconds)
    yield from _differs(f"{what}: the flags", charge.get("flags"), [])
    debits = [entry for entry in result.entries if entry.get("leg") == leg.key]
    yield from _differs(f"{what}: the number of its debits", len(debits), 1)


def _parked(result: DemoResult) -> Iterator[str]:
    expected = [leg.key for leg in LEGS if leg.is_parked]
    yield from _differs("The list of parked legs", [result.parked["leg"]], expected)
    yield from _differs("The reason of the parked leg", result.parked["reason"], "rate_missing")
    yield from _differs("The replayed leg's status", result.replayed["status"], "replayed")
    for key in expected:
        prefix = result.legs[key].get("rate", {}).get("prefix")
        yield from _differs(f"Leg {key}: the prefix", prefix, meeting.NO_RATE_PREFIX)


def _alert(result: DemoResult) -> Iterator[str]:
    yield from _differs("The number of low-balance alerts", len(alert_ids(result)), 1)
    data = result.alert["data"]
    yield from _amount_differs("The alert's threshold", data["threshold"], ALERT_BELOW)
    if Decimal(data["balance"]) >= Decimal(ALERT_BELOW):
        yield f"The alert has a balance of {data['balance']}, not below {ALERT_BELOW}."


def _recharges(result: DemoResult) -> Iterator[str]:
    statuses = [recharge["status"] for recharge in result.recharges]
    yield from _differs("The recharges' statuses", statuses, list(meeting.RECHARGES))
    for recharge in result.recharges:
        what, requested = f"Recharge {recharge['id']}", meeting.AUTO_RECHARGE["amount"]
        yield from _amount_differs(f"{what}: the amount", recharge["amount"], str(requested))
        paid = [entry for entry in result.entries if entry["sequence"] == recharge.get("entry")]
        amounts = [str(entry["amount"]) for entry in paid]
        expected = [recharge["amount"]] if recharge["status"] == meeting.RECHARGES[-1] else []
        yield from _differs(f"{what}: its top-ups", amounts, expected)
    answered = [each.status for each in result.payment_answers]
    yield from _differs(
        "The list of the provider's answers", answered, list(meeting.PAYMENT_ANSWERS)
    )
    answers = {each.answer for each in result.payment_answers}
    yield from _differs("The set of statuses of the callbacks", answers, {200})


def _report(result: DemoResult) -> Iterator[str]:
    events = [each.event for each in result.webhooks]
    types = [event["type"] for event in events]
    yield from _differs("The customer's webhooks", types, list(meeting.EXPECTED_EVENTS))
    ids = [each.headers["webhook-id"] for each in result.webhooks]
    yield from _differs("The webhooks' ids", ids, [event["id"] for event in events])
    yield from _differs("The webhooks refused", result.webhooks_refused, 0)
    published = {event["id"]: event for event in result.deliveries}
    for event in events:
        yield from _differs(f"Webhook {event['id']}", event, published.get(event["id"]))
    subjects = [str(mail["subject"]) for mail in result.mails]
    yield from _differs("The mails' subjects", subjects, list(meeting.SUBJECTS))
    receivers = {str(mail["to"]) for mail in result.mails}
    yield from _differs("The recipients of the mails", receivers, {FINANCE})
    for event in events:
        if event["type"] == "recharge.declined":
            what = "The balance in the event of the decline"
            balance = event["data"]["balance"]
            yield from _amount_differs(what, balance, meeting.BALANCE_AT_TRIGGER)


def _top_ups(result: DemoResult) -> Iterator[str]:
    first, second = result.top_ups
    yield from _differs("The second answer to the top-up", second.body, first.body)
    hit = second.headers.get("idempotency-hit")
    yield from _differs("Idempotency-Hit of the second top-up", hit, "true")


def _ledger(result: DemoResult) -> Iterator[str]:
    running = Decimal(0)
    for number, entry in enumerate(result.entries, start=1):
        running += Decimal(entry["amount"])
        yield from _differs("An entry's sequence number", entry["sequence"], number)
        what = f"The balance after entry {number}"
        yield from _amount_differs(what, entry["balance"], str(running))
    kinds = Counter(entry["kind"] for entry in result.entries)
    expected = {"top_up": 3, "grant": 1, "debit": len(LEGS)}
    yield from _differs("The kinds of entries", dict(kinds), expected)


def _end(result: DemoResult) -> Iterator[str]:
    account, verification = result.account_at_last, result.verification
    balance = account["balance"]
    yield from _amount_differs("The balance at last", balance, meeting.BALANCE_AT_LAST)
    yield from _amount_differs("The hold at last", account["held"], "0")
    left = sum((Decimal(lot["remaining"]) for lot in account["lots"]), Decimal(0))
    yield from _amount_differs("The sum of the lots", str(left), meeting.BALANCE_AT_LAST)
    yield from _differs("The verification's problems", verification["problems"], [])
    yield from _differs("The verification's ok", verification["ok"], True)
    yield from _differs("The verified entries", verification["entries"], len(result.entries))
    yield from _differs("The verified legs", verification["legs"], len(LEGS))
    yield from _amount_differs("The verified balance", verification["balance"], balance)


def alert_ids(result: DemoResult) -> Counter[str]:
    """The low-balance alerts that were received: how often each was delivered."""
    return Counter(event["id"] for event in result.deliveries if event["type"] == "credits.low")


def by_status(result: DemoResult) -> Counter[str]:
    """How many legs ended with each status."""
    legs: list[Json] = list(result.legs.values())
    return Counter(leg["status"] for leg in legs)
