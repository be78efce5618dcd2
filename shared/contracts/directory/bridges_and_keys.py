"""Documents of bridges and API keys."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.contracts.common.fields import AdminBody, CallSeconds, Country, ForeignId, Id
from shared.contracts.common.validation import TimeText
from shared.contracts.directory.accounts import Label
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.documents import from_document, to_document
from shared.domain.common.ids import ID_RULE, is_id, is_service_number
from shared.domain.directory.access import ALL_ACCOUNTS, Role
from shared.domain.directory.entities import ApiKey, Bridge, BridgeInput, Control
from shared.domain.directory.request_signatures import AuthScheme

API_KEY_COLUMNS = (
    *("id", "name", "roles", "accounts", "created_at", "expires_at", "last_used_at", "actor"),
)


def _account(text: str) -> str:
    if text != ALL_ACCOUNTS and not is_id(text):
        raise ValueError(f'must be "*" or an account: {ID_RULE}')
    return text


def _public_url(text: str) -> str:
    if len(text) > limits.PUBLIC_URL_CHARS_MAX or not _URL.fullmatch(text):
        raise ValueError("must be an http or https URL without query and fragment")
    return text


def _service_number(text: str) -> str:
    if not is_service_number(text):
        raise ValueError("must be a number in E.164, such as +33170180042")
    return text


_URL = re.compile(r"https?://[^/?#\s]+[!\"$->@-~]*", re.ASCII)
PublicUrl = Annotated[str, AfterValidator(_public_url)]
ServiceNumber = Annotated[str, AfterValidator(_service_number)]
Account = Annotated[str, AfterValidator(_account)]
Secrets = Annotated[list[str], Field(min_length=1, max_length=limits.BRIDGE_SECRETS_MAX)]
RoleName = Literal["reader", "finance", "operator", "payments", "admin"]


class AuthBody(AdminBody):
    """The authentication scheme of a bridge and its secrets, which no response contains."""

    scheme: Literal[
        "standard-webhooks", "basic", "bearer", "twilio", "livekit", "bigbluebutton", "zoom"
    ] = "standard-webhooks"
    username: str | None = None
    secrets: Secrets | None = None
    public_url: PublicUrl | None = None


class ControlBody(AdminBody):
    """The URL that takes the events `call.warning` and `call.end`, and the secrets that sign them,
    which no response contains."""

    url: str
    secrets: Secrets | None = None


class BridgeBody(AdminBody):
    """`PUT /api/v1/bridges/{bridge}`."""

    dialect: str
    auth: AuthBody = AuthBody()
    accounts: Annotated[list[Account], Field(min_length=1, max_length=limits.BRIDGE_ACCOUNTS_MAX)]
    default_account: Id | None = None
    country: Country | None = None
    on_outage: Literal["deny", "allow"] = "deny"
    assumed_seconds: CallSeconds | None = None
    disabled: bool = False
    public_url: PublicUrl | None = None
    wait_seconds: Annotated[int, Field(ge=1, le=limits.WAIT_SECONDS_MAX)] = (
        limits.WAIT_SECONDS_DEFAULT
    )
    outbound_contexts: Annotated[
        list[ForeignId], Field(max_length=limits.OUTBOUND_CONTEXTS_MAX)
    ] = []
    service_number: ServiceNumber | None = None
    meetings_from: Id | None = None
    control: ControlBody | None = None

    def to_input(self) -> BridgeInput:
        """The body as the domain's input."""
        auth, control = self.auth, self.control
        return from_document(
            BridgeInput,
            self.model_dump(exclude={"auth"}),
            scheme=AuthScheme(auth.scheme),
            username=auth.username,
            secrets=None if auth.secrets is None else tuple(auth.secrets),
            public_url=self.public_url or auth.public_url,
            control=control and Control(control.url, tuple(control.secrets or ())),
        )


class ApiKeyBody(AdminBody):
    """`POST /api/v1/api-keys`."""

    name: Label
    roles: Annotated[list[RoleName], Field(min_length=1)]
    accounts: Annotated[list[Account], Field(min_length=1, max_length=limits.API_KEY_ACCOUNTS_MAX)]
    expires_at: TimeText | None = None

    def role_set(self) -> frozenset[Role]:
        """The roles for the domain."""
        return frozenset(Role(role) for role in self.roles)


BRIDGE_COLUMNS = (
    *("id", "dialect", "auth", "accounts", "default_account", "country", "on_outage"),
    *("assumed_seconds", "disabled", "public_url", "wait_seconds", "outbound_contexts"),
    *("service_number", "meetings_from", "control", "etag"),
)


def bridge_body(
    bridge: Bridge, etag: str, new_secret: str | None, new_control_secret: str | None = None
) -> dict[str, object]:
    """A bridge as a JSON object, with those of its secrets that were just generated."""
    auth: dict[str, object] = {"scheme": bridge.auth.scheme.value}
    if bridge.auth.username is not None:
        auth["username"] = bridge.auth.username
    if new_secret is not None:
        auth["secrets"] = [new_secret]
    control: dict[str, object] | None = {"url": bridge.control.url} if bridge.control else None
    if control is not None and new_control_secret is not None:
        control["secrets"] = [new_control_secret]
    values = {**to_document(bridge), "auth": auth, "control": control, "etag": etag}
    values["outbound_contexts"] = values["outbound_contexts"] or None
    return {name: values[name] for name in BRIDGE_COLUMNS if values[name] is not None}


def api_key_body(key: ApiKey, last_used_at: datetime | None) -> dict[str, object]:
    """An API key as a JSON object, without its secret."""
    used = format_time(last_used_at) if last_used_at else None
    values = {**to_document(key), "last_used_at": used}
    return {name: values[name] for name in API_KEY_COLUMNS}
