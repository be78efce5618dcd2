"""A10 events report what the ledger did, A12 recharges keep their limits."""

import re
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from tests.model.audit_case import ZERO, Case, Json, began, entries_of, first_times, money, when

ANSWERED = ("recharge.succeeded", "recharge.declined")
CREDITING = {"top_up", "grant", "adjustment", "reversal"}


def a10_events(case: Case) -> Iterator[str]:
    """Stable ids, in order, at least once, and nothing that the ledger does not know."""
    for name, view in case.accounts():
        events = view.get("events")
        if events is None:
            continue
        contents: dict[str, Json] = {}
        last = (0, 0)
        balances = {money(entry["balance"]) for entry in view["entries"]} | {ZERO}
        for event in events:
            match = re.fullmatch(re.escape(name) + r":(\d+):(\d+)", event["id"], re.ASCII)
            if match is None or event["source"] != f"/accounts/{name}":
                yield f"A10 {name}: event {event['id']} has a wrong id or source"
                continue
            if contents.get(event["id"], event) != event:
                yield f"A10 {name}: event {event['id']} was published with two contents"
            if event["id"] not in contents:
                place = (int(match[1]), int(match[2]))
                if place <= last:
                    yield f"A10 {name}: event {event['id']} came after {last[0]}:{last[1]}"
                last = max(last, place)
            contents[event["id"]] = event
            balance = event["data"].get("balance")
            if balance is not None and money(balance) not in balances:
                yield f"A10 {name}: event {event['id']} reports a balance that never was"
        yield from _topped_up(name, view)


def _topped_up(name: str, view: Json) -> Iterator[str]:
    events = first_times(view["events"])
    reported = sum(1 for event in events if event["type"] == "credits.topped_up")
    bought = sum(1 for entry in view["entries"] if entry["kind"] == "top_up")
    came_in = sum(
        1 for entry in view["entries"] if entry["kind"] in CREDITING and money(entry["amount"]) > 0
    )
    if not bought <= reported <= came_in:
        yield f"A10 {name}: {reported} events report {bought} top-ups"


# ---- A12


def a12_recharges(case: Case) -> Iterator[str]:
    """One recharge in flight, requested strictly below the trigger, within the ceilings."""
    for name, view in case.accounts():
        events = first_times(view.get("events") or [])
        requested = [event for event in events if event["type"] == "recharge.requested"]
        rules = [body["auto_recharge"] for body in case.settings(name) if body.get("auto_recharge")]
        answers = _answers(case, name, events)
        requests: dict[str, Json] = {}
        for event in requested:
            recharge = event["data"]["recharge"]
            if recharge in requests:  # requested again with the same id, until there is an answer
                continue
            for other in requests:
                if min(answers.get(other, []), default=None) is None or (
                    min(answers[other]) > when(event["time"]) + case.skew
                ):
                    yield f"A12 {name}: {recharge} was requested while {other} was in flight"
            requests[recharge] = event
            yield from _below_trigger(name, view, event, rules)
        declined = {
            event["data"]["recharge"] for event in events if event["type"] == "recharge.declined"
        }
        counted = [event for recharge, event in requests.items() if recharge not in declined]
        yield from _ceilings(case, name, counted, rules)


def _answers(case: Case, name: str, events: list[Json]) -> dict[str, list[datetime]]:
    """When each recharge was answered, at the earliest that is known."""
    found: dict[str, list[datetime]] = {}
    for event in events:
        if event["type"] in ANSWERED:
            found.setdefault(event["data"]["recharge"], []).append(when(event["time"]))
    for op in case.ops("recharge_result", account=name, unknown=True):
        if op["request"]["body"]["status"] != "pending":
            found.setdefault(op["request"]["recharge"], []).append(began(op))
    return found


def _below_trigger(name: str, view: Json, event: Json, rules: list[Json]) -> Iterator[str]:
    """Both times are the ledger's own, so no clocks are apart here."""
    recharge, at = event["data"]["recharge"], when(event["time"])
    if not rules:
        yield f"A12 {name}: {recharge} was requested, no recharge is set up"
        return
    trigger = max(money(rule["trigger"]) for rule in rules)
    balances = [ZERO]  # the last one before, and all of that moment
    for entry in entries_of(view):
        if when(entry["at"]) < at:
            balances = [money(entry["balance"])]
        elif when(entry["at"]) == at:
            balances.append(money(entry["balance"]))
    if min(balances) >= trigger:
        balance = float(balances[-1])
        yield f"A12 {name}: {recharge} was requested at {balance}, not below the trigger"


def _ceilings(case: Case, name: str, events: list[Json], rules: list[Json]) -> Iterator[str]:
    zones = [body.get("time_zone", "UTC") for body in case.settings(name)] or ["UTC"]
    days: dict[str, int] = {}
    months: dict[str, list[Fraction]] = {}
    for event in events:
        day = when(event["time"]).astimezone(ZoneInfo(zones[-1])).date().isoformat()
        days[day] = days.get(day, 0) + 1
        months.setdefault(day[:7], []).append(money(event["data"]["amount"]))
    for period, count, setting in (
        *((day, Fraction(count), "max_per_day") for day, count in days.items()),
        *((month, Fraction(len(all_)), "max_per_month") for month, all_ in months.items()),
        *((month, sum(all_, ZERO), "max_amount_per_month") for month, all_ in months.items()),
    ):
        limits = [money(rule[setting]) for rule in rules if rule.get(setting) is not None]
        if len(limits) == len(rules) and limits and count > max(limits):
            yield f"A12 {name}: {float(count)} in {period} is above {setting} {float(max(limits))}"
