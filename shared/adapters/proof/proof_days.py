"""Closed days: roots, public hashes and rates, in the ledger's partition.

| row key             | what                                                                 |
| ------------------- | -------------------------------------------------------------------- |
| `proof|{day}`       | the signed root, and the digests of the rates that the day names     |
| `proof|{day}|{part}`| the public hashes of its commits, 32 bytes each                      |
| `proof|head`        | the last closed day                                                  |
| `rate|{digest}`     | a rate as it is proved                                               |

One transaction writes all rows of a day, so that two processes never mix theirs; the rates, which
their digest names, come before. A day of more than `PROOF_HASHES_KEPT_MAX` commits has no parts:
its hashes are read from the journal. Only `proof|head` is ever changed.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from shared.adapters.ledger import rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.tables.packing import fails_closed, joined, pack, split, unpack
from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import LedgerCorrupt, RowExists
from shared.domain.proof.days import ProvenDay
from shared.domain.proof.roots import DayRoot, SignedRoot, read_root
from shared.ports.tables import Insert, Operation, Row, TableStore, Upsert, Value

SCHEMA = 1
_MOST_PARTS = -(-limits.ENTITY_BYTES_MAX // limits.PROPERTY_BINARY_BYTES_MAX)
_OF_ROOT = ("schema", "digest", "data", *(f"data{part}" for part in range(_MOST_PARTS)))
"""The properties of a row with a root; a range of rows has hashes, too."""
PREFIX = "proof|"
RATE = "rate|"
HEAD = "proof|head"
PART = "proof|day|part"
"""The name of parts of days in a list of kinds of rows."""
_HASH_BYTES = 32


class TableProofs:
    """Implements the port `Proofs` on a TableStore."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def last(self, account: str) -> SignedRoot | None:
        row = await self._tables.get(rows.TABLE, account, HEAD)
        if row is None:
            return None
        signed = await self.root(account, read_head(row))
        if signed is None:
            raise LedgerCorrupt(f"Row {HEAD} names a day that does not exist.")
        return signed

    async def root(self, account: str, day: str) -> SignedRoot | None:
        row = await self._tables.get(rows.TABLE, account, f"{PREFIX}{day}")
        return read_day(row)[0] if row else None

    async def roots(self, account: str, first: str, last: str, *, limit: int) -> list[SignedRoot]:
        roots: list[SignedRoot] = []
        after: str | None = None
        while len(roots) < limit:
            size = min(2 * (limit - len(roots)), limits.TABLE_PAGE_ROWS_MAX)  # a root, and a part
            page = await self._tables.query(
                rows.TABLE,
                account,
                first=f"{PREFIX}{first}",
                after=after,
                before=f"{PREFIX}{last}|",
                select=_OF_ROOT,
                limit=size,
            )
            roots += [read_day(row)[0] for row in page if is_day(row.key)]
            if len(page) < size:
                break
            after = page[-1].key
        return roots[:limit]

    async def day(self, account: str, day: str) -> ProvenDay | None:
        key = f"{PREFIX}{day}"
        day_rows = [row async for row in read_range(self._tables, account, key, f"{key}}}")]
        if not day_rows or day_rows[0].key != key:
            return None
        signed, digests = read_day(day_rows[0])
        leaves = tuple(leaf for row in day_rows[1:] for leaf in read_leaves(row))
        if len(leaves) != signed.root.commits and (
            leaves or signed.root.commits <= limits.PROOF_HASHES_KEPT_MAX
        ):
            raise LedgerCorrupt(f"Row {key} has {signed.root.commits} commits, its parts others.")
        return ProvenDay(signed, leaves, tuple(await self._rates(account, digests)))

    async def rates(self, account: str, days: Sequence[str]) -> list[Mapping[str, Any]]:
        digests: set[str] = set()
        for day in days:
            row = await self._tables.get(rows.TABLE, account, f"{PREFIX}{day}")
            digests |= set(read_day(row)[1]) if row else set()
        return await self._rates(account, sorted(digests))

    async def close(self, account: str, day: ProvenDay) -> bool:
        before, final = day_rows(day)
        hashes = [each for each in before if each.key.startswith(PREFIX)]
        for each in before:
            if each not in hashes:
                await self._tables.transact(rows.TABLE, account, [each])
        try:
            await self._tables.transact(rows.TABLE, account, [*final, *hashes])
        except RowExists:
            return False  # another run was faster: its root is the one that counts
        return True

    async def _rates(self, account: str, digests: Sequence[str]) -> list[Mapping[str, Any]]:
        async def one(digest: str) -> Mapping[str, Any]:
            row = await self._tables.get(rows.TABLE, account, f"{RATE}{digest}")
            if row is None:
                raise LedgerCorrupt(f"Row {RATE}{digest} is missing.")
            return read_rate(row)

        return await gather_bounded(one, digests, at_once=limits.STATEMENT_READS_AT_ONCE)


def day_rows(day: ProvenDay) -> tuple[list[Operation], list[Operation]]:
    """(rates and parts, the root and the head) of a day."""
    root = day.signed.root
    digests: list[str] = []
    parts: list[Operation] = []
    for rate in day.rates:
        digests.append(rate_digest(rate))
        parts.append(Upsert(f"{RATE}{digests[-1]}", {"schema": SCHEMA, **pack("data", rate)}))
    size = limits.PROOF_HASHES_A_ROW_MAX
    keys = part_keys(root) if root.commits <= limits.PROOF_HASHES_KEPT_MAX else []
    for number, key in enumerate(keys):
        data = b"".join(day.leaves[number * size : (number + 1) * size])
        parts.append(Upsert(key, {"schema": SCHEMA, **split("hashes", data)}))
    values: dict[str, Value] = {
        "schema": SCHEMA,
        "digest": day.signed.digest,
        **pack("data", {"signed": day.signed.document(), "rates": sorted(digests)}),
    }
    final: list[Operation] = [
        Insert(f"{PREFIX}{root.day}", values),
        Upsert(HEAD, {"schema": SCHEMA, "day": root.day}),
    ]
    return parts, final


def rate_digest(rate: Mapping[str, Any]) -> str:
    """The digest of a rate, by which its row is named."""
    return hashlib.sha256(canonical_json(rate)).hexdigest()


def part_keys(root: DayRoot) -> list[str]:
    """The keys of the rows with the public hashes of a day."""
    count = -(-root.commits // limits.PROOF_HASHES_A_ROW_MAX)
    return [f"{PREFIX}{root.day}|{number:03}" for number in range(count)]


def is_day(key: str) -> bool:
    """True if a row has a root."""
    return key.startswith(PREFIX) and key.count("|") == 1 and key != HEAD


@fails_closed(SCHEMA)
def read_head(row: Row) -> str:
    """The last closed day."""
    day = row.values["day"]
    if not isinstance(day, str):
        raise TypeError("the day is no text")
    return day


@fails_closed(SCHEMA)
def read_day(row: Row) -> tuple[SignedRoot, list[str]]:
    """(root, digests of its rates)."""
    data = cast("dict[str, Any]", unpack("data", row.values))
    signed, digests = read_root(data["signed"]), data["rates"]
    if row.key != f"{PREFIX}{signed.root.day}" or not all(
        isinstance(each, str) for each in digests
    ):
        raise ValueError("the row is of another day")
    return signed, digests


@fails_closed(SCHEMA)
def read_leaves(row: Row) -> Iterable[bytes]:
    """The public hashes in a part of a day."""
    data = joined("hashes", row.values)
    if len(data) % _HASH_BYTES:
        raise ValueError("a hash is cut")
    return [data[at : at + _HASH_BYTES] for at in range(0, len(data), _HASH_BYTES)]


@fails_closed(SCHEMA)
def read_rate(row: Row) -> Mapping[str, Any]:
    """A rate."""
    rate = cast("dict[str, Any]", unpack("data", row.values))
    if row.key != f"{RATE}{rate_digest(rate)}":
        raise ValueError("the rate is not that of the key")
    return rate
