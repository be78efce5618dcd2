"""Customers' webhooks: settings, deliveries from the topic, retries by a timer."""

from bisect import bisect_right
from functools import partial
from typing import TYPE_CHECKING, List

import azure.functions as func

from functions.http import (
    ApiCall,
    ItemPage,
    admin_route,
    new_blueprint,
    no_content,
    reply,
    reply_list,
    reply_saved,
)
from functions.timers import skip_on_outage
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE
from shared.domain.directory.access import READERS, Role

if TYPE_CHECKING:
    from shared.contracts.delivery.webhooks import WebhookBody

bp = new_blueprint()
_PATH = "v1/accounts/{account}/webhooks"
_SETTERS = frozenset({Role.FINANCE, Role.OPERATOR})


@bp.function_name("deliver_events")
@bp.service_bus_topic_trigger(
    arg_name="messages",
    topic_name="%CREDIT_EVENTS_TOPIC%",
    subscription_name="webhooks",
    connection="ServiceBus",
    cardinality=func.Cardinality.MANY,
    data_type=func.DataType.BINARY,
)
async def deliver_events(messages: List[func.ServiceBusMessage]) -> None:
    """Store a delivery for each receiver, then send. Raises only if a delivery could not be stored:
    then the batch is redelivered."""
    from shared.usecases.delivery.deliver_events import report

    bodies = [message.get_body() for message in messages]
    services = container()
    seconds = services.settings.batch_deadline_seconds
    report(await services.deliver_events(bodies, seconds=seconds), "topic")


@bp.function_name("retry_deliveries")
@bp.timer_trigger(
    arg_name="timer", schedule="%WEBHOOK_SCHEDULE%", run_on_startup=False, use_monitor=True
)
@skip_on_outage
async def retry_deliveries(timer: func.TimerRequest) -> None:
    """Retry failed deliveries, and continue those of a process that stopped."""
    from shared.usecases.delivery.deliver_events import report

    services = container()
    done = await services.deliver_events.retry(seconds=services.settings.batch_deadline_seconds)
    report(done, "late timer" if timer.past_due else "timer")


@admin_route(bp, "GET", _PATH, READERS, queries=PAGE)
async def list_webhooks(call: ApiCall) -> func.HttpResponse:
    """An account's webhooks, without their secrets; readers see no query of a URL."""
    from shared.contracts.delivery.webhooks import WEBHOOK_COLUMNS, webhook_body

    account = call.path("account")
    await container().facts.require_account(account)
    names = [hook.name for hook in await container().webhooks.of_account(account)]
    views = [await container().webhooks.read(account, name) for name in names]
    masked = not call.principal.holds_one_of(_SETTERS)
    bodies = [
        webhook_body(v.webhook, v.etag, stopped=v.stopped, new_secret=None, masked=masked)
        for v in views
    ]

    async def fetch(limit: int, cursor: str | None) -> ItemPage:
        names = [str(body["name"]) for body in bodies]
        start = bisect_right(names, cursor or "")
        following = names[start + limit - 1] if start + limit < len(names) else None
        return bodies[start : start + limit], following

    return await reply_list(call, fetch, WEBHOOK_COLUMNS, f"{account}-webhooks.csv")


@admin_route(bp, "GET", f"{_PATH}/{{name}}", READERS)
async def get_webhook(call: ApiCall) -> func.HttpResponse:
    """A webhook without its secret; `status` is `stopped` once its receiver answered 410. Readers
    see no query of the URL."""
    from shared.contracts.delivery.webhooks import webhook_body

    view = await container().webhooks.read(call.path("account"), call.path("name"))
    masked = not call.principal.holds_one_of(_SETTERS)
    body = webhook_body(
        view.webhook, view.etag, stopped=view.stopped, new_secret=None, masked=masked
    )
    return reply(body, etag=view.etag)


@admin_route(bp, "PUT", f"{_PATH}/{{name}}", _SETTERS, body="delivery.webhooks:WebhookBody")
async def put_webhook(call: ApiCall, body: "WebhookBody") -> func.HttpResponse:
    """Create or replace a webhook; a generated secret is in this response only."""
    from shared.contracts.delivery.webhooks import webhook_body
    from shared.usecases.delivery.manage_webhooks import WebhookInput

    settings = WebhookInput(body.url, tuple(dict.fromkeys(body.events)), body.rotate_secret)
    account, name = call.path("account"), call.path("name")
    view, saved = await container().webhooks.put(account, name, settings, call.if_match())
    shown = webhook_body(
        view.webhook, view.etag, stopped=False, new_secret=view.new_secret, masked=False
    )
    return reply_saved(shown, saved)


@admin_route(bp, "DELETE", f"{_PATH}/{{name}}", _SETTERS, if_match=True)
async def delete_webhook(call: ApiCall) -> func.HttpResponse:
    """Delete a webhook: pending deliveries are dropped, and nothing more is sent."""
    await container().webhooks.delete(call.path("account"), call.path("name"), call.if_match())
    return no_content()


@admin_route(bp, "GET", f"{_PATH}/{{name}}/deliveries", READERS, queries=PAGE)
async def list_deliveries(call: ApiCall) -> func.HttpResponse:
    """Deliveries of a webhook, sent and pending, the newest first."""
    from shared.contracts.delivery.webhooks import DELIVERY_COLUMNS, delivery_body

    account, name = call.path("account"), call.path("name")
    fetch = partial(container().webhooks.list_deliveries, account, name)
    name = f"{account}-deliveries.csv"
    return await reply_list(call, fetch, DELIVERY_COLUMNS, name, body=delivery_body)


@admin_route(bp, "POST", f"{_PATH}/{{name}}/deliveries/{{id}}/replay", _SETTERS)
async def replay_delivery(call: ApiCall) -> func.HttpResponse:
    """Send an event again, with the same id."""
    from shared.contracts.delivery.webhooks import delivery_body

    account, name = call.path("account"), call.path("name")
    again = await container().webhooks.replay(account, name, call.path("id"))
    return reply(delivery_body(again), status=202)
