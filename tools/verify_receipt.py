"""Verifies receipts by docs/proof.md: `verify_receipt.py FILE... --keys KEYS`.

Files are receipts, month files, and answers of `proofs`; they are compared with each other. Needs
Python 3.11 and `cryptography`, nothing of Perminute, no network, no secret. Exits with 0, or with
1 and a sentence that names the fault.
"""

import argparse
import gzip
import sys
import zlib
from pathlib import Path

import verify_month
from proof_books import Books
from proof_format import PROOFS, RECEIPT, check_shape, load, load_keys
from proof_receipt import check_corrections, check_item
from proof_signatures import UNREADABLE, Wrong, check, check_root, counted, digest, plain

GZIP = b"\x1f\x8b"


def verify(receipt, keys, books=None):
    """The signed roots of a receipt that is right; raises Wrong."""
    books = books or Books()
    check_shape(receipt, RECEIPT, "the receipt")
    roots = [check_root(signed, keys) for signed in receipt["roots"]]
    entries = [item["entry"]["sequence"] for item in receipt["items"]]
    right = entries and entries == sorted(set(entries))
    check(right, "format", "the receipt", "has no entries, or not in their order")
    for item in receipt["items"]:
        check_item(item, receipt, roots)
        entry, commit = item["entry"], item["commit"]
        books.add_commit(receipt["account"], commit["commit"], digest(commit))
        books.add_commit(receipt["account"], commit["commit"] - 1, commit["previous"])
        books.add_entry(receipt["account"], entry)
        books.add_debit(receipt["account"], entry)
    unused = set(range(len(roots))) - {item["root"] for item in receipt["items"]}
    check(not unused, "format", "the receipt", "has a root of no entry")
    check_corrections(receipt)
    body = {name: value for name, value in receipt.items() if name != "digest"}
    check(digest(body) == receipt["digest"], "digest", "the receipt", "has another digest")
    for root in roots:
        books.add_root(root)
    return roots


def compare(roots):
    """That an account has one root of a day and one chain of commits."""
    books = Books()
    for root in roots:
        books.add_root(root)
    books.check_days()


def verify_file(path, keys, books):
    """One line about the facts that a file proves; raises Wrong."""
    with path.open("rb") as file:
        if file.read(2) == GZIP:
            with gzip.open(path) as lines:
                return verify_month.summary(verify_month.verify(lines, keys, books))
    document = load(path.read_bytes())
    if isinstance(document, dict) and "format" not in document and "items" in document:
        check_shape(document, PROOFS, "the answer of proofs")
        for signed in document["items"]:
            root = check_root(signed, keys)
            check(digest(root) == signed["digest"], "digest", root["day"], "has another digest")
            books.add_root(root)
        return counted(len(document["items"]), "root")
    verify(document, keys, books)
    entries = counted(len(document["items"]), "entry", "entries")
    return f"{entries} of account {document['account']}"


def main():
    parser = argparse.ArgumentParser(description="Verify receipts of Perminute.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--keys", required=True, type=Path, help="the answer of proof-keys")
    given, books, where = parser.parse_args(), Books(), ""
    try:
        where = f"{given.keys}, "
        keys = load_keys(given.keys.read_bytes())
        for path in given.files:
            where = f"{path}, "
            print(plain(f"{path}: verified: {verify_file(path, keys, books)}"))
        where = ""
        books.check_days()
    except Wrong as wrong:
        kind, place, what = wrong.args
        sys.exit(plain(f"{kind}: {where}{place}: {what}."))
    except EOFError:
        sys.exit(f"end: {where}the file is cut.")
    except (*UNREADABLE, OSError, zlib.error) as error:
        sys.exit(plain(f"format: {where}can't be read, {type(error).__name__}: {error}."))


if __name__ == "__main__":
    main()
