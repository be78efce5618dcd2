"""Regions: what Teams sells there, and what an account may dial at which price."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_csv
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, Query
from shared.domain.directory.access import READERS

if TYPE_CHECKING:  # loaded by the first request
    from shared.usecases.rate_cards.read_regions import RegionView

bp = new_blueprint()
_ACCOUNT = Query(
    "account",
    "Also whether the account's policy lets organizers dial the region, and its card's prices.",
)


@admin_route(bp, "GET", "v1/regions", READERS, queries=(_ACCOUNT, FORMAT), is_report=True)
async def list_regions(call: ApiCall) -> func.HttpResponse:
    """All regions by code, as JSON or CSV."""
    from shared.contracts.rate_cards.regions import REGION_COLUMNS

    items = [_body(each) for each in await container().read_regions(call.query("account"))]
    if call.wants_csv():
        return await reply_csv(REGION_COLUMNS, items, "regions.csv")
    return reply({"items": items})


@admin_route(bp, "GET", "v1/regions/{region}", READERS, queries=(_ACCOUNT,), is_report=True)
async def get_region(call: ApiCall) -> func.HttpResponse:
    """A region, by its ISO 3166-1 code or `001` for the international networks."""
    view = await container().read_regions.one(call.path("region").upper(), call.query("account"))
    return reply(_body(view))


def _body(view: "RegionView") -> dict[str, object]:
    from shared.contracts.rate_cards.regions import region_body, region_of_account_body

    own = view.of_account
    more = {} if own is None else region_of_account_body(own.denial, own.version, own.prices)
    return {**region_body(view.region, view.calling_codes), **more}
