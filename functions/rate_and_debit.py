"""Rate and debit: batches of queued legs."""

from collections import Counter
from typing import List

import azure.functions as func

from functions.edge import new_blueprint
from shared.bootstrap import container
from shared.domain.legs import QueuedLeg, read_queued_leg
from shared.domain.posts import Unreadable
from shared.telemetry import event

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
    """Charge or park each leg once. Raises only when what failed for now can't be sent again: then
    the whole batch comes again."""
    house = container()
    legs: dict[str, QueuedLeg] = {}
    for message in messages:
        body = message.get_body()
        try:
            queued = read_queued_leg(body)
        except ValueError as error:
            await house.receive_legs.park_unreadable("queue", Unreadable(None, str(error), body))
        else:
            # The same leg may stand in a batch more than once; other content is another matter.
            legs.setdefault(f"{queued.leg.key}\n{queued.leg.digest()}", queued)
    outcomes = await house.charge_legs(
        list(legs.values()), seconds=house.settings.batch_deadline_seconds
    )
    for outcome in outcomes:
        event(
            f"leg_{outcome.status.value}",
            leg=outcome.queued.leg.key,
            account=outcome.account,
            amount_micros=outcome.amount_micros,
            reason=outcome.parked.reason.value if outcome.parked else None,
            detail=outcome.detail or None,
            attempt=outcome.queued.attempt,
        )
    event(
        "batch_charged",
        messages=len(messages),
        **Counter(outcome.status.value for outcome in outcomes),
    )
