"""Checks of roots in a row, entries, corrections, charges: docs/proof.md, sections 2 to 7."""

from datetime import datetime, timedelta

from proof_rating import rated
from proof_signatures import ZEROS, check, digest, micros

NAME = ("card", "version", "kind", "prefix", "origin")


def check_follows(root, before):
    """That a root follows the one before; None for the first of an account."""
    where = f"root of {root['day']}"
    check(not before or root["account"] == before["account"], "account", where, "is of another")
    last = before or {"after": 0, "commits": 0, "head": ZEROS, "last_entry": 0, "closing": "0.00"}
    right = root["previous"] == (digest(before) if before else ZEROS)
    right &= root["after"] == last["after"] + last["commits"] and root["base"] == last["head"]
    check(right, "chain", where, "does not follow the root before")
    if before and not root["interim"]:
        days = [datetime.fromisoformat(each["day"]) for each in (before, root)]
        check(
            days[1] - days[0] == timedelta(1), "chain", where, f"a day after {days[0]} is missing"
        )
    right = root["first_entry"] == last["last_entry"] + 1 and root["opening"] == last["closing"]
    check(right, "balance", where, "does not open where the day before closed")


def check_entry(entry):
    """That the amount of an entry is its change of lots and deficit, and its members are right."""
    drawn = sum(micros(draw["amount"]) for draw in entry.get("draws", ()))
    opened = micros(entry["lot"]["remaining"]) if "lot" in entry else 0
    right = micros(entry["amount"]) == opened - drawn - micros(entry.get("deficit", "0.00"))
    where, kind, has = f"entry {entry['sequence']}", entry["kind"], entry.keys()
    check(right, "balance", where, "differs from its lots and deficit")
    right = has >= {"leg", "charge_digest"} if kind == "debit" else "charge_digest" not in has
    right &= kind in {"debit", "reversal"} or not has & {"leg", "person_digest", "rerates", "pool"}
    check(right, "charge", where, f"has members that no {kind} has, or not those of a debit")
    right = ("reverses" in has) == (kind == "reversal" and "leg" in has)
    check(right, "correction", where, f"takes an entry back, but is a {kind}")


def check_links(entry, before, debits, taken):
    """That a reversal takes back a debit once and whole, and a re-rating replaces what it took.

    `before` is the entry before, `debits` are (amount, leg) by entry, `taken` were taken back."""
    where, debit, rerated = (
        f"entry {entry['sequence']}",
        entry.get("reverses"),
        entry.get("rerates"),
    )
    if debit is not None:
        right = debit not in taken and debit < entry["sequence"]
        own = (-micros(entry["amount"]), entry.get("leg"))
        right = right and debits.get(debit, own) == own
        check(right, "correction", where, f"does not take entry {debit} back, once and whole")
        taken.add(debit)
    if rerated is not None:
        other = before if debit is None else entry
        right = other.get("reverses") == other.get("rerates") == rerated
        right = right and other.get("leg") == entry.get("leg")
        check(right, "correction", where, f"does not replace entry {rerated}")


def check_debit(item, rate, account, currency):
    """The charge of a debit: its digest, amount, person, rate, and the rating again."""
    entry, charge, person = item["entry"], item["charge"], item.get("person")
    where = f"entry {entry['sequence']}, leg {entry.get('leg')}"
    check(digest(charge) == entry["charge_digest"], "charge", where, "is not that of the digest")
    check(charge["account"] == account, "account", where, "the charge is of another account")
    amount, pool = micros(charge["amount"]), entry.get("pool", {}).get("seconds", 0)
    check(amount == -micros(entry["amount"]), "charge", where, "has not the amount of the entry")
    right = charge["currency"] == currency and charge.get("pool_seconds", 0) == pool
    check(right, "charge", where, "differs from its entry in currency or included minutes")
    right = person is None or digest(person) == entry.get("person_digest")
    check(right, "person", where, "is not the one of the digest")
    if charge.get("rate") is None or not charge["talk_seconds"] or not charge["answered_at"]:
        check(amount == 0, "rating", where, f"must cost nothing, was charged {charge['amount']}")
    if charge.get("rate") is None:
        return
    named = {**charge["rate"], "kind": charge["kind"], "currency": currency}
    check(rate, "rate", where, f"the rate {charge['rate']} is missing")
    same = all(rate.get(name) == named.get(name) for name in (*NAME, "destination", "currency"))
    mode = (charge.get("rounding") or rate["rounding"])["mode"]
    check(same and mode == rate["rounding"]["mode"], "rate", where, "is not the one it names")
    to = (person or {}).get("to") or f"+{rate['prefix']}"
    right = to.removeprefix("+").startswith(rate["prefix"])
    check(right, "person", where, f"{to} does not begin with the prefix {rate['prefix']}")
    if not charge["talk_seconds"] or not charge["answered_at"]:
        return
    first = charge["lines"][0] if charge["lines"] else {}
    paid = first["seconds"] if first.get("kind") == "pool" else 0
    begin = first.get("until_second", paid) if paid else 0
    start = datetime.fromisoformat(charge["answered_at"]).replace(microsecond=0)
    left = charge["talk_seconds"] - begin
    cost, billed = rated(rate, start + timedelta(seconds=begin), left) if left > 0 else (0, 0)
    right = (amount, charge["billed_seconds"]) == (cost, billed + paid)
    what = f"{billed + paid} s for {cost / 10**6:.6f}, not {charge['billed_seconds']} s for"
    check(right, "rating", where, f"the rate gives {what} {charge['amount']}")
