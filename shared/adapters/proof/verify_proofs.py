"""The checks of `verify` on closed days: each day is added up from the journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from shared.adapters.ledger import rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.ledger.verify_rows import UNREADABLE, Run, own_properties
from shared.adapters.proof.proof_days import (
    HEAD,
    PART,
    PREFIX,
    RATE,
    is_day,
    part_keys,
    read_day,
    read_head,
    read_leaves,
    read_rate,
)
from shared.domain.common import limits
from shared.domain.proof.commits import GENESIS
from shared.domain.proof.days import follows
from shared.domain.proof.merkle import tree_root
from shared.domain.proof.rates import rates_root
from shared.domain.proof.roots import DayRoot, SignedRoot
from shared.ports.tables import Row, TableStore

_DAYS_BACK = timedelta(days=3)
type _RateDocuments = Mapping[str, Mapping[str, Any] | None]


async def proof_rows(run: Run, tables: TableStore, account: str, since: datetime | None) -> None:
    """Compare roots, public hashes and rates with the journal: of all days, or of those since a
    verification that ended with a commit of the time `since`."""
    first = f"{PREFIX}{(since - _DAYS_BACK).date()}" if since else PREFIX
    stored = _StoredProofs()
    async for row in read_range(tables, account, first, f"{PREFIX[:-1]}}}"):
        stored.add(run, row)
    last = f"{PREFIX}{stored.head}" if stored.head else PREFIX
    if stored.head and await tables.get(rows.TABLE, account, last) is None:
        run.wrong(HEAD, "day: there is no such day")
    named = {each for _, _, digests in stored.days for each in digests}
    rates = await _rates(run, tables, account, named, every=since is None)
    for row, signed, digests in stored.days:
        if row.key > last:
            run.wrong(HEAD, "day: is not the last one")
        _day(run, account, row, signed, stored.take_parts(signed.root))
        _rates_of(run, row, signed, digests, rates)
    for key in stored.parts:
        run.wrong(key, "hashes: no closed day has this part")
    if stored.days and since is None:
        root = stored.days[0][1].root
        if root.previous != GENESIS or root.after or root.base != GENESIS:
            run.wrong(stored.days[0][0].key, "previous: a day before is missing")
    for (_, before, _), (row, after, _) in pairwise(stored.days):
        if not follows(before.root, before.digest, after.root):
            run.wrong(row.key, "previous: does not continue the day before")


@dataclass(slots=True)
class _StoredProofs:
    """Days with the digests of their rates, the parts with public hashes, and the last day."""

    days: list[tuple[Row, SignedRoot, list[str]]] = field(default_factory=list)
    parts: dict[str, list[bytes]] = field(default_factory=dict)
    head: str = ""

    def take_parts(self, root: DayRoot) -> list[bytes]:
        """The public hashes of a day; a part that is left in the end belongs to no day."""
        return [leaf for key in part_keys(root) for leaf in self.parts.pop(key, ())]

    def add(self, run: Run, row: Row) -> None:
        """Take the next row."""
        own_properties(run, row, HEAD if row.key == HEAD else PREFIX if is_day(row.key) else PART)
        try:
            if row.key == HEAD:
                self.head = read_head(row)
            elif is_day(row.key):
                self.days.append((row, *read_day(row)))
            else:
                self.parts[row.key] = list(read_leaves(row))
        except UNREADABLE as error:
            run.wrong(row.key, f"data: can't be read ({type(error).__name__})")


async def _rates(
    run: Run, tables: TableStore, account: str, named: set[str], *, every: bool
) -> _RateDocuments:
    """Rates by digest: those that days name, or every one that there is. One that no day names yet
    is of a day that is about to be closed."""
    stored: dict[str, Row | None]
    if every:
        span = (f"{RATE}", f"{RATE[:-1]}}}")
        stored = {row.key: row async for row in read_range(tables, account, *span)}
    else:
        keys = [f"{RATE}{digest}" for digest in sorted(named)]
        stored = {key: await tables.get(rows.TABLE, account, key) for key in keys}
    rates: dict[str, Mapping[str, Any] | None] = {}
    for key in sorted(stored.keys() | {f"{RATE}{digest}" for digest in named}):
        row = stored.get(key)
        if row is None:
            run.wrong(key, "is missing")
            continue
        own_properties(run, row, RATE)
        try:
            rates[key.removeprefix(RATE)] = read_rate(row)
        except UNREADABLE:
            run.wrong(key, "data: is not the rate that the key names")
    return rates


def _rates_of(
    run: Run, row: Row, signed: SignedRoot, named: list[str], rates: _RateDocuments
) -> None:
    present = [rate for digest in named if (rate := rates.get(digest)) is not None]
    if len(present) == len(named) and rates_root(present) != signed.root.rates:
        run.wrong(row.key, "data: rates are not those of the root")


def _day(run: Run, account: str, row: Row, signed: SignedRoot, leaves: list[bytes]) -> None:
    root = signed.root
    if row.values.get("digest") != signed.digest:
        run.wrong(row.key, "digest: is not that of the root")
    if row.key != f"{PREFIX}{root.day}" or root.account != account or root.is_interim:
        run.wrong(row.key, "data: is the root of another day or account")
    start = run.commit - len(run.publics)
    made = run.publics[root.after - start : root.last - start] if root.after >= start else []
    if not leaves and root.commits > limits.PROOF_HASHES_KEPT_MAX:
        leaves = [bytes.fromhex(each.hash) for each in made]  # none are kept of such a day
    if (leaves or root.commits <= limits.PROOF_HASHES_KEPT_MAX) and (
        len(leaves) != root.commits or tree_root(leaves).hex() != root.tree
    ):
        run.wrong(row.key, "tree: is not the root over the public hashes of the day")
    if root.last > run.commit:
        run.newer[row.key] = root.last
    elif root.after >= start:
        if [leaf.hex() for leaf in leaves] != [each.hash for each in made]:
            run.wrong(row.key, "tree: the commits are not those of the journal")
        end = (root.base, root.opening_micros, root.first_entry - 1)
        if made:
            end = (made[-1].hash, made[-1].balance_micros, made[-1].last_entry)
        if end != (root.head, root.closing_micros, root.last_entry):
            run.wrong(row.key, "head: hash, balance or entry are not those of the last commit")
