"""Documents of accounts."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from shared.contracts.common.fields import AdminBody, Amount, Country, ForeignId, Id, TimeZone
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.formulas import FORMULA_RULE, is_formula
from shared.domain.common.money import format_amount, parse_amount
from shared.domain.credits.alerts import AlertRule, MinutesRule, SpendRule
from shared.domain.credits.recharge import AutoRecharge
from shared.domain.directory.entities import Account, AccountSettings
from shared.domain.ledger.model import LedgerState, available_micros

ACCOUNT_COLUMNS = (
    *("id", "currency", "name", "usage_location", "time_zone", "credit_limit", "rate_card"),
    *(
        "alerts",
        "auto_recharge",
        "emails",
        "language",
        "subscription_licenses",
        "carrier_card",
        "created_at",
    ),
)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}", re.ASCII)


def _currency(code: str) -> str:
    if not _CURRENCY.fullmatch(code):
        raise ValueError('must be three capital letters, such as "USD"')
    return code


def _label(text: str) -> str:
    if not (text.strip() and text.isprintable() and len(text) <= limits.NAME_CHARS_MAX):
        raise ValueError(f"must have 1–{limits.NAME_CHARS_MAX} printable characters")
    if is_formula(text):
        raise ValueError(FORMULA_RULE)
    return text


def _email(text: str) -> str:
    if (
        not _EMAIL.fullmatch(text)
        or len(text) > limits.EMAIL_CHARS_MAX
        or set('"<>,;:\\') & set(text)
    ):
        raise ValueError("must be an e-mail address")
    return text


def _above_zero(text: str) -> str:
    if parse_amount(text) <= 0:
        raise ValueError("must be above zero")
    return text


Currency = Annotated[str, AfterValidator(_currency)]
Label = Annotated[str, AfterValidator(_label)]
Email = Annotated[str, AfterValidator(_email)]
Positive = Annotated[str, AfterValidator(_above_zero)]
_HOURS_PER_DAY = 24
type _Rule = AlertRule | MinutesRule | SpendRule


class AlertBody(AdminBody):
    """A threshold on the balance: an amount, per cent of the last top-up, or the expected cost of
    the next days or hours at the present burn rate. On the open calls: minutes that the available
    credit lasts. On the charges of a period: an amount, with the per cent of it at which an event
    is emitted, of all legs or of a kind, an organizer, a cost center."""

    name: Label
    below: Amount | None = None
    below_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    days_left: Annotated[int, Field(ge=1, le=limits.ALERT_DAYS_MAX)] | None = None
    hours_left: Annotated[int, Field(ge=1, le=limits.ALERT_DAYS_MAX * _HOURS_PER_DAY)] | None = None
    minutes_left: Annotated[int, Field(ge=1, le=limits.ALERT_MINUTES_MAX)] | None = None
    spend: Positive | None = None
    period: Literal["day", "month"] | None = None
    at_percent: (
        Annotated[
            list[Annotated[int, Field(ge=1, le=limits.SPEND_PERCENT_MAX)]],
            Field(min_length=1, max_length=limits.SPEND_STEPS_MAX),
        ]
        | None
    ) = None
    kind: Literal["dial_in", "dial_out"] | None = None
    organizer: ForeignId | None = None
    cost_center: Label | None = None

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        given = (self.below, self.below_percent, self.days_left, self.hours_left)
        if sum(each is not None for each in (*given, self.minutes_left, self.spend)) != 1:
            raise ValueError(
                "needs one of below, below_percent, days_left, hours_left, minutes_left and spend"
            )
        of_spend = (self.period, self.at_percent, self.kind, self.organizer, self.cost_center)
        if self.spend is None and any(each is not None for each in of_spend):
            raise ValueError("period, at_percent, kind, organizer and cost_center belong to spend")
        return self

    def rule(self) -> _Rule:
        """The rule for the domain."""
        if self.minutes_left is not None:
            return MinutesRule(self.name, self.minutes_left)
        if self.spend is not None:
            return SpendRule(
                name=self.name,
                limit_micros=parse_amount(self.spend),
                period=self.period or "month",
                at_percent=tuple(sorted(set(self.at_percent or limits.SPEND_PERCENT_DEFAULT))),
                kind=self.kind,
                organizer=self.organizer,
                cost_center=self.cost_center,
            )
        below = None if self.below is None else parse_amount(self.below)
        hours = self.hours_left
        if self.days_left is not None:
            hours = self.days_left * _HOURS_PER_DAY
        return AlertRule(self.name, below, self.below_percent, hours_left=hours)


class AutoRechargeBody(AdminBody):
    """Requests a recharge when the balance is below `trigger`: whole multiples of `amount`."""

    trigger: Amount
    amount: Positive
    max_per_day: Annotated[int, Field(ge=1, le=limits.RECHARGES_PER_DAY_MAX)] = (
        limits.RECHARGES_PER_DAY_DEFAULT
    )
    max_per_month: Annotated[int, Field(ge=1, le=limits.RECHARGES_PER_MONTH_MAX)] = (
        limits.RECHARGES_PER_MONTH_DEFAULT
    )
    max_amount_per_month: Positive | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        most = self.max_amount_per_month
        if most is not None and parse_amount(most) < parse_amount(self.amount):
            raise ValueError("max_amount_per_month is below amount: no recharge could be made")
        return self

    def auto_recharge(self) -> AutoRecharge:
        """The body in domain units."""
        most = self.max_amount_per_month
        return AutoRecharge(
            trigger_micros=parse_amount(self.trigger),
            amount_micros=parse_amount(self.amount),
            max_per_day=self.max_per_day,
            max_per_month=self.max_per_month,
            max_amount_per_month_micros=None if most is None else parse_amount(most),
        )


class AccountBody(AdminBody):
    """`PUT /api/v1/accounts/{account}`."""

    currency: Currency
    name: Label | None = None
    usage_location: Country | None = None
    time_zone: TimeZone = "UTC"
    credit_limit: Amount = "0"
    rate_card: Id = "default"
    alerts: list[AlertBody] = Field(default_factory=list, max_length=limits.ALERT_RULES_MAX)
    auto_recharge: AutoRechargeBody | None = None
    emails: list[Email] = Field(default_factory=list, max_length=limits.ACCOUNT_EMAILS_MAX)
    language: Literal["en", "fr"] = "en"
    subscription_licenses: Annotated[int, Field(ge=0, le=limits.SUBSCRIPTION_LICENSES_MAX)] = 0
    carrier_card: Id | None = None

    @field_validator("alerts")
    @classmethod
    def _names_differ(cls, rules: list[AlertBody]) -> list[AlertBody]:
        if len({rule.name for rule in rules}) < len(rules):
            raise ValueError("two alerts have the same name")
        return rules

    def settings(self) -> AccountSettings:
        """The settings for the domain."""
        rules = [alert.rule() for alert in self.alerts]
        return AccountSettings(
            currency=self.currency,
            name=self.name,
            usage_location=self.usage_location,
            time_zone=self.time_zone,
            credit_limit_micros=parse_amount(self.credit_limit),
            rate_card=self.rate_card,
            alerts=tuple(rule for rule in rules if isinstance(rule, AlertRule)),
            minutes_rules=tuple(rule for rule in rules if isinstance(rule, MinutesRule)),
            spend_rules=tuple(rule for rule in rules if isinstance(rule, SpendRule)),
            alert_order=tuple(rule.name for rule in rules),
            auto_recharge=self.auto_recharge.auto_recharge() if self.auto_recharge else None,
            emails=tuple(dict.fromkeys(self.emails)),
            language=self.language,
            subscription_licenses=self.subscription_licenses,
            carrier_card=self.carrier_card,
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
        "alerts": _alerts(settings),
        "auto_recharge": _auto(settings.auto_recharge) if settings.auto_recharge else None,
        "emails": list(settings.emails) or None,
        "language": settings.language if settings.emails else None,
        "subscription_licenses": settings.subscription_licenses or None,
        "carrier_card": settings.carrier_card,
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
        **_pool(state),
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


def _pool(state: LedgerState) -> dict[str, object]:
    """The pool of included minutes and its use, if there is one."""
    if not (state.pool_seconds or state.pools):
        return {}
    used = [{"month": pool.month, "used_seconds": pool.used_seconds} for pool in state.pools]
    return {"pool": {"seconds_per_month": state.pool_seconds, "months": used}}


def _alerts(settings: AccountSettings) -> list[dict[str, object]]:
    rules: list[_Rule] = [*settings.alerts, *settings.minutes_rules, *settings.spend_rules]
    place = {name: number for number, name in enumerate(settings.alert_order)}
    return [_alert(rule) for rule in sorted(rules, key=lambda rule: place.get(rule.name, 0))]


def _alert(rule: _Rule) -> dict[str, object]:
    if isinstance(rule, MinutesRule):
        return {"name": rule.name, "minutes_left": rule.minutes_left}
    if isinstance(rule, SpendRule):
        filters = {
            "kind": rule.kind,
            "organizer": rule.organizer,
            "cost_center": rule.cost_center,
        }
        return {
            "name": rule.name,
            "spend": format_amount(rule.limit_micros),
            "period": rule.period,
            "at_percent": list(rule.at_percent),
            **{name: value for name, value in filters.items() if value is not None},
        }
    if rule.below_micros is not None:
        return {"name": rule.name, "below": format_amount(rule.below_micros)}
    if rule.below_percent is not None:
        return {"name": rule.name, "below_percent": rule.below_percent}
    days, hours = divmod(rule.hours_left or 0, _HOURS_PER_DAY)
    if hours:
        return {"name": rule.name, "hours_left": rule.hours_left}
    return {"name": rule.name, "days_left": days}


def _auto(recharge: AutoRecharge) -> dict[str, object]:
    most = recharge.max_amount_per_month_micros
    return {
        "trigger": format_amount(recharge.trigger_micros),
        "amount": format_amount(recharge.amount_micros),
        "max_per_day": recharge.max_per_day,
        "max_per_month": recharge.max_per_month,
        **({} if most is None else {"max_amount_per_month": format_amount(most)}),
    }
