"""Re-rating and price simulation: requests and results."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.contracts.common.fields import AdminBody, Id
from shared.contracts.common.validation import ReasonText, TimeText
from shared.contracts.rate_cards.json_format import JsonObject
from shared.domain.charging.rerating import Difference, RerateOutcome, RerateStatus, add_up
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.common.opaque import from_cursor, to_cursor
from shared.domain.ledger.stored_charge import RatedBy
from shared.domain.legs.leg import encode_leg_key

RERATING_COLUMNS = (
    *("account", "leg", "entry", "answered_at", "talk_seconds", "status", "reason"),
    *("before", "before_card", "before_version", "before_prefix", "before_destination"),
    *("after", "after_card", "after_version", "after_prefix", "after_destination"),
    *("difference", "currency"),
)
_QUIET = frozenset({RerateStatus.UNCHANGED, RerateStatus.PRESENT})
_SHOWN_LEG_CHARS_MAX = 400

LegName = Annotated[str, Field(min_length=3, max_length=_SHOWN_LEG_CHARS_MAX)]


class _RerateQuery(AdminBody):
    """The card by which legs are re-rated, and the position of the last answer."""

    rate_card: Id | None = None
    version: TimeText | None = None
    limit: Annotated[int, Field(ge=1, le=limits.RERATE_LEGS_MAX)] = limits.RERATE_LEGS_DEFAULT
    cursor: Annotated[str, Field(max_length=limits.TABLE_CURSOR_CHARS_MAX)] | None = None


class ReratingBody(_RerateQuery):
    """`POST /api/v1/reratings`: a dry run unless `dry_run` is false; then `reason` is needed."""

    accounts: Annotated[list[Id], Field(min_length=1, max_length=limits.LIST_ITEMS_MAX)] | None = (
        None
    )
    legs: Annotated[list[LegName], Field(min_length=1, max_length=limits.LIST_ITEMS_MAX)] | None = (
        None
    )
    since: TimeText | None = Field(default=None, alias="from")
    until: TimeText | None = Field(default=None, alias="to")
    charged_by: Id | None = None
    dry_run: bool = True
    reason: ReasonText | None = None

    @model_validator(mode="after")
    def _which_legs(self) -> Self:
        if (self.legs is None) == (self.since is None):
            raise ValueError("needs either from (and to), or legs")
        if self.legs is not None and (self.accounts is None or len(self.accounts) != 1):
            raise ValueError("needs the one account of the legs")
        if self.legs is not None and self.until is not None:
            raise ValueError("takes no 'to' together with 'legs'")
        if not self.dry_run and self.reason is None:
            raise ValueError("needs a reason, unless it is a dry run")
        return self


class PriceWhatIfBody(_RerateQuery):
    """`POST /api/v1/accounts/{account}/rate-card/what-if`: a month, the last one if left out."""

    rate_card: Id
    month: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")] | None = None


def rerating_body(outcomes: Sequence[RerateOutcome], *, dry_run: bool) -> JsonObject:
    """Sums, and every leg that differs or was skipped with its reason."""
    sums = add_up(outcomes)
    return {
        "dry_run": dry_run,
        "legs": len(outcomes),
        "changed": sum(outcome.differs for outcome in outcomes),
        "skipped": {reason.value: count for reason, count in sums.skipped.items()},
        "accounts": [
            {"account": account, "currency": currency, **_difference(each)}
            for (account, currency), each in sorted(sums.accounts.items())
        ],
        "destinations": [
            {"destination": name, "currency": currency, **_difference(each)}
            for (currency, name), each in sorted(sums.destinations.items())
        ],
        "items": [_item(outcome) for outcome in outcomes if outcome.status not in _QUIET],
    }


def proposal_body(
    card: str,
    span: tuple[datetime, datetime],
    accounts: Sequence[tuple[str, int]],
    *,
    is_complete: bool,
) -> JsonObject:
    """The re-rating that a backdated version calls for, with the dry run that shows its effect."""
    since, until = (format_time(moment) for moment in span)
    body: JsonObject = {"charged_by": card, "from": since, "to": until}
    if is_complete and len(accounts) <= limits.LIST_ITEMS_MAX:
        body["accounts"] = [account for account, _ in accounts]
    return {
        "legs": sum(count for _, count in accounts),
        "accounts": [{"account": account, "legs": count} for account, count in accounts],
        "complete": is_complete,
        **(
            {"dry_run": {"method": "POST", "path": "/api/v1/reratings", "body": body}}
            if accounts or not is_complete
            else {}
        ),
    }


def rerating_row(outcome: RerateOutcome) -> JsonObject:
    """A leg as a row of RERATING_COLUMNS."""
    row: JsonObject = {
        "account": outcome.account,
        "leg": encode_leg_key(outcome.leg),
        "entry": outcome.entry,
        "answered_at": outcome.answered_at,
        "talk_seconds": outcome.talk_seconds,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "before": format_amount(outcome.before_micros),
        "after": format_amount(outcome.after_micros),
        "difference": format_amount(outcome.after_micros - outcome.before_micros),
        "currency": outcome.currency,
    }
    for name, rate in (("before", outcome.before), ("after", outcome.after)):
        for field, value in _rate(rate).items():
            row[f"{name}_{field}"] = value
    return row


def write_cursor(accounts: str | None, place: tuple[int, int] | None) -> str:
    """The position at which the next request continues, as opaque text."""
    return to_cursor(json.dumps([accounts, list(place) if place else None]))


def read_cursor(cursor: str) -> tuple[str | None, tuple[int, int] | None]:
    """The reverse of `write_cursor`. Raises Invalid `cursor_invalid`."""
    return from_cursor(cursor, _position)


def _position(text: str) -> tuple[str | None, tuple[int, int] | None]:
    accounts, place = json.loads(text)
    if accounts is not None and not isinstance(accounts, str):
        raise TypeError("no account")
    if place is None:
        return accounts, None
    commit, skip = place
    return accounts, (_count(commit), _count(skip))


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise TypeError("no number")
    return value


def _item(outcome: RerateOutcome) -> JsonObject:
    item: JsonObject = {
        "account": outcome.account,
        "leg": encode_leg_key(outcome.leg),
        "entry": outcome.entry,
        "answered_at": outcome.answered_at,
        "talk_seconds": outcome.talk_seconds,
        "status": outcome.status.value,
        "before": {"amount": format_amount(outcome.before_micros), **_rate(outcome.before)},
    }
    if outcome.reason is not None:
        return {**item, "reason": outcome.reason.value}
    item["after"] = {"amount": format_amount(outcome.after_micros), **_rate(outcome.after)}
    item["difference"] = format_amount(outcome.after_micros - outcome.before_micros)
    return {**item, "entries": list(outcome.entries)} if outcome.entries else item


def _rate(rate: RatedBy | None) -> Mapping[str, str]:
    if rate is None:
        return {}
    return {
        "card": rate.card,
        "version": rate.version,
        "prefix": rate.prefix,
        "destination": rate.destination,
    }


def _difference(sums: Difference) -> JsonObject:
    return {
        "legs": sums.legs,
        "changed": sums.changed,
        "before": format_amount(sums.before_micros),
        "after": format_amount(sums.after_micros),
        "difference": format_amount(sums.after_micros - sums.before_micros),
    }
