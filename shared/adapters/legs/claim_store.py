"""Claims in table `legs`: a leg is pinned to one account before its first commit, permanently.

Partition = `~{bridge}|{n}`, n from 0 to 3 by the hash of the leg key, so that claims made at the
same moment share a few transactions. Earlier versions spread them over 256 partitions
`{bridge}|{two digits}`, which sort before those of today: while the table begins with one of
those, a leg's earlier claim is read first.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.adapters.tables.coalescing import Coalescer
from shared.adapters.tables.schema import check_schema
from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import OutcomeUnknown, RowExists, StoreUnavailable
from shared.domain.legs.leg import leg_key_hash
from shared.pacing import BulkPace
from shared.ports.clock import Clock
from shared.ports.legs import Claim
from shared.ports.tables import Insert, Row, TableStore

TABLE = "legs"

SCHEMA = 1
_TODAYS = "~"  # sorts behind every bridge id


class TableClaims:
    """Implements the port `Claims` on a TableStore."""

    def __init__(self, tables: TableStore, clock: Clock, pace: BulkPace | None = None) -> None:
        pace = pace or BulkPace(clock)
        self._tables = tables
        self._clock = clock
        self._claims = Coalescer(self._claim, items_max=lambda: pace.legs_max)
        self._checks = Coalescer(self._check, items_max=lambda: limits.TRANSACTION_OPERATIONS_MAX)
        self._has_earlier = False
        self._checked_at = datetime.min.replace(tzinfo=UTC)

    async def claim(self, leg: str, claim: Claim) -> Claim:
        if await self._are_there_earlier() and (earlier := await self._found_earlier(leg)):
            return earlier
        return await self._claims.submit(_partition(leg), (leg, claim))

    async def find(self, leg: str) -> Claim | None:
        row = await self._tables.get(TABLE, _partition(leg), leg_key_hash(leg))
        if row is None and await self._are_there_earlier():
            return await self._found_earlier(leg)
        return _read(row) if row else None

    async def _claim(
        self, partition: str, claims: Sequence[tuple[str, Claim]]
    ) -> list[Claim | BaseException]:
        """The first claims of these legs; each transaction inserts those that are not there."""
        first: dict[str, Claim] = {}
        for leg, claim in claims:
            first.setdefault(leg, claim)
        settled: dict[str, Claim] = {}
        uncertain: Exception | None = None
        while left := {leg: claim for leg, claim in first.items() if leg not in settled}:
            try:
                rows = [Insert(leg_key_hash(leg), _values(leg, left[leg])) for leg in left]
                await self._tables.transact(TABLE, partition, rows)
            except (RowExists, OutcomeUnknown) as error:
                stored = await gather_bounded(
                    lambda leg: self._tables.get(TABLE, partition, leg_key_hash(leg)),
                    left,
                    at_once=limits.GUARD_READS_AT_ONCE,
                )
                present = {leg: _read(row) for leg, row in zip(left, stored, strict=True) if row}
                settled |= present
                if isinstance(error, OutcomeUnknown) or not present:
                    uncertain = error
                    break
            else:
                settled |= left
        return [settled.get(leg) or _uncertain(uncertain) for leg, _ in claims]

    async def _are_there_earlier(self) -> bool:
        """True if the table has claims of earlier versions. They do not become more, but for those
        of a process that still runs, so absence holds for a minute."""
        return self._has_earlier or (
            not self._is_checked() and await self._checks.submit(_TODAYS, None)
        )

    def _is_checked(self) -> bool:
        age = self._clock.now() - self._checked_at
        return timedelta(0) <= age < timedelta(seconds=limits.CLAIMS_CHECKED_SECONDS)

    async def _check(self, _: str, waiting: Sequence[None]) -> list[bool]:
        if not (self._has_earlier or self._is_checked()):
            began = self._clock.now()
            page = await self._tables.scan(TABLE, limit=1)
            self._has_earlier = any(not row.partition.startswith(_TODAYS) for row in page.rows)
            self._checked_at = began
        return [self._has_earlier] * len(waiting)

    async def _found_earlier(self, leg: str) -> Claim | None:
        key = leg_key_hash(leg)
        row = await self._tables.get(TABLE, f"{leg.partition('~')[0]}|{key[:2]}", key)
        return _read(row) if row else None


def _uncertain(cause: Exception | None) -> StoreUnavailable:
    error = StoreUnavailable("It is unknown whether the leg is claimed.")
    error.__cause__ = cause
    return error


def _partition(leg: str) -> str:
    return f"{_TODAYS}{leg.partition('~')[0]}|{int(leg_key_hash(leg)[0], 16) // 4}"


def _values(leg: str, claim: Claim) -> dict[str, str | int]:
    return {
        "schema": SCHEMA,
        "leg": leg,
        "account": claim.account,
        "organizer": claim.organizer or "",
    }


def _read(row: Row) -> Claim:
    check_schema(row, SCHEMA)
    return Claim(str(row.values["account"]), str(row.values["organizer"]) or None)
