"""PATCH: a JSON Merge Patch of a setting, saved as by PUT."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import azure.functions as func

from functions.http import ApiCall
from shared.contracts.common.merge_patch import merge_patch
from shared.contracts.common.validation import parse_body, refuse_unknown_fields
from shared.domain.common.errors import PreconditionFailed, PreconditionMissing, StoreUnavailable
from shared.domain.common.preconditions import check_etag

_TRIES_MAX = 10


async def patch(
    call: ApiCall,
    present: Callable[[], Awaitable[tuple[Mapping[str, object], str | None]]],
    save: Callable[[Any, str | None], Awaitable[func.HttpResponse]],
) -> func.HttpResponse:
    """Apply a merge patch. `present()` → (setting as a document, its ETag); the request's body is
    merged into it, parsed as the route's body, and given to `save` with that ETag.

    Omitted fields stay, `null` takes the default. Without `If-Match` a concurrent change is
    merged again. Raises PreconditionFailed where `If-Match` names another version, Invalid, and
    what `present` and `save` raise. Raises StoreUnavailable if the setting changes at every
    attempt.
    """
    stated, if_match = call.json(), call.if_match()
    assert call.route.body is not None, "a PATCH declares its body"
    body = call.route.body.model
    refuse_unknown_fields(body, stated)
    names = {field.alias or name for name, field in body.model_fields.items()}
    for _ in range(_TRIES_MAX):
        document, etag = await present()
        if if_match is not None:
            check_etag(etag or "", if_match)
        kept = {name: value for name, value in document.items() if name in names}
        try:
            return await save(parse_body(body, merge_patch(kept, stated)), etag)
        except (PreconditionFailed, PreconditionMissing):
            if if_match is not None:
                raise
    raise StoreUnavailable("Other requests change the setting at the same time.")
