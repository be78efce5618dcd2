"""The lines of a month file, one after the other: docs/proof.md, sections 9 and 10."""

from collections import Counter
from datetime import date, datetime, timedelta

from proof_entries import NAME, check_debit, check_entry, check_follows, check_links
from proof_signatures import ZEROS, canonical, check, check_root, digest, micros, tree


class Month:
    """The month up to the present line; each `take_…` checks the next line of its type."""

    def __init__(self, file, keys, books):
        self.file, self.keys, self.books, self.root, self.before = file, keys, books, None, {}
        self.rates, self.used, self.last_rate, self.of_day = {}, set(), b"", set()
        self.commit, self.head, self.at, self.hashes = 0, ZEROS, "", []
        self.sequence = self.balance = self.charged = self.legs = 0
        self.debits, self.taken, self.counts, self.sums = {}, set(), Counter(), Counter()
        self.first = None

    def take_checkpoint(self, line):
        root = self.root = check_root(line, self.keys)
        right = root["account"] == self.file["account"]
        check(right, "account", "checkpoint", "is of another account")
        next_day = date.fromisoformat(root["day"]) + timedelta(days=1)
        right = str(next_day) == f"{self.file['month']}-01"
        right &= self.file["interim"] or not root["interim"]
        check(right, "chain", "checkpoint", "is not of the day before the month, or is interim")
        self.books.add_root(root)
        self.commit, self.head = root["after"] + root["commits"], root["head"]
        self.sequence, self.balance = root["last_entry"], micros(root["closing"])

    def take_rate(self, line):
        rate, text = line["rate"], canonical(line["rate"])
        check(text > self.last_rate, "format", f"rate {rate['prefix']}", "is out of order")
        self.last_rate, self.rates[tuple(map(rate.get, NAME))] = text, rate

    def take_commit(self, line):
        commit, items = line["commit"], line["entries"]
        where, at = f"commit {commit['commit']}", datetime.fromisoformat(commit["at"])
        check(commit["account"] == self.file["account"], "account", where, "is of another account")
        right = (commit["commit"], commit["previous"]) == (self.commit + 1, self.head)
        check(right and (not self.at or at >= self.at), "chain", where, "does not follow the last")
        leaves = [canonical(item["entry"]) for item in items]
        right = (commit["entries"], commit["root"]) == (len(items), tree(leaves))
        check(right, "commit", where, "has other entries")
        check(commit["first"] == self.sequence + 1, "balance", where, "an entry is missing before")
        for item in items:
            check(
                item["entry"]["at"] == commit["at"], "commit", where, "has entries of other times"
            )
            self.take_entry(item)
        check(micros(commit["balance"]) == self.balance, "balance", where, "does not add up")
        self.commit, self.head, self.at = commit["commit"], digest(commit), at
        self.books.add_commit(self.file["account"], self.commit, self.head)
        self.hashes.append(bytes.fromhex(self.head))

    def take_entry(self, item):
        entry, kind, amount = item["entry"], item["entry"]["kind"], micros(item["entry"]["amount"])
        where, self.balance = f"entry {entry['sequence']}", self.balance + amount
        check(entry["sequence"] == self.sequence + 1, "balance", where, "is not the next one")
        check_entry(entry)
        check(micros(entry["balance"]) == self.balance, "balance", where, "does not add up")
        check(self.file["persons"] or "person" not in item, "person", where, "must not be shown")
        self.counts[kind], self.sums[kind] = self.counts[kind] + 1, self.sums[kind] + amount
        if kind == "debit":
            charge = item["charge"]
            named = {**(charge.get("rate") or {}), "kind": charge["kind"]}
            name = tuple(map(named.get, NAME))
            file = self.file
            check_debit(item, self.rates.get(name), file["account"], file["currency"])
            self.of_day |= {name} if charge.get("rate") else set()
            self.books.add_debit(self.file["account"], entry)
            self.debits[entry["sequence"]] = (amount, entry.get("leg"))
            self.legs += "rerates" not in entry
        else:
            check(not item.keys() & {"charge", "person"}, "charge", where, "is not of a debit")
        self.charged -= amount if kind == "debit" or (kind == "reversal" and "leg" in entry) else 0
        check_links(entry, self.before, self.debits, self.taken)
        self.sequence, self.before = entry["sequence"], entry

    def take_root(self, line):
        root, where = check_root(line, self.keys), f"root of {line['root']['day']}"
        check(root["account"] == self.file["account"], "account", where, "is of another account")
        check(root["currency"] == self.file["currency"], "account", where, "has another currency")
        check(root["day"][:7] == self.file["month"], "chain", where, "is of another month")
        check(not root["interim"] or self.file["interim"], "chain", where, "is interim")
        right = not self.first or not self.root["interim"]
        check(right, "chain", where, "follows an interim root")
        right = (
            root["interim"] or not self.hashes or self.at < datetime.fromisoformat(root["until"])
        )
        check(right, "chain", where, "is of commits that were made later")
        check_follows(root, self.root)
        right = (root["commits"], root["tree"]) == (len(self.hashes), tree(self.hashes))
        check(right, "tree", where, "is of other commits")
        check(root["head"] == self.head, "chain", where, "has another last commit")
        right = (root["last_entry"], micros(root["closing"])) == (self.sequence, self.balance)
        check(right, "balance", where, "closes otherwise")
        leaves = sorted(canonical(self.rates[name]) for name in self.of_day)
        check(root["rates"] == tree(leaves), "rate", where, "is of other rates")
        self.used, self.of_day, self.hashes, self.root = self.used | self.of_day, set(), [], root
        self.first = self.first or root
        right = self.file["time_zone"] == self.first["time_zone"]
        check(right, "account", where, "has another time zone than the file")
        self.books.add_root(root)

    def take_statement(self, line):
        check(self.first, "chain", "the file", "has no root")
        first = self.first
        right = first["after"] == 0 or first["interim"] or first["day"][8:] == "01"
        check(right, "chain", "the file", f"begins with {first['day']}")
        next_day = date.fromisoformat(self.root["day"]) + timedelta(days=1)
        right = self.root["interim"] or str(next_day)[:7] != self.file["month"]
        right &= self.root["interim"] == self.file["interim"]
        check(right and not self.hashes, "chain", "the file", f"ends with {self.root['day']}")
        unused = self.rates.keys() - self.used
        check(
            not unused, "rate", f"rate {sorted(unused, key=str)[:1]}", "is not one that was signed"
        )
        by_kind = {kind: (count, self.sums[kind]) for kind, count in self.counts.items()}
        stated = {k: (v["count"], micros(v["amount"])) for k, v in line["by_kind"].items()}
        check(stated == by_kind, "statement", "by_kind", f"the entries make {by_kind} (micros)")
        sums = (micros(self.first["opening"]), self.balance, self.charged)
        stated = tuple(micros(line[name]) for name in ("opening", "closing", "charged"))
        check(stated == sums, "statement", "opening, closing, charged", f"are {sums} (micros)")
        counts = (self.first["first_entry"], self.sequence, self.legs)
        stated = tuple(line[name] for name in ("first_entry", "last_entry", "legs"))
        check(stated == counts, "statement", "first and last entry, legs", f"are {counts}")
