"""Organizers and an account's dial-out policy: kept as they were sent, defaults filled in."""

from collections.abc import Mapping

from shared.domain.directory import FOREIGN_ID_RULE, is_foreign_id
from shared.domain.errors import Invalid, NotFound
from shared.ports import Record, RecordStore, Saved
from shared.usecases.accounts import Accounts
from shared.usecases.documents import Kind, organizer_key
from shared.usecases.facts import Facts


class DialOutSettings:
    """Everything raises StoreUnavailable, and NotFound `account_unknown`."""

    def __init__(self, records: RecordStore, facts: Facts, accounts: Accounts) -> None:
        self._records = records
        self._facts = facts
        self._accounts = accounts

    async def put_organizer(
        self, account: str, organizer: str, body: Mapping[str, object], if_match: str | None
    ) -> Saved:
        """Create or replace an organizer. Raises Invalid `id_invalid` and what
        `RecordStore.put` raises."""
        if not is_foreign_id(organizer):
            raise Invalid(f"An organizer's id has {FOREIGN_ID_RULE}.", code="id_invalid")
        key = organizer_key(account, organizer)
        return await self._put(account, Kind.ORGANIZER, key, body, if_match)

    async def read_organizer(self, account: str, organizer: str) -> Record:
        """The organizer as it was put. Raises NotFound `organizer_unknown`."""
        await self._accounts.known(account)
        record = await self._records.get(Kind.ORGANIZER, organizer_key(account, organizer))
        if record is None:
            raise NotFound("There is no such organizer.", code="organizer_unknown")
        return record

    async def put_policy(
        self, account: str, body: Mapping[str, object], if_match: str | None
    ) -> Saved:
        """Create or replace the account's policy. Raises what `RecordStore.put` raises."""
        return await self._put(account, Kind.DIAL_OUT_POLICY, account, body, if_match)

    async def read_policy(self, account: str) -> Record | None:
        """The policy as it was put; None while the defaults hold."""
        await self._accounts.known(account)
        return await self._records.get(Kind.DIAL_OUT_POLICY, account)

    async def _put(
        self,
        account: str,
        kind: Kind,
        key: str,
        body: Mapping[str, object],
        if_match: str | None,
    ) -> Saved:
        await self._accounts.known(account)
        saved = await self._records.put(kind, key, body, if_match=if_match)
        self._facts.drop(kind, key)
        return saved
