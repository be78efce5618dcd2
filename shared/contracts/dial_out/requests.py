"""Requests of bridges to authorize calls, and their responses (docs/dial-out.md)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.contracts.common.fields import AdminBody, BridgeRequestBody, CallSeconds, ForeignId, Id
from shared.contracts.common.times import read_time
from shared.contracts.common.validation import TimeText
from shared.domain.common.canonical import format_time
from shared.domain.common.counts import counted
from shared.domain.common.errors import FieldError, Invalid
from shared.domain.common.money import format_amount, format_price
from shared.domain.dial_out.facts import Allowance, CheckResult, Denial
from shared.domain.dial_out.hold_decisions import Granted
from shared.domain.dial_out.policy import CallContext
from shared.domain.numbers.regions import country_name


class DialInRequest(BridgeRequestBody):
    """A request to authorize a caller. `to` is the called service number."""

    to: str
    conference_id: ForeignId | None = None
    organizer_id: ForeignId | None = None
    account: Id | None = None
    from_number: str | None = Field(default=None, alias="from")
    leg_id: ForeignId | None = None
    requested_seconds: CallSeconds | None = None
    explain: bool = False
    dry_run: bool = False


class DialOutRequest(DialInRequest):
    """A request to dial a number. `to` may be any text: a text that is no number is denied.

    `normalize` reads `to` as dialled in the bridge's country (`00…`, `011…`, national). `call` is
    "user" for a user's own call, named by `organizer_id`, instead of a meeting's dial-out.
    """

    normalize: bool = False
    call: Literal["meeting", "user"] = "meeting"

    @property
    def half(self) -> CallContext:
        """The half of the policy that this call is under."""
        return CallContext.PSTN if self.call == "user" else CallContext.CONFERENCE


class TryBody(AdminBody):
    """A dial-out to play for an account, of an organizer or of a registered conference."""

    to: str = Field(max_length=200)
    conference_id: ForeignId | None = None
    organizer_id: ForeignId | None = None
    requested_seconds: CallSeconds | None = None
    normalize: bool = False
    call: Literal["meeting", "user"] = "meeting"

    @property
    def half(self) -> CallContext:
        """The half of the policy that this call is under."""
        return CallContext.PSTN if self.call == "user" else CallContext.CONFERENCE


class ExtendRequest(BridgeRequestBody):
    """The total of requested seconds, counted from the first answer. A signed request names its
    `authorization` too: the signature does not cover the path."""

    seconds: CallSeconds
    authorization: str | None = None

    def check(self, authorization: str, *, signed: bool) -> None:
        """Passes a body that belongs to the path. Raises Invalid."""
        _raise(_authorization_errors(self.authorization, authorization, signed=signed))


class ReleaseRequest(BridgeRequestBody):
    """A release of a call that did not happen. In a signed request the body repeats `authorization`
    of the path, with `release` true."""

    authorization: str | None = None
    release: bool | None = None

    def check(self, authorization: str, *, signed: bool) -> None:
        """Passes a body that belongs to the path and requests a release. Raises Invalid."""
        errors = _authorization_errors(self.authorization, authorization, signed=signed)
        if self.release is False or (signed and not self.release):
            errors.append(FieldError("/release", "must be true"))
        _raise(errors)


class AnsweredRequest(BridgeRequestBody):
    """A report that a call was answered. `authorization` may repeat that of the path."""

    answered_at: TimeText | None = None
    authorization: str | None = None

    def check(self, authorization: str) -> None:
        """Passes a body that belongs to the path. Raises Invalid."""
        _raise(_authorization_errors(self.authorization, authorization, signed=False))

    def moment(self) -> datetime | None:
        """The time of the answer, None where the body has none."""
        return read_time(self.answered_at) if self.answered_at else None


def _authorization_errors(named: str | None, in_path: str, *, signed: bool) -> list[FieldError]:
    if named == in_path or (named is None and not signed):
        return []
    detail = "is missing: a signed request names it" if named is None else "is not that of the path"
    return [FieldError("/authorization", detail)]


def _raise(errors: list[FieldError]) -> None:
    if errors:
        count = len(errors)
        fields = counted(count, "field is", "fields are")
        raise Invalid(f"{fields} wrong.", tuple(errors))


def allowed_body(
    allowance: Allowance, checks: Sequence[CheckResult] | None = None
) -> dict[str, object]:
    """The response that allows a call, as a JSON object."""
    destination = allowance.destination
    body: dict[str, object] = {
        "decision": "allow",
        "authorization": allowance.authorization,
        "granted_seconds": allowance.granted_seconds,
        "final": allowance.final,
        "ends_by": allowance.ends_by or None,
        "pool_seconds": allowance.pool_seconds or None,
        "expires_at": format_time(allowance.expires_at) if allowance.expires_at else None,
        "price_per_minute": format_price(allowance.price_per_minute_picos),
        "connection_fee": format_price(allowance.connection_fee_picos),
        "currency": allowance.currency,
        "held": format_amount(allowance.held_micros),
        "destination": {
            "number": destination.number,
            "region": destination.region,
            "name": country_name(destination.region),
            "prefix": destination.prefix,
            "number_class": destination.number_class.value,
        },
    }
    present = {name: value for name, value in body.items() if value is not None}
    return _with_checks(present, checks)


def extended_body(answer: Mapping[str, object], granted: Granted) -> dict[str, object]:
    """The response to an extension: that of the allowance, with the seconds now granted."""
    hold = granted.hold
    changing = {"final", "ends_by", "pool_seconds", "checks"}
    body: dict[str, object] = {name: answer[name] for name in answer if name not in changing}
    body |= {
        "granted_seconds": hold.granted_seconds,
        "final": granted.ends_by is not None,
        "expires_at": format_time(hold.expires_at),
        "held": format_amount(hold.amount_micros),
    }
    if granted.ends_by is not None:
        body["ends_by"] = granted.ends_by.value
    if hold.pool_seconds:
        body["pool_seconds"] = hold.pool_seconds
    return body


def denied_body(denial: Denial, checks: Sequence[CheckResult] | None = None) -> dict[str, object]:
    """The response that denies a call, as a JSON object."""
    body = {"decision": "deny", "reason": denial.reason.value, "message": denial.message}
    return _with_checks(body, checks)


def _with_checks(
    body: Mapping[str, object], checks: Sequence[CheckResult] | None
) -> dict[str, object]:
    if checks is None:
        return dict(body)
    return {**body, "checks": [_check_line(check) for check in checks]}


def _check_line(check: CheckResult) -> dict[str, str]:
    line = {"check": check.check, "outcome": check.outcome.value, "detail": check.detail}
    return line if check.reason is None else {**line, "reason": check.reason.value}
