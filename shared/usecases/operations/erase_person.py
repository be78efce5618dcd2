"""Erasure on request: a number or an organizer is erased from an account."""

from dataclasses import dataclass

from shared.ports.erasure import Erased, Eraser
from shared.usecases.directory.codecs import Kind, organizer_key
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class ErasePerson:
    """Erases, and drops what this process has cached of the person."""

    facts: DirectoryCache
    eraser: Eraser

    async def __call__(self, account: str, *, number: str | None, organizer: str | None) -> Erased:
        """What was erased. Raises NotFound `account_unknown`, StoreUnavailable."""
        await self.facts.require_account(account)
        erased = await self.eraser.erase(account, number=number, organizer=organizer)
        if organizer is not None:
            self.facts.drop(Kind.ORGANIZER, organizer_key(account, organizer))
        return erased
