"""Verifies receipts by docs/proof.md: `verify_receipt.py RECEIPT... --keys KEYS`.

Needs Python 3.11 and `cryptography`, nothing of Perminute, no network, no secret. Exits with 0, or
with 1 and a sentence that names what is wrong.
"""

import argparse
import json
import sys
from datetime import date, timedelta
from pathlib import Path

from proof_entries import check_debit, check_entry, check_follows
from proof_signatures import UNREADABLE, Wrong, canonical, check, check_root, digest, leads, micros


def once(pairs):
    check(len(dict(pairs)) == len(pairs), "format", "an object", "has a member twice")
    return dict(pairs)


def check_item(item, receipt, roots):
    """One entry: its path to the commit, the commit's path to the root, then what it says."""
    entry, commit, root = item["entry"], item["commit"], roots[item["root"]]
    account, where = receipt["account"], f"entry {entry['sequence']}"
    check(item["root"] >= 0, "format", where, "has no root")
    check(commit["format"] == "perminute-commit/1", "format", where, "has another format of commit")
    own = commit["account"] == root["account"] == account
    check(own, "account", where, "commit or root are of another account")
    check(entry.get("leg") == receipt.get("leg"), "account", where, "is not of the receipt's leg")
    path = item["entry_path"]
    place = (entry["sequence"] - commit["first"], commit["entries"])
    right = (path["index"], path["size"]) == place
    right = right and leads(path, canonical(entry), commit["root"])
    check(right, "commit", where, f"is not in commit {commit['commit']}")
    path = item["commit_path"]
    place = (commit["commit"] - root["after"] - 1, root["commits"])
    right = (path["index"], path["size"]) == place
    right = right and leads(path, bytes.fromhex(digest(commit)), root["tree"])
    check(right, "tree", where, f"commit {commit['commit']} is not of {root['day']}")
    first, last = place[0] == 0, place[0] == root["commits"] - 1
    right = (not first or commit["previous"] == root["base"]) and (
        not last or digest(commit) == root["head"]
    )
    check(right, "chain", where, f"commit {commit['commit']} does not follow the one before")
    check(entry["at"] == commit["at"], "commit", where, "has another time than its commit")
    check_entry(entry)
    closes = entry["sequence"] == commit["first"] + commit["entries"] - 1
    right = not closes or entry["balance"] == commit["balance"]
    right &= root["first_entry"] <= entry["sequence"] <= root["last_entry"]
    check(right, "balance", where, "is not where commit and root say")
    if entry["kind"] == "debit":
        rate = item.get("rate")
        check_debit(item, rate, account, root["currency"])
        right = rate is None or leads(item["rate_path"], canonical(rate), root["rates"])
        check(right, "rate", where, "the rate is not one that was signed")
    else:
        known = "charge" in item or "person" in item or "rate" in item
        check(not known, "charge", where, "only a debit has a charge, a person or a rate")


def check_corrections(receipt):
    """That the links between entries agree with the entries, as far as they are in the receipt."""
    items = {item["entry"]["sequence"]: item["entry"] for item in receipt["items"]}
    links, taken = receipt["corrections"], set()
    for link in links:
        where, entry = f"entry {link['entry']}", items.get(link["entry"])
        check(link["corrects"] < link["entry"], "correction", where, "corrects a later entry")
        debit = items.get(link["corrects"])
        if link["kind"] == "reversal":
            check(link["corrects"] not in taken, "correction", where, "takes an entry back again")
            taken.add(link["corrects"])
        if entry:
            other = entry.get("reverses", entry.get("rerates"))
            said = (link["corrects"], link["kind"], link["at"])
            check(said == (other, entry["kind"], entry["at"]), "correction", where, "differs")
            right = not debit or link["kind"] != "reversal"
            right = right or micros(entry["amount"]) == -micros(debit["amount"])
            check(right, "correction", where, f"is not the amount of entry {link['corrects']}")
    order = [link["entry"] for link in links]
    check(order == sorted(set(order)), "correction", "the corrections", "are not in order")
    linked = {n for n, entry in items.items() if "reverses" in entry or "rerates" in entry}
    missing = linked - set(order)
    check(not missing, "correction", f"entries {sorted(missing)}", "are missing in the corrections")


def verify(receipt, keys):
    """The signed roots of a receipt that is right; raises Wrong."""
    check(receipt["format"] == "perminute-receipt/1", "format", "the receipt", "is none")
    roots = [check_root(signed, keys) for signed in receipt["roots"]]
    entries = [item["entry"]["sequence"] for item in receipt["items"]]
    right = entries and entries == sorted(set(entries))
    check(right, "format", "the receipt", "has no entries, or not in their order")
    for item in receipt["items"]:
        check_item(item, receipt, roots)
    check_corrections(receipt)
    body = {name: value for name, value in receipt.items() if name != "digest"}
    check(digest(body) == receipt["digest"], "digest", "the receipt", "has another digest")
    return roots


def compare(roots):
    """That an account has one root of a day, which names that of the day before."""
    days = {}
    for root in roots:
        if not root["interim"]:
            name = (root["account"], root["day"])
            same = digest(days.setdefault(name, root)) == digest(root)
            check(
                same, "roots", f"{name[0]}, {name[1]}", "there are two different roots of the day"
            )
    for (account, day), root in days.items():
        before = days.get((account, str(date.fromisoformat(day) - timedelta(days=1))))
        if before:
            check_follows(root, before)


def main():
    parser = argparse.ArgumentParser(description="Verify receipts of Perminute.")
    parser.add_argument("receipts", nargs="+", type=Path)
    parser.add_argument("--keys", required=True, type=Path, help="the answer of proof-keys")
    given = parser.parse_args()
    keys, roots, where = json.loads(given.keys.read_bytes()), [], ""
    try:
        for path in given.receipts:
            where = f"{path}, "
            receipt = json.loads(path.read_bytes(), object_pairs_hook=once)
            roots += verify(receipt, keys)
            count = len(receipt["items"])
            print(f"{path}: verified: {count} entries of account {receipt['account']}")
        where = ""
        compare(roots)
    except Wrong as wrong:
        kind, place, what = wrong.args
        sys.exit(f"{kind}: {where}{place}: {what}.")
    except UNREADABLE as error:
        sys.exit(f"format: {where}the receipt: can't be read, {type(error).__name__}: {error}.")


if __name__ == "__main__":
    main()
