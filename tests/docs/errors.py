"""The page of error codes: the texts of docs/errors.md, with place, routes and a real answer."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from functions.http import ROUTES
from shared.contracts.common.routes import Route
from tests.docs.error_routes import BODY_CODES, EVERYWHERE, codes_of
from tests.docs.error_scenes import CASES, SCENES, example
from tests.docs.markdown import block, code, page

ROOT = Path(__file__).resolve().parents[2]
PARKING = "Reasons for parking"
ELSEWHERE = "Codes outside HTTP"
WITHOUT_EXAMPLE = {
    "ledger_not_open": "Each request opens the ledger again, so that this answer needs two "
    "processes that fail at one moment.",
}
"""Codes that no single request is answered with, and the reason."""
WHERE = {
    "method": "method_not_allowed",
    "path": """alert_unknown api_key_unknown authorization_unknown bridge_unknown
        conference_unknown dead_letter_unknown delivery_unknown entry_unknown
        organizer_unknown parked_leg_unknown proof_key_unknown proof_unknown
        recharge_unknown region_unknown service_number_unknown
        webhook_unknown path_unknown id_invalid date_invalid month_invalid effective_from_invalid
        effective_from_too_soon number_invalid""",
    "path, query or body": """account_not_allowed account_unknown leg_unknown
        rate_card_not_allowed rate_card_unknown rate_card_version_unknown""",
    "header `Authorization`, or the signature": "not_authenticated",
    "query parameter `checksum`": "checksum_wrong",
    "API key or principal": "role_missing",
    "header `Idempotency-Key`": """idempotency_key_missing idempotency_key_mismatch
        idempotency_key_invalid idempotency_key_reused""",
    "header `If-Match`": "etag_mismatch if_match_missing",
    "header `Content-Type`": "unsupported_media_type",
    "header `Content-Encoding`": "encoding_unsupported",
    "header `Transfer-Encoding`": "length_required",
    "query": "query_invalid result_too_large currencies_differ",
    "query parameter `cursor`": "cursor_invalid",
    "query parameter `anchors`": "anchors_off",
    "body": "body_missing json_invalid form_invalid bad_request too_large deck_too_costly",
    "fields of the body or deck": "invalid",
    "field `amount`": "amount_not_positive amount_zero overdraft_not_allowed",
    "fields `amount` and `currency`": "recharge_mismatch",
    "field `currency`": "currency_fixed",
    "field `expires_at`": "expiry_in_the_past",
    "field `leg`": "leg_needed",
    "field `charge_as`": "parked_leg_charged_as",
    "field `to`": "rate_missing",
    "state of the account": "day_open ledger_not_open too_many_lots too_many_webhooks contended",
    "state of the conference or service number": "too_many_registrations",
    "state of the call": "authorization_ended",
    "state of the parked leg": "parked_leg_dismissed parked_leg_replayed",
    "state of the rate card": "too_many_versions version_frozen",
    "state of the recharge": "recharge_settled",
    "proof key of the process": "proof_key_compromised proof_key_replaced proofs_off",
    "package": "console_missing",
    "budget of the caller": "rate_limited",
    "product": "internal",
    "storage or queue": "unavailable",
    "stored row": """ledger_corrupt row_unreadable schema_unknown settings_unreadable
        rate_card_unreadable""",
}
"""The part of the request, or the state, that each code is about."""
_FAMILIES: dict[str, Callable[[Route], bool]] = {
    "every route for administrators": lambda route: route.roles is not None,
    "every route with `{account}` in its path": lambda route: "{account}" in route.path,
}
"""Routes that the page names as one, with the exceptions."""
_EXCEPTIONS_MAX = 10


def rows() -> dict[str, dict[str, tuple[str, str]]]:
    """(meaning, way out) by code by section of docs/errors.md."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    text = (ROOT / "docs" / "errors.md").read_text("utf-8")
    for section in re.split(r"(?m)^## ", text)[1:]:
        title, _, content = section.partition("\n")
        for line in content.splitlines():
            if line.startswith("| `"):
                name, meaning, way_out = re.split(r"(?<!\\) \| ", line.strip("| "))
                found.setdefault(title, {})[name.strip("`")] = (meaning, way_out)
    return found


ROWS = rows()
STATUSES = {title: codes for title, codes in ROWS.items() if title not in {PARKING, ELSEWHERE}}


def where(name: str) -> str:
    """The part of the request, or the state, that a code is about. Raises LookupError."""
    return next(place for place, names in WHERE.items() if name in names.split())


def routes_of(name: str) -> str:
    """The routes that answer with a code."""
    if name in EVERYWHERE:
        return EVERYWHERE[name]
    if name in BODY_CODES:
        return "every route with a body"
    if name == "console_missing":
        return code("GET /console/")
    found = [each for each in ROUTES if name in codes_of(each)]
    shown: list[str] = []
    for family, contains in _FAMILIES.items():
        members = [each for each in ROUTES if contains(each)]
        exceptions = [each for each in members if each not in found]
        if len(exceptions) <= _EXCEPTIONS_MAX and any(each in found for each in members):
            but = f" (except {_names(exceptions)})" if exceptions else ""
            shown.append(f"{family}{but}")
            found = [each for each in found if each not in members]
    return ", ".join([*shown, *([_names(found)] if found else [])])


def _names(routes: list[Route]) -> str:
    return ", ".join(code(f"{each.method} /api/{each.path}") for each in routes)


def document(name: str) -> str:
    """The problem document of a code as the page has it."""
    return json.dumps({**example(name).json, "request_id": "…"}, indent=2, ensure_ascii=False)


def pages() -> dict[str, str]:
    """The text of docs/reference/errors.md."""
    lines: list[str] = []
    for title, codes in STATUSES.items():
        lines += [f"## {title}", ""]
        for name, (meaning, way_out) in codes.items():
            lines += [f"### {code(name)}", "", meaning.replace("](", "](../"), ""]
            lines += [f"**Where:** {where(name)}.", "", f"**Routes:** {routes_of(name)}.", ""]
            lines += [f"**Way out:** {way_out.replace('](', '](../')}", ""]
            lines += (
                [WITHOUT_EXAMPLE[name], ""] if name in WITHOUT_EXAMPLE else block(document(name))
            )
    about = """
Every code of a problem document, with its status and title, the place that it is about, the routes
that answer with it, the way out, and the answer to a real request. [errors.md](../errors.md) has
the codes at a glance, the fields of a problem document, and the reasons for parking. The answers
were recorded by tests, some with a lower limit or a shorter budget."""
    return {"docs/reference/errors.md": page("Error codes", about, lines)}


def codes_with_a_request() -> list[str]:
    """The codes that a case or a scene is answered with."""
    return sorted({each.code for each in CASES} | SCENES.keys())
