"""Erasure on request: a number or an organizer is erased from an account."""

from dataclasses import asdict, dataclass

from shared.ports.clock import Ids
from shared.ports.denials import Denials
from shared.ports.erasure import Erased, Eraser
from shared.ports.records import RecordStore
from shared.usecases.directory.codecs import Kind, organizer_key
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.directory.load_directory import LoadDirectory

_ID_BYTES = 9


@dataclass(frozen=True, slots=True)
class ErasePerson:
    """Erases, drops what this process has cached of the person, and keeps a record of the erasure
    that does not name the person; the audit log shows the record."""

    facts: DirectoryCache
    records: RecordStore
    eraser: Eraser
    denials: Denials
    loads: LoadDirectory
    ids: Ids

    async def __call__(self, account: str, *, number: str | None, organizer: str | None) -> Erased:
        """The erasures. Raises NotFound `account_unknown`, StoreUnavailable."""
        await self.facts.require_account(account)
        await self.denials.flush()
        await self.loads.finish(account)
        erased = await self.eraser.erase(account, number=number, organizer=organizer)
        if organizer is not None:
            self.facts.drop(Kind.ORGANIZER, organizer_key(account, organizer))
        document = {"of": "number" if organizer is None else "organizer", **asdict(erased)}
        key = f"{account}|{self.ids.token(_ID_BYTES)}"
        await self.records.put(Kind.ERASURE, key, document, if_match=None)
        return erased
