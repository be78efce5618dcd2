"""Documents of alerts and recharges."""

from typing import Literal, Self

from pydantic import model_validator

from shared.contracts.common.fields import AdminBody
from shared.contracts.common.validation import AmountText, ReferenceText
from shared.contracts.directory.accounts import Currency
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount, parse_amount
from shared.domain.credits.alerts import Alert
from shared.domain.credits.recharge import Recharge, RechargeStatus, recharge_id

ALERT_COLUMNS = (
    *("id", "type", "status", "raised_at", "repeats", "acknowledged_at", "acknowledged_by"),
    *("over_at", "recharge", "data"),
)
RECHARGE_COLUMNS = (
    *("id", "account", "status", "amount", "currency", "requested_at", "asks", "next_ask_at"),
    *("answered_at", "reference", "detail", "entry"),
)


class RechargeResultBody(AdminBody):
    """The payment provider's result of a recharge. `hard`: a decline that no retry can change."""

    status: Literal["succeeded", "declined", "pending"]
    amount: AmountText
    currency: Currency
    reference: ReferenceText | None = None
    hard: bool = False

    @model_validator(mode="after")
    def _only_declines_are_hard(self) -> Self:
        if self.hard and self.status != "declined":
            raise ValueError("hard belongs to the status declined")
        return self

    @property
    def recharge_status(self) -> RechargeStatus:
        """The status for the domain."""
        return RechargeStatus(self.status)

    @property
    def amount_micros(self) -> int:
        """The amount in micros."""
        return parse_amount(self.amount)


def recharge_body(account: str, recharge: Recharge, currency: str | None) -> dict[str, object]:
    """A recharge as a JSON object."""
    body: dict[str, object | None] = {
        "id": recharge_id(account, recharge.number),
        "account": account,
        "status": recharge.status.value,
        "amount": format_amount(recharge.amount_micros),
        "currency": currency,
        "requested_at": format_time(recharge.requested_at),
        "asks": recharge.asks,
        "next_ask_at": format_time(recharge.ask_at) if recharge.ask_at else None,
        "answered_at": format_time(recharge.answered_at) if recharge.answered_at else None,
        "reference": recharge.reference,
        "detail": recharge.detail,
        "entry": recharge.entry,
    }
    return {name: value for name, value in body.items() if value is not None}


def alert_body(account: str, alert: Alert) -> dict[str, object]:
    """An alert with its history. `status`: `open`, `acknowledged` or `over`."""
    status = "open"
    if alert.over_at is not None:
        status = "over"
    elif alert.acknowledged_at is not None:
        status = "acknowledged"
    body: dict[str, object | None] = {
        "id": str(alert.number),
        "type": alert.type,
        "status": status,
        "raised_at": format_time(alert.raised_at),
        "repeats": alert.repeats,
        "acknowledged_at": format_time(alert.acknowledged_at) if alert.acknowledged_at else None,
        "acknowledged_by": alert.acknowledged_by,
        "over_at": format_time(alert.over_at) if alert.over_at else None,
        "recharge": recharge_id(account, alert.recharge) if alert.recharge else None,
        "data": dict(alert.data),
    }
    return {name: value for name, value in body.items() if value is not None}
