"""The error codes of each route: those of its declaration, and those that tests met."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from functions.http import ROUTES
from shared.contracts.common.routes import Route

OBSERVED = Path(__file__).with_name("error_codes.json")
EVERYWHERE = {
    "not_authenticated": "every route that authenticates",
    "query_invalid": "every route that reads query parameters by name",
    "rate_limited": "every route that authenticates",
    "unavailable": "every route",
    "contended": "every route that changes an account",
    "internal": "every route",
    "path_unknown": "a path that no route has",
    "method_not_allowed": "a path whose routes take other methods",
    "settings_unreadable": "every route that reads a stored setting",
    "rate_card_unreadable": "every route that reads a version of a rate card",
    "row_unreadable": "every route that reads a stored row",
    "schema_unknown": "every route that reads a stored row",
    "ledger_corrupt": "every route that reads a ledger",
    "ledger_not_open": "every route that changes an account that is being opened",
    "id_invalid": "every route with an id in its path",
}
"""Codes that the page names once, with the routes that may answer them."""
BODY_CODES = frozenset(
    {
        *("body_missing", "json_invalid", "invalid", "too_large", "length_required"),
        *("unsupported_media_type", "encoding_unsupported"),
    }
)


@cache
def observed_codes() -> Mapping[str, frozenset[str]]:
    """The error codes of each function, as the tests met them."""
    found: dict[str, list[str]] = json.loads(OBSERVED.read_text("utf-8"))
    return {name: frozenset(codes) for name, codes in found.items()}


def declared_codes(route: Route) -> frozenset[str]:
    """The error codes that follow from the declaration of a route."""
    codes: set[str] = set()
    if route.roles is not None:
        codes.add("role_missing")
        if "{account}" in route.path or route.all_accounts:
            codes.add("account_not_allowed")
        if "{card}" in route.path:
            codes.add("rate_card_not_allowed")
    if route.body:
        codes |= BODY_CODES
    if route.if_match:
        codes.add("etag_mismatch")
    if route.if_match and route.method == "PUT":
        codes.add("if_match_missing")
    queries = {query.name for query in route.queries or ()}
    if "cursor" in queries:
        codes |= (
            {"cursor_invalid", "result_too_large"} if "format" in queries else {"cursor_invalid"}
        )
    if route.idempotency_key:
        codes |= {"idempotency_key_invalid", "idempotency_key_reused"}
        codes.add("idempotency_key_missing")
    return frozenset(codes)


def codes_of(route: Route) -> frozenset[str]:
    """All error codes of a route but those that every route may answer."""
    found = declared_codes(route) | observed_codes().get(route.name, frozenset())
    return found - EVERYWHERE.keys()


def is_listed(function: str, code: str) -> bool:
    """False if the reference lacks a code that a route was answered with."""
    route = next((each for each in ROUTES if each.name == function), None)
    return route is None or code in EVERYWHERE or code in codes_of(route)
