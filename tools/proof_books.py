"""Files compared with each other: docs/proof.md, section 10."""

from datetime import date, timedelta

from proof_entries import check_follows
from proof_signatures import check, digest


class Books:
    """Facts in files about accounts: roots of days, hashes of commits, entries, debits of legs."""

    def __init__(self):
        self.days, self.commits, self.entries, self.legs = {}, {}, {}, {}

    def add_root(self, root):
        account, last = root["account"], root["after"] + root["commits"]
        self.add_commit(account, root["after"], root["base"])
        self.add_commit(account, last, root["head"])
        if not root["interim"]:
            known = self.days.setdefault(account, {}).setdefault(root["day"], root)
            right, where = digest(known) == digest(root), f"{account}, {root['day']}"
            check(right, "roots", where, "there are two different roots of the day")

    def add_commit(self, account, number, public_hash):
        right = self.commits.setdefault((account, number), public_hash) == public_hash
        check(right, "roots", f"{account}, commit {number}", "is another one than before")

    def add_entry(self, account, entry):
        found = digest(entry)
        right = self.entries.setdefault((account, entry["sequence"]), found) == found
        where = f"{account}, entry {entry['sequence']}"
        check(right, "roots", where, "is another one than before")

    def add_debit(self, account, entry):
        """The first debit of a leg: there is one."""
        if entry["kind"] == "debit" and "rerates" not in entry:
            number = entry["sequence"]
            first = self.legs.setdefault((account, entry.get("leg")), number)
            where = f"entry {number}, leg {entry.get('leg')}"
            check(first == number, "charge", where, f"the leg was charged by entry {first}")

    def check_days(self):
        """That later days continue earlier ones, as far as their roots are there."""
        for account, days in self.days.items():
            before = None
            for day in sorted(days):
                root, where = days[day], f"{account}, {day}"
                if before and date.fromisoformat(day) - timedelta(1) == before["date"]:
                    check_follows(root, before["root"])
                elif before:
                    last = before["root"]["after"] + before["root"]["commits"]
                    right = root["after"] >= last
                    right &= root["first_entry"] > before["root"]["last_entry"]
                    check(right, "roots", where, "does not come after the day before it")
                before = {"date": date.fromisoformat(day), "root": root}
