"""Operating: the status of the product, and dead letters."""

from functools import partial

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE
from shared.domain.directory.access import Role
from shared.telemetry import event

bp = new_blueprint()
_PATH = "v1/dead-letters"
_OPERATORS = frozenset({Role.OPERATOR})


@admin_route(bp, "GET", "v1/status", frozenset(Role))
async def get_status(call: ApiCall) -> func.HttpResponse:
    """The status of the product: `ok`, `degraded` or `failing`, with reasons. Parked legs and
    webhooks are counted in the caller's accounts; unknown values are null."""
    from shared.contracts.operations.status import status_body

    wired = container()
    return reply(status_body(await wired.read_status(call.principal), wired.settings.version))


@admin_route(bp, "GET", _PATH, _OPERATORS, queries=PAGE)
async def list_dead_letters(call: ApiCall) -> func.HttpResponse:
    """Messages that the broker gave up: those of the queue of legs, then those of the subscription
    `webhooks`, the oldest of each first. Needs a key for all accounts."""
    from shared.contracts.operations.status import DEAD_LETTER_COLUMNS, dead_letter_body

    fetch = partial(container().dead_letters.page, call.principal)
    name = "dead-letters.csv"
    return await reply_list(call, fetch, DEAD_LETTER_COLUMNS, name, body=dead_letter_body)


@admin_route(bp, "POST", f"{_PATH}/{{id}}/replay", _OPERATORS)
async def replay_dead_letter(call: ApiCall) -> func.HttpResponse:
    """Process a dead letter again and remove it. A leg is charged once, also after a repetition; an
    event is delivered to webhooks under its own id. Needs a key for all accounts."""
    from shared.contracts.operations.status import dead_letter_body

    letter = await container().dead_letters.replay(call.principal, call.path("id"))
    event("dead_letter_replayed", dead_letter=letter.id, actor=call.principal.name)
    return reply(dead_letter_body(letter), status=202)
