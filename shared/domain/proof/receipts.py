"""Receipts: entries with all that leads from them to signed roots (docs/proof.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.ledger.model import Entry
from shared.domain.proof.commits import PublicCommit, document_hash, entry_leaf, public_entry
from shared.domain.proof.days import ProvenDay
from shared.domain.proof.merkle import MerklePath, tree_path
from shared.domain.proof.rates import name_of, rate_leaves, rate_name

RECEIPT_FORMAT = "perminute-receipt/1"


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry of a receipt: its commit, the day that has it, and the person, empty where it is
    erased or not shown."""

    entry: Entry
    commit: PublicCommit
    day: ProvenDay
    person: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EntryCorrection:
    """Entry `entry` takes back or replaces entry `corrects`."""

    entry: int
    corrects: int
    kind: str
    at: datetime

    @classmethod
    def of(cls, entry: Entry) -> "EntryCorrection | None":
        """The correction that an entry is, if it is one."""
        corrects = entry.reverses or entry.rerates
        if corrects is None:
            return None
        return cls(entry.sequence, corrects, entry.kind.value, entry.at)


def receipt_document(
    account: str,
    leg: str | None,
    proven: Sequence[Proven],
    corrections: Sequence[EntryCorrection],
    created_at: datetime,
) -> dict[str, object]:
    """The receipt with its digest; entries and corrections are in the order of their numbers.
    Raises LedgerCorrupt for a commit or a rate that is not the signed one."""
    days: list[ProvenDay] = []
    for each in proven:
        if each.day not in days:
            days.append(each.day)
    document: dict[str, object] = {
        "format": RECEIPT_FORMAT,
        "account": account,
        **({"leg": leg} if leg else {}),
        "created_at": format_time(created_at),
        "items": [_item(each, days.index(each.day)) for each in proven],
        "corrections": [
            {
                "entry": each.entry,
                "corrects": each.corrects,
                "kind": each.kind,
                "at": format_time(each.at),
            }
            for each in corrections
        ],
        "roots": [day.signed.document() for day in days],
    }
    return {**document, "digest": document_hash(document)}


def _item(proven: Proven, root: int) -> dict[str, object]:
    entry, commit, day = proven.entry, proven.commit, proven.day
    leaves = [entry_leaf(each) for each in commit.entries]
    document, place = commit.document(leaves), commit.number - day.signed.root.after - 1
    if document_hash(document) != day.leaves[place].hex():
        raise LedgerCorrupt(f"Commit {commit.number} is not the one that was signed.")
    item: dict[str, object] = {
        "entry": public_entry(entry),
        "entry_path": _path(tree_path(leaves, entry.sequence - commit.first)),
        "commit": document,
        "commit_path": _path(tree_path(day.leaves, place)),
        "root": root,
    }
    if proven.person:
        item["person"] = dict(proven.person)
    if entry.charge is None:
        return item
    item["charge"] = entry.charge
    name = rate_name(entry.charge)
    if name is None:
        return item
    rate = next((each for each in day.rates if name_of(each) == name), None)
    if rate is None:
        raise LedgerCorrupt(f"The rate of entry {entry.sequence} is not one that was signed.")
    rates = rate_leaves(day.rates)
    path = tree_path(rates, rates.index(canonical_json(rate)))
    return {**item, "rate": rate, "rate_path": _path(path)}


def _path(path: MerklePath) -> dict[str, Any]:
    return {
        "index": path.index,
        "size": path.size,
        "hashes": [each.hex() for each in path.hashes],
    }
