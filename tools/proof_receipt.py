"""The entries and corrections of a receipt: docs/proof.md, sections 8 and 10."""

from datetime import datetime

from proof_entries import check_debit, check_entry
from proof_signatures import canonical, check, digest, leads, micros


def check_item(item, receipt, roots):
    """One entry: its path to the commit, the commit's path to the root, then its content."""
    entry, commit = item["entry"], item["commit"]
    account, where = receipt["account"], f"entry {entry['sequence']}"
    check(item["root"] < len(roots), "format", where, "has no root")
    root = roots[item["root"]]
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
    made, until = (datetime.fromisoformat(each) for each in (commit["at"], root["until"]))
    right = root["interim"] or made < until
    check(right, "chain", where, "was made after the end of its day")
    check_entry(entry)
    closes = entry["sequence"] == commit["first"] + commit["entries"] - 1
    right = not closes or entry["balance"] == commit["balance"]
    right &= root["first_entry"] <= entry["sequence"] <= root["last_entry"]
    check(right, "balance", where, "is not where commit and root have it")
    if entry["kind"] == "debit":
        rate = item.get("rate")
        check_debit(item, rate, account, root["currency"])
        right = ("rate" in item) == ("rate_path" in item) == bool(item["charge"].get("rate"))
        check(right, "rate", where, "has a rate that its charge does not name")
        right = rate is None or leads(item["rate_path"], canonical(rate), root["rates"])
        check(right, "rate", where, "the rate is not one that was signed")
    else:
        known = item.keys() & {"charge", "person", "rate", "rate_path"}
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
            stated = (link["corrects"], link["kind"], link["at"])
            check(stated == (other, entry["kind"], entry["at"]), "correction", where, "differs")
            right = not debit or link["kind"] != "reversal"
            right = right or micros(entry["amount"]) == -micros(debit["amount"])
            check(right, "correction", where, f"is not the amount of entry {link['corrects']}")
        else:
            print(f"notice: {where}: no item proves this correction of entry {link['corrects']}")
    order = [link["entry"] for link in links]
    check(order == sorted(set(order)), "correction", "the corrections", "are not in order")
    linked = {n for n, entry in items.items() if "reverses" in entry or "rerates" in entry}
    missing = linked - set(order)
    check(not missing, "correction", f"entries {sorted(missing)}", "are missing in the corrections")
