"""What administrators state about an account, and are shown of it."""

import re
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.dial_out import Id
from shared.contracts.dial_out_policy import AdminBody, Amount, Country
from shared.domain import limits
from shared.domain.alerts import AlertRule
from shared.domain.directory import Account, AccountSettings
from shared.domain.ledger import LedgerState, available_micros
from shared.domain.legs import format_time
from shared.domain.money import format_amount, parse_amount

_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


def _currency(code: str) -> str:
    if not _CURRENCY.fullmatch(code):
        raise ValueError('must be three capital letters, such as "USD"')
    return code


def _time_zone(name: str) -> str:
    try:
        if not _ZONE.fullmatch(name):
            raise ValueError(name)
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError('must be an IANA time zone, such as "Europe/Paris"') from None
    return name


def _label(text: str) -> str:
    if not (text.strip() and text.isprintable() and len(text) <= limits.NAME_CHARS_MAX):
        raise ValueError(f"must have 1–{limits.NAME_CHARS_MAX} printable characters")
    return text


Currency = Annotated[str, AfterValidator(_currency)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Label = Annotated[str, AfterValidator(_label)]


class AlertBody(AdminBody):
    """A threshold on the balance: an amount, or per cent of the last top-up."""

    name: Label
    below: Amount | None = None
    below_percent: Annotated[int, Field(ge=1, le=100)] | None = None

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if (self.below is None) == (self.below_percent is None):
            raise ValueError("needs either below or below_percent")
        return self

    def rule(self) -> AlertRule:
        """The rule for the domain."""
        below = None if self.below is None else parse_amount(self.below)
        return AlertRule(self.name, below, self.below_percent)


class AccountBody(AdminBody):
    """`PUT /api/v1/accounts/{account}`."""

    currency: Currency
    name: Label | None = None
    usage_location: Country | None = None
    time_zone: TimeZone = "UTC"
    credit_limit: Amount = "0"
    rate_card: Id = "default"
    alerts: list[AlertBody] = Field(default_factory=list, max_length=limits.ALERT_RULES_MAX)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len({alert.name for alert in self.alerts}) < len(self.alerts):
            raise ValueError("two alerts have the same name")
        return self

    def settings(self) -> AccountSettings:
        """The settings for the domain."""
        return AccountSettings(
            currency=self.currency,
            name=self.name,
            usage_location=self.usage_location,
            time_zone=self.time_zone,
            credit_limit_micros=parse_amount(self.credit_limit),
            rate_card=self.rate_card,
            alerts=tuple(alert.rule() for alert in self.alerts),
        )


def settings_body(account: Account) -> dict[str, object]:
    """The settings of an account as a JSON object, with the ETag that covers them."""
    settings = account.settings
    body: dict[str, object] = {
        "id": account.id,
        "currency": settings.currency,
        "name": settings.name,
        "usage_location": settings.usage_location,
        "time_zone": settings.time_zone,
        "credit_limit": format_amount(settings.credit_limit_micros),
        "rate_card": settings.rate_card,
        "alerts": [_alert(rule) for rule in settings.alerts],
        "created_at": format_time(account.created_at),
        "etag": f'"{account.settings_version}"',
    }
    return {name: value for name, value in body.items() if value is not None}


def account_body(account: Account, state: LedgerState, held_micros: int) -> dict[str, object]:
    """An account with its money as a JSON object."""
    return {
        **settings_body(account),
        "balance": format_amount(state.balance_micros),
        "held": format_amount(held_micros),
        "available": format_amount(available_micros(state, held_micros)),
        "lots": [
            {
                "id": lot.id,
                "kind": lot.kind.value,
                "amount": format_amount(lot.amount_micros),
                "remaining": format_amount(lot.remaining_micros),
                "purchased_at": format_time(lot.purchased_at),
                "expires_at": format_time(lot.expires_at) if lot.expires_at else None,
            }
            for lot in state.lots
        ],
    }


def _alert(rule: AlertRule) -> dict[str, object]:
    if rule.below_micros is not None:
        return {"name": rule.name, "below": format_amount(rule.below_micros)}
    return {"name": rule.name, "below_percent": rule.below_percent}
