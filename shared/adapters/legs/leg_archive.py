"""The archive of accepted legs: blobs in another storage account, sealed, for weeks.

A blob `{day}/{hour}/{minute}{second}-{random}` contains the items accepted within a moment: lines
of JSON, compressed and encrypted, since legs contain numbers.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from shared.adapters.blobs import Blobs
from shared.adapters.encryption import Sealing
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import StoreUnavailable
from shared.pacing import NO_REQUEST
from shared.ports.archive import Accepted
from shared.ports.clock import Clock, Ids

FORMAT = b"PMA1"


class BlobArchive:
    """Implements the port `Archive` on blobs.

    Items accepted at the same time share a blob: the first waits a moment for the others.
    """

    def __init__(self, blobs: Blobs, keys: Sequence[bytes], clock: Clock, ids: Ids) -> None:
        self._blobs = blobs
        self._sealing = Sealing(FORMAT, keys, ids)
        self._clock = clock
        self._ids = ids
        self._waiting: list[Accepted] = []
        self._flush: asyncio.Task[None] | None = None

    async def keep(self, items: Sequence[Accepted]) -> None:
        if not items:
            return
        self._waiting += items
        if self._flush is None:
            self._flush = asyncio.create_task(self._write_soon(), context=NO_REQUEST())
        # Shielded: who gives up waiting takes no one else's legs away.
        await asyncio.shield(self._flush)

    async def read(self, since: datetime, until: datetime) -> AsyncIterator[Accepted]:
        """The items accepted from `since` to before `until`, hour by hour.

        Raises StoreUnavailable, and ValueError for a blob that none of the keys opens.
        """
        hour = since.replace(minute=0, second=0, microsecond=0)
        while hour < until:
            for name in await self._blobs.names(f"{hour:%Y-%m-%d/%H}/"):
                content = await self._blobs.get(name)
                for item in self._open(name, content or b""):
                    if since <= item.at < until:
                        yield item
            hour += timedelta(hours=1)

    async def _write_soon(self) -> None:
        await asyncio.sleep(limits.ARCHIVE_LINGER_SECONDS)
        items, self._waiting, self._flush = self._waiting, [], None
        name = f"{self._clock.now():%Y-%m-%d/%H/%M%S}-{self._ids.token(12)}"
        async with asyncio.timeout(limits.ARCHIVE_SECONDS_MAX):
            if not await self._blobs.put_once(name, self._seal(name, items)):
                raise StoreUnavailable("A blob with this random name exists.")

    def _seal(self, name: str, items: Sequence[Accepted]) -> bytes:
        lines = b"\n".join(
            canonical_json(
                {"at": item.at.isoformat(), "kind": item.kind, "body": item.body.decode()}
            )
            for item in items
        )
        return self._sealing.seal(name, zlib.compress(lines))

    def _open(self, name: str, content: bytes) -> list[Accepted]:
        lines = zlib.decompress(self._sealing.open(name, content))
        records = (json.loads(line) for line in lines.splitlines())
        return [
            Accepted(datetime.fromisoformat(each["at"]), each["kind"], each["body"].encode())
            for each in records
        ]
