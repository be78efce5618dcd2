"""JSON Schema of every event that goes out: CloudEvents 1.0 with the product's data.

`python -m shared.contracts.credits.event_schemas FOLDER` writes a file per type. The schemas allow
more fields, since later versions may add some; receivers must allow them too.
"""

import json
import sys
from pathlib import Path
from typing import Any

from shared.domain.common.limits import LOT_WARNING_DAYS
from shared.domain.credits.alerts import EVENT_TYPES, event_type
from shared.domain.credits.burn_rate import CHANCE
from shared.domain.dial_out.budgets import BudgetPeriod, Scope

type Json = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TIME: Json = {"type": "string", "format": "date-time", "pattern": "Z$"}
_MONEY: Json = {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2,6}$"}
_PRICE: Json = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,12})?$"}
_COUNT: Json = {"type": "integer", "minimum": 1}
_TEXT: Json = {"type": "string"}
_RECHARGE: Json = {"type": "string", "pattern": r"^[a-z0-9][a-z0-9._-]{0,62}~[1-9][0-9]*$"}


def _of(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


_FIELDS: dict[str, Json] = {
    "account": _of(_TEXT, "The account of the event."),
    "balance": _of(_MONEY, "The balance as of the commit that emitted the event."),
    "available": _of(_MONEY, "Balance - holds + credit limit, as of the publication."),
    "currency": _of({"type": "string", "pattern": "^[A-Z]{3}$"}, "The account's currency."),
    "what_to_do": _of(_TEXT, "The recommended action, as a sentence."),
    "alert_id": _of(
        {"type": "string", "pattern": "^[1-9][0-9]*$"}, "The alert's id, to acknowledge it by."
    ),
    "repeat": _of(_COUNT, "The number of earlier emissions of the alert; absent the first time."),
    "escalated": _of({"type": "boolean"}, "Whether the alert is unacknowledged for days."),
    "alert": _of(_TEXT, "The name of the threshold."),
    "threshold": _of(_MONEY, "The balance below which the alert is raised."),
    "below_percent": _of(_COUNT, "The threshold is so many per cent of the last top-up."),
    "threshold_hours": _of(_COUNT, "The threshold is the expected cost of so many hours."),
    "runs_out": {
        "type": "object",
        "description": "The expected time at which the balance is zero, and the interval "
        "that has the named probability; null: not within a year.",
        "properties": {
            "at": _TIME,
            "hours_left": {
                "type": "integer",
                "minimum": 0,
                "description": "Whole hours until then.",
            },
            "between": {
                "type": "array",
                "items": {**_TIME, "type": ["string", "null"]},
                "minItems": 2,
                "maxItems": 2,
            },
            "chance": {"const": CHANCE},
        },
        "required": ["at", "hours_left", "between", "chance"],
    },
    "amount": _of(_MONEY, "The amount."),
    "lot": _of(_TEXT, "The lot's id."),
    "remaining": _of(_MONEY, "The rest of the lot."),
    "expires_at": _of(_TIME, "When the lot expires."),
    "days": _of({"enum": list(LOT_WARNING_DAYS)}, "At most so many days until the expiry."),
    "recharge": _of(_RECHARGE, "The recharge's id: collect once for each, answer under it."),
    "ask": _of(_COUNT, "The number of requests, this one included."),
    "asks": _of(_COUNT, "The number of requests."),
    "requested_at": _of(_TIME, "The time of the first request."),
    "reference": _of(_TEXT, "The payment provider's id of the payment."),
    "declines": _of(_COUNT, "Declines since the last success."),
    "next_at": _of(_TIME, "The time of the next automatic request; absent if there is none."),
    "reason": _of(_TEXT, "The reason code."),
    "detail": _of(_TEXT, "The reason as a sentence."),
    "until": _of(_TIME, "The end of the state; absent: until a person acts."),
    "since": _of(_TIME, "The start of the state or period."),
    "month": _of({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}, "The account's month."),
    "percent": _of(_COUNT, "The least share that is used or spent, in per cent."),
    "rule": _of(_TEXT, "The name of the rule."),
    "spend": _of(_MONEY, "The charges of the period, net of corrections."),
    "limit": _of(_MONEY, "The amount of the rule."),
    "minutes_left": _of(_COUNT, "The minutes of the rule."),
    "seconds_left": _of(
        {"type": "integer", "minimum": 0},
        "The seconds until the available credit is used up if all calls continue.",
    ),
    "exhausted_at": _of(_TIME, "The time at which the available credit is used up."),
    "burn_per_minute": _of(_PRICE, "The cost of the open calls per minute."),
    "calls": {
        "type": "array",
        "description": "The calls that would have to end, in this order.",
        "items": {
            "type": "object",
            "required": ["authorization", "direction", "bridge", "price_per_minute"],
            "properties": {
                "authorization": _TEXT,
                "direction": {"enum": ["dial_out", "dial_in"]},
                "bridge": _TEXT,
                "leg_id": _TEXT,
                "region": _TEXT,
                "price_per_minute": _PRICE,
            },
        },
    },
    "used_seconds": _of(_COUNT, "Seconds used in the month."),
    "pool_seconds": _of(_COUNT, "Seconds that the month has."),
    "parked": _of(_TEXT, "The parked leg's id, to replay it by."),
    "leg": _of(_TEXT, "The leg's key."),
    "scope": _of(
        {"enum": [scope.value for scope in Scope]}, "The scope whose limits request the event."
    ),
    "period": _of(
        {"enum": [period.value for period in BudgetPeriod]}, "The period of the budget or rule."
    ),
    "spent": _of(_MONEY, "The charges of the calls of the period, and the holds of open calls."),
    "region": _of({"type": "string", "pattern": "^([A-Z]{2}|001)$"}, "The region dialled."),
}
_ALWAYS = ("account", "balance", "available", "currency")
_AGAIN = ("repeat", "escalated")


def event_schema(kind: str) -> Json:
    """The schema of a type of event, as a separate document."""
    record = event_type(kind)
    required = (*_ALWAYS, *(("alert_id",) if record.is_alert else ()), *record.required)
    optional = (*record.optional, *(_AGAIN if record.is_repeated else ()))
    fields = {name: _FIELDS[name] for name in sorted((*required, *optional))}
    return {
        "$schema": DIALECT,
        "title": kind,
        "description": record.about,
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {
                "type": "string",
                "pattern": r"^[a-z0-9][a-z0-9._-]{0,62}:[1-9][0-9]*:[1-9][0-9]*$",
                "description": "`{account}:{sequence}:{n}`: the same in every delivery.",
            },
            "source": {"type": "string", "pattern": "^/accounts/[a-z0-9][a-z0-9._-]{0,62}$"},
            "type": {"const": kind},
            "time": _TIME,
            "datacontenttype": {"const": "application/json"},
            "data": {"type": "object", "required": sorted(required), "properties": fields},
        },
    }


def main(folder: Path) -> None:
    """Write every schema; remove the file of a type that no longer exists."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.json"):
        file.unlink()
    for kind in EVENT_TYPES:
        text = json.dumps(event_schema(kind), indent=2) + "\n"
        (folder / f"{kind}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
