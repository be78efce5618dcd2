"""Health: for load balancers and for people."""

import azure.functions as func

from functions.edge import Call, new_blueprint, open_route, reply
from shared.bootstrap import container

bp = new_blueprint()


@open_route(bp, "get_health", "GET", "health")
async def get_health(_: Call) -> func.HttpResponse:
    """`GET /api/health`: 503 when a leg or a dial-out could not be taken now."""
    house = container()
    health = await house.health()
    return reply(
        {
            "status": "ok" if health.is_ok else "degraded",
            "checks": dict(health.checks),
            "version": house.settings.version,
        },
        status=200 if health.is_ok else 503,
        headers={} if health.is_ok else {"retry-after": "5"},
    )
