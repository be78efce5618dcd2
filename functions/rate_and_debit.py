"""Rate and debit: batches of queued legs."""

import asyncio
import contextlib
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, List

import azure.functions as func

from functions.http import new_blueprint
from shared.bootstrap import container
from shared.domain.common import limits
from shared.domain.common.errors import Unavailable
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.legs.leg import QueuedLeg, read_queued_legs
from shared.ports.activity import CHARGE, PostCounts
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.bootstrap.composition import Container
    from shared.usecases.charging.charge_legs import Charged

bp = new_blueprint()


@bp.function_name("rate_and_debit")
@bp.service_bus_queue_trigger(
    arg_name="messages",
    queue_name="%CALL_ENDED_QUEUE%",
    connection="ServiceBus",
    cardinality=func.Cardinality.MANY,
    data_type=func.DataType.BINARY,
)
async def rate_and_debit(messages: List[func.ServiceBusMessage]) -> None:
    """Charge or park each leg once. Raises only if a leg that failed temporarily can't be queued
    again: then the whole batch is redelivered."""
    services = container()
    legs: dict[str, QueuedLeg] = {}
    for message in messages:
        body = message.get_body()
        try:
            carried = read_queued_legs(body)
        except ValueError as error:
            bridge, attempt = _sender(message)
            await services.receive_legs.park_message(bridge, str(error), body, attempt)
            continue
        for queued in carried:
            # The same leg may stand in a batch more than once; other content is another matter. The
            # highest attempt counts: one after a lower would have an id that the broker knows.
            name = f"{queued.leg.key}\n{queued.leg.digest()}"
            if name not in legs or legs[name].attempt < queued.attempt:
                legs[name] = queued
    seconds = services.settings.batch_deadline_seconds
    received = [leg.received_at for leg in legs.values()]
    age_seconds = (services.clock.now() - min(received)).total_seconds() if received else None
    outcomes, *_ = await asyncio.gather(
        services.charge_legs(list(legs.values()), seconds=seconds),
        _note_age(services, age_seconds, seconds),
        _set_pace(services, len(legs), seconds),
    )
    now = services.clock.now()
    for outcome in outcomes:
        _report_outcome(outcome, now)
    counts = Counter(outcome.status.value for outcome in outcomes)
    parked = Counter(outcome.queued.leg.bridge for outcome in outcomes if outcome.parked)
    for bridge, number in parked.items():
        services.bridge_posts.note(bridge, PostCounts(parked=number))
    if counts["charged"]:
        await services.runs.note(CHARGE)
    ages = [now - leg.received_at for leg in legs.values()]
    event(
        "batch_charged",
        messages=len(messages),
        charged=counts["charged"],
        repeated=counts["repeated"],
        parked=counts["parked"],
        later=counts["later"],
        oldest_seconds=max(ages).total_seconds() if ages else 0,
    )


async def _note_age(services: "Container", age_seconds: float | None, seconds: float) -> None:
    """Record the age of the oldest leg, concurrently, so that the batch does not wait."""
    if age_seconds is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await services.backlog.seen(age_seconds)


async def _set_pace(services: "Container", legs: int, seconds: float) -> None:
    """Charge many legs at full speed if no bridge requests calls."""
    if legs <= limits.GROUP_COMMIT_LEGS_MAX:
        return
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(seconds):
            if not await services.backlog.are_calls_requested():
                services.pace.run_at_full_speed()


def _report_outcome(outcome: "Charged", now: datetime) -> None:
    """Log the outcome of one leg, with its amount where it was or would have been charged."""
    charge = ChargeRecord(outcome.charge)
    event(
        f"leg_{outcome.status.value}",
        leg=outcome.queued.leg.key,
        account=outcome.account,
        organizer=outcome.organizer,
        cost_center=outcome.cost_center,
        conference=outcome.queued.leg.conference_id,
        kind=charge.kind_name if outcome.charge else None,
        destination=charge.rate.destination if charge.rate else None,
        billed_seconds=charge.billed_seconds if outcome.charge else None,
        amount_micros=outcome.amount_micros,
        balance_micros=outcome.balance_micros,
        currency=charge.currency or None,
        flags=list(charge.flags) if outcome.charge else None,
        reason=outcome.parked.reason.value if outcome.parked else None,
        detail=outcome.detail or None,
        attempt=outcome.queued.attempt,
        queued_seconds=(now - outcome.queued.received_at).total_seconds(),
    )


def _sender(message: func.ServiceBusMessage) -> tuple[str, int]:
    """(bridge, attempt) of an unreadable message, from its properties."""
    properties = message.application_properties or {}
    attempt = str(properties.get("attempt"))
    is_number = attempt.isascii() and attempt.isdecimal() and len(attempt) < 10
    return str(properties.get("bridge") or "queue"), int(attempt) if is_number else 0
