"""Parts of the OpenAPI document that neither a route nor a contract declares."""

from typing import Any

from shared.contracts.credits.event_schemas import event_schema
from shared.domain.calls.call_control import END, WARNING, EndReason
from shared.domain.common import limits
from shared.domain.credits.alerts import EVENT_TYPES

type Json = dict[str, Any]

TAGS = {
    "bridges": "Requests of conferencing bridges, and their entries",
    "accounts": "Accounts, their ledger, organizers, conferences, numbers and policies",
    "rate-cards": "Prices, by card and by the time from which they hold",
    "quotes": "The cost of a call before it happens",
    "regions": "Regions, their dial-out permissions and prices",
    "reratings": "Re-rating of legs by another card or version",
    "parked-legs": "Legs that could not be charged, and their correction",
    "api-keys": "Keys of administrators and scripts",
    "audit-log": "Changes of settings, with actor and time",
    "operations": "The work of every night, on request",
    "proof-keys": "Public keys of day roots (docs/proof.md)",
    "recharges": "Reports of payment providers",
    "status": "The state of charging, and the waiting work",
    "dead-letters": "Messages that the broker gave up",
    "service": "Health, and this document",
}

MAY_BE_NULL = frozenset(
    {
        *("account", "authorization", "conference", "conference_id", "from", "hangup_cause"),
        *("kind", "organizer", "organizer_id", "talk_seconds", "to", "answered_at"),
        *("after", "before", "burn", "entry", "expires_at", "hours_left", "limit", "name"),
        *("percent", "rate", "reversed_by", "rules", "until", "usage_location", "cost_center"),
        *("destination", "number_class", "region", "exhausted_at", "seconds_left"),
        *("messages", "oldest_seconds", "dead_letters", "last_success_at", "last_charge_at"),
        *("pay_per_minute", "reason", "message", "compromised_at"),
    }
)
"""Fields of responses that may be null."""
_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
PARAMETERS = {
    "account": "Id of an account.",
    "authorization": "Id of an authorization, from the answer to the dial-out.",
    "bridge": "Id of a bridge.",
    "card": "Name of a rate card.",
    "conference": "The bridge's id of a conference, percent-encoded.",
    "date": "A day in the account's time zone, `2026-11-23`.",
    "effective_from": "The time from which a version holds, RFC 3339.",
    "id": "Id of the item in the list.",
    "key": "Id of a key.",
    "leg": "`{bridge}~{leg_id}`, or `{bridge}~~{base64url}` where the id has other characters.",
    "month": "A month, `2026-11`.",
    "name": "Its name.",
    "number": "A service number, E.164 with its plus percent-encoded.",
    "organizer": "The organizer's id, percent-encoded.",
    "region": "ISO 3166-1 code of a country, `FR`, or `001` for the international networks.",
    "sequence": "Number of an entry.",
    "recharge": "Id of a recharge, as its request named it.",
}

HEADERS: dict[str, Json] = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same body gets the first answer; keys never expire. "
        "On a signed dial-out or dial-in the key is the `webhook-id`: omit it, or repeat it.",
        "schema": {"type": "string", "maxLength": limits.IDEMPOTENCY_KEY_CHARS_MAX},
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of the replaced object; omit it to create one. On PATCH and "
        "DELETE it is optional: another version is then refused.",
        "schema": _TEXT,
    },
}

SECURITY_SCHEMES: Json = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, `pm_…`."},
    "entra": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A Microsoft Entra access token with an app role of this API.",
    },
    "standardWebhooks": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks: `webhook-id`, `webhook-timestamp` and a signature over "
        "them and the raw body.",
    },
    "bridgeBasic": {"type": "http", "scheme": "basic"},
    "bridgeBearer": {"type": "http", "scheme": "bearer"},
}
BRIDGE_SECURITY: list[Json] = [{"standardWebhooks": []}, {"bridgeBasic": []}, {"bridgeBearer": []}]

PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string", "description": "`/problems/{code}`"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": {"type": "string", "description": "The requested path."},
        "code": {"type": "string", "description": "Stable: docs/errors.md lists them."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": _TEXT, "detail": _TEXT},
            },
        },
    },
}

CREDIT_EVENT: Json = {
    "post": {
        "operationId": "credit_event",
        "summary": "A credit event, signed by Standard Webhooks",
        "requestBody": {
            "content": {
                "application/cloudevents+json": {
                    "schema": {"oneOf": [event_schema(kind) for kind in EVENT_TYPES]}
                }
            }
        },
        "responses": {
            "2XX": {
                "description": "Accepted. After every other response the request is sent again."
            }
        },
    }
}


CALL_SIGNAL: Json = {
    "post": {
        "operationId": "call_signal",
        "summary": "A signal about a call to its bridge's control URL, signed by Standard Webhooks",
        "requestBody": {
            "content": {
                "application/cloudevents+json": {
                    "schema": {
                        "type": "object",
                        "required": ["specversion", "id", "source", "type", "time", "data"],
                        "properties": {
                            "specversion": {"const": "1.0"},
                            "id": {
                                "type": "string",
                                "description": "The same in every delivery.",
                            },
                            "source": {
                                "type": "string",
                                "description": "`/accounts/{account}`.",
                            },
                            "type": {"enum": [WARNING, END]},
                            "time": _TIME,
                            "data": {
                                "type": "object",
                                "required": ["authorization", "seconds_left"],
                                "properties": {
                                    "authorization": _TEXT,
                                    "leg_id": _TEXT,
                                    "conference": _TEXT,
                                    "seconds_left": {"type": "integer", "minimum": 0},
                                    "reason": {
                                        "enum": [reason.value for reason in EndReason],
                                        "description": "Of `call.end` alone.",
                                    },
                                },
                            },
                        },
                    }
                }
            }
        },
        "responses": {
            "2XX": {
                "description": "Accepted. After every other response the request is sent again."
            }
        },
    }
}
