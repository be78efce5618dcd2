"""The response to requests that no route takes: a problem document."""

import azure.functions as func

from functions.http import ApiCall, fallback_route, methods_of, new_blueprint
from shared.domain.common.errors import MethodNotAllowed, NotFound

bp = new_blueprint()


@fallback_route(bp)
async def no_such_route(call: ApiCall) -> func.HttpResponse:
    """404, or 405 with `Allow` where the path takes another method. Raises NotFound and
    MethodNotAllowed."""
    allowed = methods_of(call.path("path"))
    if allowed:
        names = ", ".join(sorted(allowed))
        raise MethodNotAllowed(
            f"This path takes {names}. Send the request with one of these methods.", allowed
        )
    raise NotFound(
        "No route has this path. Read /api/openapi.json for the routes.", code="path_unknown"
    )
