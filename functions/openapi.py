"""The OpenAPI document, for people and generators of clients."""

from functools import cache

import azure.functions as func

from functions.http import ROUTES, ApiCall, new_blueprint, open_route
from shared.contracts.common.routes import JSON_MEDIA_TYPE

bp = new_blueprint()
API_VERSION = "1"


@open_route(bp, "GET", "openapi.json")
async def get_openapi(_: ApiCall) -> func.HttpResponse:
    """This document, OpenAPI 3.1."""
    return func.HttpResponse(_text(), mimetype=JSON_MEDIA_TYPE)


@cache
def _text() -> str:
    import json

    from shared.contracts.openapi.document import document

    return json.dumps(document(ROUTES, API_VERSION), ensure_ascii=False)
