"""Bridges: their dialects, authentication and accounts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from shared.domain.common.errors import Invalid, NotFound, SettingsUnreadable
from shared.domain.common.ids import ID_RULE, is_id
from shared.domain.directory.credentials import new_webhook_secret
from shared.domain.directory.entities import Bridge, BridgeInput, BridgeOptions, Control
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth, check_auth
from shared.ports.clock import Ids
from shared.ports.records import RecordStore, SavedDocument, StoredDocument, retire
from shared.usecases.directory import codecs
from shared.usecases.directory.codecs import Kind
from shared.usecases.directory.directory_cache import DirectoryCache

BRIDGE_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class BridgeView:
    """A bridge for display. `new_secret` was created just now and is shown once."""

    bridge: Bridge
    etag: str
    new_secret: str | None = None
    new_control_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Bridges:
    """Makes, changes and shows bridges. Everything raises StoreUnavailable.

    `dialects` are those with a parser. `url_fault` returns the reason against a URL, None for a
    permitted one.
    """

    records: RecordStore
    facts: DirectoryCache
    dialects: frozenset[str]
    ids: Ids
    url_fault: Callable[[str], str | None]

    async def put(
        self, bridge: str, requested: BridgeInput, if_match: str | None
    ) -> tuple[BridgeView, SavedDocument]:
        """Create or replace a bridge. Raises Invalid, and what `RecordStore.put` raises."""
        if not is_id(bridge):
            raise Invalid(f"The id is not valid. A bridge's id has {ID_RULE}.", code="id_invalid")
        if requested.dialect not in self.dialects:
            dialects = ", ".join(sorted(self.dialects))
            raise Invalid.field("/dialect", f"must be one of {dialects}")
        if requested.scheme.is_vendors and requested.scheme.value != requested.dialect:
            raise Invalid.field("/auth/scheme", f"belongs to dialect {requested.scheme.value}")
        if requested.meetings_from == bridge:
            raise Invalid.field("/meetings_from", "must be another bridge")
        before = await self._known(bridge)
        present = before.auth if before else None
        control, new_control_secret = self._control(
            requested.control, before.control if before else None
        )
        new_secret = None
        if requested.secrets is not None:
            secrets = tuple(requested.secrets)
        elif present is not None and present.scheme is requested.scheme:
            secrets = present.secrets
        elif requested.scheme.is_vendors:
            raise Invalid.field("/auth/secrets", "must be given: the vendor makes them")
        else:
            new_secret = self._new_secret(requested.scheme)
            secrets = (new_secret,)
        made = Bridge(
            id=bridge,
            dialect=requested.dialect,
            auth=_checked(BridgeAuth(requested.scheme, secrets, requested.username)),
            accounts=requested.accounts,
            **_options(requested),
            control=control,
        )
        if made.default_account is not None and not made.serves(made.default_account):
            raise Invalid.field("/default_account", "must be one of the bridge's accounts")
        saved = await self.records.put(
            Kind.BRIDGE, bridge, codecs.bridge_document(made), if_match=if_match
        )
        self.facts.drop(Kind.BRIDGE, bridge)
        return BridgeView(made, saved.etag, new_secret, new_control_secret), saved

    async def _known(self, bridge: str) -> Bridge | None:
        """The present settings; None of a bridge that is new or cannot be read."""
        try:
            record = await self.records.get(Kind.BRIDGE, bridge)
            return codecs.bridge(record) if record else None
        except SettingsUnreadable:
            return None

    def _control(
        self, requested: Control | None, present: Control | None
    ) -> tuple[Control | None, str | None]:
        """(the control settings to keep, the secret that was made for them). Raises Invalid."""
        if requested is None:
            return None, None
        if fault := self.url_fault(requested.url):
            raise Invalid.field("/control/url", fault)
        secrets = requested.secrets or (present.secrets if present else ())
        new_secret = None if secrets else self._new_secret(AuthScheme.STANDARD_WEBHOOKS)
        kept = secrets or (new_secret or "",)
        _checked(BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, kept), "/control")
        return Control(requested.url, kept), new_secret

    def _new_secret(self, scheme: AuthScheme) -> str:
        if scheme is AuthScheme.STANDARD_WEBHOOKS:
            return new_webhook_secret(self.ids.token)
        return self.ids.token(BRIDGE_SECRET_BYTES)

    async def delete(self, bridge: str, if_match: str | None) -> None:
        """Refuse the bridge from now on; legs that it posted before are charged as usual.

        Raises NotFound `bridge_unknown`, PreconditionFailed.
        """
        is_removed = await retire(
            self.records, Kind.BRIDGE, Kind.FORMER_BRIDGE, bridge, if_match, _former
        )
        if not is_removed:
            raise _unknown()
        self.facts.drop(Kind.BRIDGE, bridge)
        self.facts.drop(Kind.FORMER_BRIDGE, bridge)

    async def page(
        self, *, prefix: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[BridgeView], str | None]:
        """Bridges by id. Raises Invalid `cursor_invalid`, SettingsUnreadable."""
        records, following = await self.records.list(
            Kind.BRIDGE, limit=limit, cursor=cursor, prefix=prefix
        )
        return [BridgeView(codecs.bridge(each), each.etag) for each in records], following

    async def read(self, bridge: str) -> BridgeView:
        """The bridge. Raises NotFound `bridge_unknown`."""
        record = await self.records.get(Kind.BRIDGE, bridge)
        if record is None:
            raise _unknown()
        return BridgeView(codecs.bridge(record), record.etag)


def _former(record: StoredDocument) -> Mapping[str, object]:
    """A deleted bridge in storage: without its secrets."""
    bridge = codecs.bridge(record)
    auth = replace(bridge.auth, secrets=())
    return codecs.bridge_document(replace(bridge, auth=auth, control=None))


def _options(requested: BridgeInput) -> dict[str, Any]:
    names = {each.name for each in fields(BridgeOptions)} - {"control"}
    return {name: getattr(requested, name) for name in names}


def _unknown() -> NotFound:
    return NotFound(
        "No bridge has this name. List the bridges, or create the bridge with PUT.",
        code="bridge_unknown",
    )


def _checked(auth: BridgeAuth, pointer: str = "/auth") -> BridgeAuth:
    try:
        check_auth(auth)
    except Invalid as error:
        inside = tuple(replace(item, pointer=pointer + item.pointer) for item in error.errors)
        raise Invalid(error.detail, inside) from None
    return auth
