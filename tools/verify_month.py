"""Verifies a month file by docs/proof.md: `verify_month.py EXPORT --keys KEYS`.

Needs Python 3.11 and `cryptography`, nothing of Perminute, no network, no secret. Exits with 0, or
with 1 and a sentence that names the fault.
"""

import argparse
import gzip
import hashlib
import sys
import zlib

from proof_books import Books
from proof_format import LINES, check_shape, load, load_keys
from proof_month import Month
from proof_signatures import UNREADABLE, Wrong, canonical, check, counted, plain

DAY = ("commit", "root")
AFTER = {
    "file": ("checkpoint", "rate", *DAY),
    "checkpoint": ("rate", *DAY),
    "rate": ("rate", *DAY),
    "commit": DAY,
    "root": (*DAY, "statement"),
}


def verify(lines, keys, books=None):
    """The month of lines (bytes) that are right. Raises Wrong."""
    month, before, count, hashed = None, "", 0, hashlib.sha256()
    for count, raw in enumerate(lines, 1):
        line, where = load(raw), f"line {count}"
        check(canonical(line) + b"\n" == raw, "format", where, "is not canonical JSON")
        kind = line["type"] if month else "file"
        check(kind in LINES, "format", where, f"{kind} is no type of line")
        check_shape(line, {**LINES[kind], "type": {kind}}, where)
        if month is None:
            month, before = Month(line, keys, books or Books()), "file"
        elif line["type"] == "end" and before in {"statement", "end"}:
            check(before != "end", "format", where, "is after the end")
            check(line["lines"] == count - 1, "end", where, f"lines before: {count - 1}")
            check(line["digest"] == hashed.hexdigest(), "digest", where, "is of other lines")
            before = "end"
        else:
            right = line["type"] in AFTER.get(before, ())
            check(right, "format", where, f"{line['type']} can't follow {before}")
            before = line["type"]
            getattr(month, f"take_{before}")(line)
        hashed.update(raw)
    check(before == "end", "end", f"line {count}", "the end of the file is missing")
    return month


def summary(month):
    """One line about the facts that a month file proves."""
    file, entries = month.file, counted(sum(month.counts.values()), "entry", "entries")
    legs = counted(month.legs, "leg")
    return f"account {file['account']}, {file['month']}: {entries}, {legs} rated again"


def main():
    parser = argparse.ArgumentParser(description="Verify a month file of Perminute.")
    parser.add_argument("export")
    parser.add_argument("--keys", required=True, help="the answer of proof-keys")
    given = parser.parse_args()
    try:
        with open(given.keys, "rb") as file:
            keys = load_keys(file.read())
        with gzip.open(given.export) as lines:
            print(plain(f"verified: {summary(verify(lines, keys))}"))
    except Wrong as wrong:
        sys.exit(plain("{}: {}: {}.".format(*wrong.args)))
    except EOFError:
        sys.exit(f"end: {given.export}: the file is cut.")
    except (*UNREADABLE, OSError, zlib.error) as error:
        sys.exit(plain(f"format: {given.export}: can't be read, {type(error).__name__}: {error}."))


if __name__ == "__main__":
    main()
