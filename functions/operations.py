"""Health: for load balancers and for people."""

import azure.functions as func

from functions.edge import Call, new_blueprint, open_route, reply
from shared.bootstrap import container

bp = new_blueprint()


@open_route(bp, "get_health", "GET", "health")
async def get_health(_: Call) -> func.HttpResponse:
    """`GET /api/health`: 503 when a leg or a dial-out could not be taken now; degraded, but 200,
    while a leg is parked for over a day."""
    house = container()
    health = await house.health()
    return reply(
        {
            "status": "ok" if health.is_ok and not health.has_forgotten_legs else "degraded",
            "checks": {
                **health.checks,
                **({"parked_legs": "waiting"} if health.has_forgotten_legs else {}),
            },
            **(
                {"oldest_parked_leg_seconds": health.parked_seconds}
                if health.parked_seconds is not None
                else {}
            ),
            "version": house.settings.version,
        },
        status=200 if health.is_ok else 503,
        headers={} if health.is_ok else {"retry-after": "5"},
    )
