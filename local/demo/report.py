"""Tells what happened, from what the product answered: plain text of at most 120 columns."""

import json
import textwrap
from collections.abc import Iterator

from local.demo.check import alert_ids, by_status
from local.demo.meeting import LEGS, Leg
from local.demo.play import Story
from local.demo.seed import ACCOUNT
from local.demo.wire import Json

COLUMNS = 120
KINDS = {"dial_in": "dial-in", "dial_out": "dial-out", "voip": "VoIP"}
ZERO_REASONS = {"voip": "VoIP", "unanswered": "unanswered"}


def account_of(story: Story) -> Iterator[str]:
    """The lines of the account of what happened."""
    yield from _wrapped(_sections(story))


def summary_of(story: Story) -> Iterator[str]:
    """The last lines but one: everything in three sentences."""
    yield from _wrapped(_sentences(story))


def counts_of(story: Story) -> str:
    """The last line of a demo in which all was as expected."""
    return (
        f"demo ok: {len(story.legs)} legs, {len(story.entries)} entries, "
        f"{len(story.dial_outs)} dial-outs, {len(alert_ids(story))} alert, "
        f"{len(story.recharges)} recharges, {len(story.mails)} mails, "
        f"{story.rate_count} rates"
    )


def _wrapped(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from textwrap.wrap(
            line, COLUMNS, subsequent_indent=indent, break_long_words=False
        ) or [""]


def _sections(story: Story) -> Iterator[str]:
    yield from ("", "DIAL-OUTS, asked for before they ring")
    for question, answer in story.dial_outs:
        yield f"  {question.to:<15} {answer['decision']:<6} {_decision(answer)}"
    yield from (
        "",
        f"LEGS, what each cost and why ({ACCOUNT}, {story.account_at_last['currency']})",
    )
    for leg in LEGS:
        yield from _leg(leg, story.legs[leg.key])
    yield from ("", "PARKED, until the rate card was corrected")
    yield f"  {story.parked['leg']}: {story.parked['reason']}. {story.parked['detail']}"
    rate = story.legs[story.parked["leg"]]["rate"]
    yield (
        f"  then {story.replayed['status']} and charged by prefix {rate['prefix']} of rate card "
        f"{rate['card']}, version {rate['version']}"
    )
    yield from ("", "LEDGER")
    yield f"  {'#':>3}  {'kind':<8} {'amount':>10} {'balance':>10}  what"
    for entry in story.entries:
        yield (
            f"  {entry['sequence']:>3}  {entry['kind']:<8} {entry['amount']:>10} "
            f"{entry['balance']:>10}  {entry.get('leg') or entry.get('reference') or ''}"
        )
    yield from ("", "ALERT, as received from the topic credit-events")
    yield from (f"  {line}" for line in json.dumps(story.alert, indent=2).splitlines())
    yield from ("", "MAIL, as the mail server received it")
    mail = story.mails[0]
    yield from (f"  {name}: {mail[name]}" for name in ("From", "To", "Subject", "Message-ID"))
    yield from (f"  {line}" for line in ("", *mail.get_content().rstrip().splitlines()))
    yield from (f"  then: {later['subject']}" for later in story.mails[1:])
    yield from ("", "RECHARGES, below the trigger of automatic recharge")
    for recharge in story.recharges:
        answers = (each for each in story.payment_answers if each.recharge == recharge["id"])
        said = ", then ".join(each.status for each in answers)
        paid = f"; entry {recharge['entry']}" if "entry" in recharge else ""
        yield f"  {recharge['id']}  {recharge['amount']}  the provider said {said}{paid}"
    yield from ("", "WEBHOOK, as the customer's server received it, its signature verified there")
    *earlier, last = story.webhooks
    yield from (f"  {name}: {text}" for name, text in last.headers.items() if "webhook-" in name)
    yield from (f"  {line}" for line in json.dumps(last.event, indent=2).splitlines())
    before = ", ".join(each.event["type"] for each in earlier)
    yield f"  before it: {before}"
    yield from ("", "VERIFICATION, recomputed from what is stored")
    yield from _verification(story.verification)


def _sentences(story: Story) -> Iterator[str]:
    legs = by_status(story)
    posted_often = [leg for leg in LEGS if leg.posts > 1]
    reasons = {ZERO_REASONS[story.legs[leg.key]["zero_reason"]] for leg in LEGS if leg.free}
    free = ", ".join(sorted(reasons, key=str.lower))
    parked = story.parked["leg"]
    charged_at_once = legs["charged"] - (story.legs[parked]["status"] == "charged")
    prefix = story.legs[parked]["rate"]["prefix"]
    yield ""
    yield (
        f"{len(story.legs)} legs posted, {len(posted_often)} of them {_times(posted_often)}: "
        f"{charged_at_once} charged, {legs['zero']} free ({free}), "
        f"1 parked (no rate for +{prefix}), corrected, {story.replayed['status']}, "
        f"{story.legs[parked]['status']}"
    )
    denied = [question.summary for question, answer in story.dial_outs if _is_denied(answer)]
    allowed = len(story.dial_outs) - len(denied)
    yield f"dial-outs: {allowed} allowed; denied: {', '.join(denied)}"
    first, last = story.account_at_first, story.account_at_last
    verification = story.verification
    (deliveries,) = alert_ids(story).values()
    yield (
        f"{ACCOUNT}  {first['balance']} {first['currency']} -> {last['balance']}   "
        f"{len(story.entries)} entries, chain {'ok, verified' if verification['ok'] else 'BROKEN'}"
        f"   alert: below {story.alert['data']['threshold']}, delivered "
        f"{'once' if deliveries == 1 else f'{deliveries} times with one id'}"
    )
    recharges = ", ".join(f"{each['amount']} {each['status']}" for each in story.recharges)
    yield (
        f"recharges: {recharges}; {len(story.webhooks)} webhooks verified by their receiver, "
        f"{len(story.mails)} mails to {story.mails[0]['to']}"
    )


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


def _leg(leg: Leg, charge: Json) -> Iterator[str]:
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
        text += f", rounded {rounding['mode'].replace('_', ' ')} to {rounding['decimals']} decimals"
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
        f"  ok: {str(found['ok']).lower()}, {found['commits']} commits, "
        f"{found['entries']} entries, {found['legs']} legs, balance {found['balance']}"
    )
    yield f"  head of the chain: {found['head']}"
    yield from (f"  PROBLEM {problem}" for problem in found["problems"])


def _times(legs: list[Leg]) -> str:
    words = {2: "twice", 3: "three times"}
    posts = sorted({leg.posts for leg in legs})
    return ", ".join(words.get(count, f"{count} times") for count in posts)
