"""The one place where things are wired together.

`container()` is this process's house. Everything in it is made once, when it is first asked for:
a function that needs no bus never loads Azure's SDK for it. Tests make a `Container` of their own,
put stand-ins into it by assignment, and `install` it.
"""

from collections.abc import Mapping
from functools import cached_property

from shared.adapters.authentication import new_api_key, new_webhook_secret, presented_api_key
from shared.adapters.records import Records
from shared.adapters.system import RandomIds, SystemClock
from shared.domain.dial_out_facts import OrganizerFacts
from shared.domain.policy import AccountPolicy
from shared.domain.signatures import AuthScheme
from shared.ports import Clock, DueMarks, HoldBook, Ids, Ledger, TableStore
from shared.settings import Settings
from shared.usecases.accounts import Accounts
from shared.usecases.administrators import Administrators
from shared.usecases.api_keys import ApiKeys
from shared.usecases.bridges import Bridges
from shared.usecases.dial_out_settings import DialOutSettings
from shared.usecases.facts import Facts, WireReaders
from shared.usecases.health import HealthChecks
from shared.usecases.registrations import Registrations

BRIDGE_SECRET_BYTES = 32


class Container:
    """What the triggers use, wired."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def clock(self) -> Clock:
        """The time."""
        return SystemClock()

    @cached_property
    def ids(self) -> Ids:
        """Randomness."""
        return RandomIds()

    @cached_property
    def tables(self) -> TableStore:
        """Table storage."""
        from shared.adapters.tables import AzureTables

        return AzureTables(
            connection_string=self.settings.tables_connection_string or "",
            endpoint=self.settings.tables_endpoint or "",
            client_id=self.settings.identity_client_id,
        )

    @cached_property
    def records(self) -> Records:
        """The directory's documents."""
        return Records(self.tables)

    @cached_property
    def facts(self) -> Facts:
        """The directory's facts, cached."""
        return Facts(self.records, self.clock, WireReaders(_read_organizer, _read_policy))

    @cached_property
    def administrators(self) -> Administrators:
        """Lets administrators in."""
        return Administrators(self.facts, presented_api_key, self.settings.bootstrap_admin_key)

    @cached_property
    def due(self) -> DueMarks:
        """What to look at, and when."""
        from shared.adapters.due_marks import TableDueMarks

        return TableDueMarks(self.tables)

    @cached_property
    def ledger(self) -> Ledger:
        """What happened."""
        from shared.adapters.ledger_store import TableLedger

        return TableLedger(self.tables, self.due, self.clock, self.ids, self.settings.chain_key)

    @cached_property
    def holds(self) -> HoldBook:
        """What may happen."""
        from shared.adapters.hold_store import TableHoldBook

        return TableHoldBook(self.tables, self.ledger, self.clock, self.ids)

    @cached_property
    def accounts(self) -> Accounts:
        """Makes, changes and shows accounts."""
        return Accounts(self.records, self.facts, self.ledger, self.holds, self.clock)

    @cached_property
    def registrations(self) -> Registrations:
        """Registers conferences and service numbers."""
        return Registrations(self.records, self.facts, self.accounts, self.clock)

    @cached_property
    def dial_out_settings(self) -> DialOutSettings:
        """Organizers and policies."""
        return DialOutSettings(self.records, self.facts, self.accounts)

    @cached_property
    def bridges(self) -> Bridges:
        """Makes, changes and shows bridges."""
        from shared.adapters.bridges import DIALECTS

        return Bridges(self.records, self.facts, frozenset(DIALECTS), self._new_bridge_secret)

    @cached_property
    def api_keys(self) -> ApiKeys:
        """Makes and takes away API keys."""
        return ApiKeys(self.records, self.facts, self.clock, lambda: new_api_key(self.ids))

    @cached_property
    def health(self) -> HealthChecks:
        """Whether this process can do its work."""

        async def tables() -> object:
            return await self.records.get("account", "health")

        return HealthChecks({"tables": tables}, self.clock)

    def _new_bridge_secret(self, scheme: AuthScheme) -> str:
        if scheme is AuthScheme.STANDARD_WEBHOOKS:
            return new_webhook_secret(self.ids)
        return self.ids.token(BRIDGE_SECRET_BYTES)


_installed: Container | None = None


def container() -> Container:
    """This process's house. Raises SettingsError, which names the missing setting."""
    global _installed  # noqa: PLW0603 - one house a process, made when first asked for
    if _installed is None:
        _installed = Container(Settings.from_environment())
    return _installed


def install(house: Container | None) -> None:
    """Make this the process's house (None: make a new one when asked); for tests and tools."""
    global _installed  # noqa: PLW0603
    _installed = house


def _read_organizer(organizer: str, document: Mapping[str, object]) -> OrganizerFacts:
    from shared.contracts.directory import organizer_facts

    return organizer_facts(organizer, document)


def _read_policy(document: Mapping[str, object]) -> AccountPolicy:
    from shared.contracts.dial_out_policy import DialOutPolicyBody

    return DialOutPolicyBody.model_validate(document).policy()
