"""The report of the demo, from the product's responses: plain text of at most 80 columns."""

import json
import textwrap
from collections.abc import Iterable, Iterator

from local.demo.check import alert_ids, by_status
from local.demo.meeting import LEGS, DemoLeg
from local.demo.play import DemoResult
from local.demo.seed import ACCOUNT
from local.demo.wire import Json
from shared.domain.common.counts import counted

COLUMNS = 80
KINDS = {"dial_in": "dial-in", "dial_out": "dial-out", "voip": "VoIP"}
ZERO_REASONS = {"voip": "VoIP", "unanswered": "unanswered"}


def summary_of(result: DemoResult) -> Iterator[str]:
    """Ten lines: what the meeting consisted of, and what it cost."""
    yield from wrapped(_summary(result))


def details_of(result: DemoResult) -> Iterator[str]:
    """Each dial-out, leg, entry, mail and webhook."""
    yield from wrapped(_sections(result))


def counts_of(result: DemoResult) -> str:
    """The last line of a demo in which all was as expected."""
    return (
        f"demo ok: {counted(len(result.legs), 'leg')}, {_entries(len(result.entries))}, "
        f"{counted(len(result.dial_outs), 'dial-out')}, "
        f"{counted(len(alert_ids(result)), 'alert')}, "
        f"{counted(len(result.recharges), 'recharge')}, {counted(len(result.mails), 'mail')}"
    )


def wrapped(lines: Iterable[str]) -> Iterator[str]:
    """The lines, broken where they are too long."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from textwrap.wrap(
            line, COLUMNS, subsequent_indent=indent, break_long_words=False
        ) or [""]


def _sections(result: DemoResult) -> Iterator[str]:
    yield from ("", "DIAL-OUTS, requested before they ring")
    for question, answer in result.dial_outs:
        yield f"  {question.to:<15} {answer['decision']:<6} {_decision(answer)}"
    yield from (
        "",
        f"LEGS, amount and computation ({ACCOUNT}, {result.account_at_last['currency']})",
    )
    for leg in LEGS:
        yield from _leg(leg, result.legs[leg.key])
    yield from ("", "PARKED, until the rate card was corrected")
    yield f"  {result.parked['leg']}: {result.parked['reason']}. {result.parked['detail']}"
    rate = result.legs[result.parked["leg"]]["rate"]
    yield (
        f"  then {result.replayed['status']} and charged by prefix {rate['prefix']} of rate card "
        f"{rate['card']}, version {rate['version']}"
    )
    yield from ("", "LEDGER")
    yield f"  {'#':>3}  {'kind':<8} {'amount':>10} {'balance':>10}  leg or reference"
    for entry in result.entries:
        yield (
            f"  {entry['sequence']:>3}  {entry['kind']:<8} {entry['amount']:>10} "
            f"{entry['balance']:>10}  {entry.get('leg') or entry.get('reference') or ''}"
        )
    yield from ("", "ALERT, as received from the topic credit-events")
    yield from (f"  {line}" for line in json.dumps(result.alert, indent=2).splitlines())
    yield from ("", "MAIL, as the mail server received it")
    mail = result.mails[0]
    yield from (f"  {name}: {mail[name]}" for name in ("From", "To", "Subject", "Message-ID"))
    yield from (f"  {line}" for line in ("", *mail.get_content().rstrip().splitlines()))
    yield from (f"  then: {later['subject']}" for later in result.mails[1:])
    yield from ("", "RECHARGES, below the trigger of automatic recharge")
    for recharge in result.recharges:
        answers = (each for each in result.payment_answers if each.recharge == recharge["id"])
        statuses = ", then ".join(each.status for each in answers)
        paid = f"; entry {recharge['entry']}" if "entry" in recharge else ""
        yield f"  {recharge['id']}  {recharge['amount']}  provider: {statuses}{paid}"
    yield from ("", "WEBHOOK, received and verified by the customer's server")
    *earlier, last = result.webhooks
    yield from (f"  {name}: {text}" for name, text in last.headers.items() if "webhook-" in name)
    yield from (f"  {line}" for line in json.dumps(last.event, indent=2).splitlines())
    before = ", ".join(each.event["type"] for each in earlier)
    yield f"  before it: {before}"
    yield from ("", "VERIFICATION, recomputed from the stored rows")
    yield from _verification(result.verification)


def _summary(result: DemoResult) -> Iterator[str]:
    currency = result.account_at_last["currency"]
    legs = by_status(result)
    posted_often = [leg for leg in LEGS if leg.posts > 1]
    reasons = {ZERO_REASONS[result.legs[leg.key]["zero_reason"]] for leg in LEGS if leg.free}
    free = ", ".join(sorted(reasons, key=str.lower))
    replayed = result.legs[result.parked["leg"]]
    charged_at_once = legs["charged"] - (replayed["status"] == "charged")
    prefix = replayed["rate"]["prefix"]
    yield (
        f"legs       {len(result.legs)} posted by two bridges, {len(posted_often)} of them "
        f"{_times(posted_often)} at once"
    )
    yield (
        f"           {charged_at_once} charged, {legs['zero']} free ({free}), "
        f"1 parked (no price for +{prefix})"
    )
    yield (
        f"parked leg {result.replayed['status']} after the price was added, "
        f"{replayed['status']}: {replayed['amount']} {currency}"
    )
    denied = [question.summary for question, answer in result.dial_outs if _is_denied(answer)]
    allowed = len(result.dial_outs) - len(denied)
    held = result.account_while_held["held"]
    yield f"dial-outs  {allowed} allowed, {held} {currency} held; {len(denied)} denied:"
    yield f"           {', '.join(denied)}"
    (deliveries,) = alert_ids(result).values()
    times = "once" if deliveries == 1 else f"{counted(deliveries, 'time')} with one id"
    yield f"alert      credits below {result.alert['data']['threshold']}: delivered {times}"
    recharges = ", ".join(f"{each['amount']} {each['status']}" for each in result.recharges)
    yield f"recharges  {recharges}"
    mails = counted(len(result.mails), "mail")
    yield f"webhooks   {len(result.webhooks)} verified by their receiver; {mails}"
    first, last = result.account_at_first["balance"], result.account_at_last["balance"]
    yield f"balance    {first} -> {last} {currency} in {_entries(len(result.entries))}"
    state = "verified" if result.verification["ok"] else "BROKEN"
    yield f"ledger     recomputed from the stored rows: hash chain {state}"


def _is_denied(answer: Json) -> bool:
    return bool(answer["decision"] == "deny")


def _decision(answer: Json) -> str:
    if _is_denied(answer):
        return f"{answer['reason']}: {answer['message']}"
    destination = answer["destination"]
    return (
        f"{destination['name']}, prefix {destination['prefix']}: {answer['granted_seconds']} s at "
        f"{answer['price_per_minute']} a minute and {answer['connection_fee']}; "
        f"{answer['held']} {answer['currency']} held"
    )


def _leg(leg: DemoLeg, charge: Json) -> Iterator[str]:
    talked = "not answered" if leg.talk_seconds is None else f"{charge['talk_seconds']} s"
    name = f"{KINDS[charge['kind']]} {charge.get('to') or ''}".strip()
    yield f"  {charge['amount']:>8}  {leg.key:<18} {name}, {talked}"
    yield f"            {_why(charge)}"


def _why(charge: Json) -> str:
    if "rate" not in charge:
        return f"free: {ZERO_REASONS[charge['zero_reason']]}"
    rate, rounding = charge["rate"], charge["rounding"]
    parts = " + ".join(_line(line) for line in charge["lines"])
    text = f"{rate['destination']}, prefix {rate['prefix']}: {parts}"
    if len(charge["lines"]) > 1:
        text += f" = {rounding['unrounded']}"
    if "/" in rounding["unrounded"] or len(rounding["unrounded"]) > len(charge["amount"]):
        decimals = counted(rounding["decimals"], "decimal")
        text += f", rounded {rounding['mode'].replace('_', ' ')} to {decimals}"
    return text


def _line(line: Json) -> str:
    if line["kind"] != "usage":
        return f"{line['amount']} {line['kind'].replace('_', ' ')}"
    increment_seconds = line["seconds"] // line["increments"]
    return (
        f"{line['increments']} x {increment_seconds} s at {line['price']} per "
        f"{line['unit_seconds']} s ({line['amount']})"
    )


def _verification(found: Json) -> Iterator[str]:
    yield (
        f"  ok: {str(found['ok']).lower()}, {counted(found['commits'], 'commit')}, "
        f"{_entries(found['entries'])}, {counted(found['legs'], 'leg')}, "
        f"balance {found['balance']}"
    )
    yield from ("  head of the chain:", f"    {found['head']}")
    yield from (f"  PROBLEM {problem}" for problem in found["problems"])


def _times(legs: list[DemoLeg]) -> str:
    words = {2: "twice", 3: "three times"}
    posts = sorted({leg.posts for leg in legs})
    return ", ".join(words.get(count, counted(count, "time")) for count in posts)


def _entries(count: int) -> str:
    return counted(count, "entry", "entries")
