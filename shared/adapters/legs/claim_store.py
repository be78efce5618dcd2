"""Claims in table `legs`: a leg is pinned to one account before its first commit, for ever."""

from shared.adapters.tables.schema import check_schema
from shared.domain.common.errors import OutcomeUnknown, RowExists, StoreUnavailable
from shared.domain.legs.leg import leg_key_hash
from shared.ports.legs import Claim
from shared.ports.tables import Insert, TableStore

TABLE = "legs"

SCHEMA = 1


class TableClaims:
    """Implements the port `Claims`; partition = bridge and two digits of the leg key's hash."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def claim(self, leg: str, wanted: Claim) -> Claim:
        partition, key = _address(leg)
        row = Insert(
            key,
            {
                "schema": SCHEMA,
                "leg": leg,
                "account": wanted.account,
                "organizer": wanted.organizer or "",
            },
        )
        try:
            await self._tables.transact(TABLE, partition, [row])
        except (RowExists, OutcomeUnknown) as error:
            found = await self.find(leg)
            if found is None:
                raise StoreUnavailable("It is not certain that the leg was claimed.") from error
            return found
        return wanted

    async def find(self, leg: str) -> Claim | None:
        partition, key = _address(leg)
        row = await self._tables.get(TABLE, partition, key)
        if row is None:
            return None
        check_schema(row, SCHEMA)
        return Claim(str(row.values["account"]), str(row.values["organizer"]) or None)


def _address(leg: str) -> tuple[str, str]:
    key = leg_key_hash(leg)
    return f"{leg.partition('~')[0]}|{key[:2]}", key
