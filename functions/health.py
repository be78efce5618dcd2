"""Health, for load balancers and operators."""

import azure.functions as func

from functions.http import ApiCall, new_blueprint, open_route, reply
from shared.bootstrap import container
from shared.domain.operations.status import Status

bp = new_blueprint()


@open_route(bp, "GET", "health")
async def get_health(_: ApiCall) -> func.HttpResponse:
    """The state: `ok`, `degraded` or `failing`. It is `degraded` while a leg waits over a minute
    to be charged, is a dead letter or is parked for over a day, or while the queue is away. It is
    `failing`, with 503, while no leg can be accepted."""
    wired = container()
    health = await wired.health()
    body: dict[str, object] = {
        "status": health.status.value,
        "checks": {
            **health.checks,
            **({"legs": "waiting"} if health.legs_wait else {}),
            **({"dead_letters": "waiting"} if health.dead_letters else {}),
            **({"parked_legs": "waiting"} if health.has_forgotten_legs else {}),
        },
        "oldest_waiting_leg_seconds": health.waiting_seconds,
        "oldest_parked_leg_seconds": health.parked_seconds,
        "version": wired.settings.version,
    }
    is_failing = health.status is Status.FAILING
    return reply(
        {name: value for name, value in body.items() if value is not None},
        status=503 if is_failing else 200,
        headers={"retry-after": "5"} if is_failing else {},
    )
