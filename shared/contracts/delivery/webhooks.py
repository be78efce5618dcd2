"""Documents of customers' webhooks and deliveries."""

from pydantic import Field

from shared.contracts.common.fields import AdminBody
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.credits.alerts import EVENT_TYPES
from shared.domain.delivery.webhooks import Delivery, Webhook, masked_url

WEBHOOK_COLUMNS = ("name", "url", "events", "status", "created_at")
DELIVERY_COLUMNS = (
    *("id", "type", "status", "attempts", "accepted_at", "first_attempt_at", "next_attempt_at"),
    *("ended_at", "answer", "error"),
)


class WebhookBody(AdminBody):
    """`PUT /api/v1/accounts/{account}/webhooks/{name}`. `rotate_secret`: create a new secret; the
    old one also signs for a day."""

    url: str = Field(max_length=limits.WEBHOOK_URL_CHARS_MAX)
    events: list[str] = Field(min_length=1, max_length=len(EVENT_TYPES) + 1)
    rotate_secret: bool = False


def webhook_body(
    webhook: Webhook, etag: str, *, stopped: bool, new_secret: str | None, masked: bool
) -> dict[str, object]:
    """A webhook as a JSON object, with its secret only if it was just generated. `masked` removes
    the query of the URL, for callers who may not write webhooks."""
    body: dict[str, object | None] = {
        "name": webhook.name,
        "url": masked_url(webhook.url) if masked else webhook.url,
        "events": list(webhook.events),
        "status": "stopped" if stopped else "active",
        "created_at": format_time(webhook.created_at),
        "etag": etag,
        "secret": new_secret,
    }
    return {name: value for name, value in body.items() if value is not None}


def delivery_body(delivery: Delivery) -> dict[str, object]:
    """A delivery as a JSON object; its id is that of its event."""
    body: dict[str, object | None] = {
        "id": delivery.event,
        "type": delivery.type,
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "accepted_at": format_time(delivery.accepted_at),
        "first_attempt_at": format_time(delivery.first_at) if delivery.first_at else None,
        "next_attempt_at": format_time(delivery.next_at) if delivery.next_at else None,
        "ended_at": format_time(delivery.ended_at) if delivery.ended_at else None,
        "answer": delivery.answer,
        "error": delivery.error,
    }
    return {name: value for name, value in body.items() if value is not None}
