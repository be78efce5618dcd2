"""Compares the product's answers with the expectations of the meeting's script."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from local.demo import meeting
from local.demo.meeting import LEGS, Leg
from local.demo.play import Story
from local.demo.seed import ALERT_BELOW, FINANCE
from local.demo.wire import Json

RATES_MIN = 200


def differences(story: Story) -> list[str]:
    """A sentence for each thing that is not as expected; none when all is well."""
    return [
        *_start(story),
        *_dial_outs(story),
        *(sentence for leg in LEGS for sentence in _leg(story, leg)),
        *_parked(story),
        *_alert(story),
        *_recharges(story),
        *_report(story),
        *_top_ups(story),
        *_call_ended(story),
        *_ledger(story),
        *_end(story),
    ]


def _differs(what: str, got: object, expected: object) -> Iterator[str]:
    if got != expected:
        yield f"{what} is {got!r}, expected {expected!r}."


def _amount_differs(what: str, got: str, expected: str) -> Iterator[str]:
    if Decimal(got) != Decimal(expected):
        yield f"{what} is {got}, expected {expected}."


def _call_ended(story: Story) -> Iterator[str]:
    yield from _differs(
        "The reason of call.end", story.call_ended["data"].get("reason"), "account_suspended"
    )


def _start(story: Story) -> Iterator[str]:
    if story.rate_count < RATES_MIN:
        yield f"The rate card has {story.rate_count} rates, expected at least {RATES_MIN}."
    yield from _differs("The number of lots", len(story.account_at_first["lots"]), 2)
    balance = story.account_at_first["balance"]
    yield from _amount_differs("The balance at first", balance, meeting.BALANCE_AT_FIRST)


def _dial_outs(story: Story) -> Iterator[str]:
    for question, answer in story.dial_outs:
        what = f"The dial-out to {question.to}"
        if question in meeting.DENIED:
            yield from _differs(f"{what}: the reason", answer.get("reason"), question.expected)
        elif answer["decision"] != "allow":
            yield f"{what} is denied, expected to be allowed: {answer['message']}"
        else:
            yield from _amount_differs(f"{what}: the hold", answer["held"], question.expected)
    held = story.account_while_held["held"]
    yield from _amount_differs("The sum of the holds", held, meeting.HELD_IN_ALL)


def _leg(story: Story, leg: Leg) -> Iterator[str]:
    charge, what = story.legs[leg.key], f"Leg {leg.key}"
    yield from _differs(f"{what}: the status", charge["status"], "zero" if leg.free else "charged")
    yield from _differs(f"{what}: the zero_reason", charge.get("zero_reason", ""), leg.free)
    yield from _amount_differs(f"{what}: the amount", charge.get("amount", "0"), leg.expected)
    billed = charge.get("billed_seconds")
    yield from _differs(f"{what}: billed_seconds", billed, leg.billed_seconds)
    yield from _differs(f"{what}: the flags", charge.get("flags"), [])
    debits = [entry for entry in story.entries if entry.get("leg") == leg.key]
    yield from _differs(f"{what}: the number of its debits", len(debits), 1)


def _parked(story: Story) -> Iterator[str]:
    expected = [leg.key for leg in LEGS if leg.is_parked]
    yield from _differs("The list of parked legs", [story.parked["leg"]], expected)
    yield from _differs("The reason of the parked leg", story.parked["reason"], "rate_missing")
    yield from _differs("The replayed leg's status", story.replayed["status"], "replayed")
    for key in expected:
        prefix = story.legs[key].get("rate", {}).get("prefix")
        yield from _differs(f"Leg {key}: the prefix", prefix, meeting.NO_RATE_PREFIX)


def _alert(story: Story) -> Iterator[str]:
    yield from _differs("The number of low-balance alerts", len(alert_ids(story)), 1)
    data = story.alert["data"]
    yield from _amount_differs("The alert's threshold", data["threshold"], ALERT_BELOW)
    if Decimal(data["balance"]) >= Decimal(ALERT_BELOW):
        yield f"The alert has a balance of {data['balance']}, not below {ALERT_BELOW}."


def _recharges(story: Story) -> Iterator[str]:
    statuses = [recharge["status"] for recharge in story.recharges]
    yield from _differs("The recharges' statuses", statuses, list(meeting.RECHARGES))
    for recharge in story.recharges:
        what, asked = f"Recharge {recharge['id']}", meeting.AUTO_RECHARGE["amount"]
        yield from _amount_differs(f"{what}: the amount", recharge["amount"], str(asked))
        paid = [entry for entry in story.entries if entry["sequence"] == recharge.get("entry")]
        amounts = [str(entry["amount"]) for entry in paid]
        expected = [recharge["amount"]] if recharge["status"] == meeting.RECHARGES[-1] else []
        yield from _differs(f"{what}: its top-ups", amounts, expected)
    said = [each.status for each in story.payment_answers]
    yield from _differs("The list of the provider's answers", said, list(meeting.PAYMENT_ANSWERS))
    answers = {each.answer for each in story.payment_answers}
    yield from _differs("The set of statuses of the callbacks", answers, {200})


def _report(story: Story) -> Iterator[str]:
    events = [each.event for each in story.webhooks]
    types = [event["type"] for event in events]
    yield from _differs("The customer's webhooks", types, list(meeting.EXPECTED_EVENTS))
    ids = [each.headers["webhook-id"] for each in story.webhooks]
    yield from _differs("The webhooks' ids", ids, [event["id"] for event in events])
    yield from _differs("The webhooks refused", story.webhooks_refused, 0)
    published = {event["id"]: event for event in story.deliveries}
    for event in events:
        yield from _differs(f"Webhook {event['id']}", event, published.get(event["id"]))
    subjects = [str(mail["subject"]) for mail in story.mails]
    yield from _differs("The mails' subjects", subjects, list(meeting.SUBJECTS))
    receivers = {str(mail["to"]) for mail in story.mails}
    yield from _differs("The recipients of the mails", receivers, {FINANCE})
    for event in events:
        if event["type"] == "recharge.declined":
            what = "The balance in the event of the decline"
            balance = event["data"]["balance"]
            yield from _amount_differs(what, balance, meeting.BALANCE_AT_TRIGGER)


def _top_ups(story: Story) -> Iterator[str]:
    first, second = story.top_ups
    yield from _differs("The second answer to the top-up", second.body, first.body)
    hit = second.headers.get("idempotency-hit")
    yield from _differs("Idempotency-Hit of the second top-up", hit, "true")


def _ledger(story: Story) -> Iterator[str]:
    running = Decimal(0)
    for number, entry in enumerate(story.entries, start=1):
        running += Decimal(entry["amount"])
        yield from _differs("An entry's sequence number", entry["sequence"], number)
        what = f"The balance after entry {number}"
        yield from _amount_differs(what, entry["balance"], str(running))
    kinds = Counter(entry["kind"] for entry in story.entries)
    expected = {"top_up": 3, "grant": 1, "debit": len(LEGS)}
    yield from _differs("The kinds of entries", dict(kinds), expected)


def _end(story: Story) -> Iterator[str]:
    account, verification = story.account_at_last, story.verification
    balance = account["balance"]
    yield from _amount_differs("The balance at last", balance, meeting.BALANCE_AT_LAST)
    yield from _amount_differs("The hold at last", account["held"], "0")
    left = sum((Decimal(lot["remaining"]) for lot in account["lots"]), Decimal(0))
    yield from _amount_differs("The sum of the lots", str(left), meeting.BALANCE_AT_LAST)
    yield from _differs("The verification's problems", verification["problems"], [])
    yield from _differs("The verification's ok", verification["ok"], True)
    yield from _differs("The verified entries", verification["entries"], len(story.entries))
    yield from _differs("The verified legs", verification["legs"], len(LEGS))
    yield from _amount_differs("The verified balance", verification["balance"], balance)


def alert_ids(story: Story) -> Counter[str]:
    """The low-balance alerts that were received: how often each was delivered."""
    return Counter(event["id"] for event in story.deliveries if event["type"] == "credits.low")


def by_status(story: Story) -> Counter[str]:
    """How many legs ended with each status."""
    legs: list[Json] = list(story.legs.values())
    return Counter(leg["status"] for leg in legs)
