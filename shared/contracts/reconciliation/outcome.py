"""The outcome of a reconciliation as JSON and as CSV."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.ids import is_foreign_id
from shared.domain.common.money import format_amount
from shared.domain.legs.leg import encode_leg_key
from shared.domain.reconciliation.matching import CarrierRecord, ProductLeg, Reconciliation

_THEIR_FIELDS = ("line", "id", "row_id", "kind", "to", "from", "answered_at", "seconds", "amount")
_OUR_FIELDS = ("leg", "kind", "to", "from", "answered_at", "seconds", "amount")
OUTCOME_COLUMNS = (
    *("outcome", "fields", "duplicate_of"),
    *(f"their_{name}" for name in _THEIR_FIELDS),
    *(f"our_{name}" for name in _OUR_FIELDS),
)
_HIDDEN = "*"


def outcome_body(reconciliation: Reconciliation, currency: str) -> dict[str, object]:
    """`matched` counts the pairs that agree; `missing_here` items carry the leg as it can be posted
    where its number is complete."""
    return {
        "currency": currency,
        "matched": reconciliation.matched,
        "different": [
            {
                "theirs": their_body(each.theirs),
                "ours": our_body(each.ours, currency),
                "fields": [name.value for name in each.fields],
            }
            for each in reconciliation.different
        ],
        "missing_here": [
            {
                **their_body(each.theirs),
                **({"duplicate_of": each.duplicate_of} if each.duplicate_of else {}),
                "leg": _postable(each.theirs),
            }
            for each in reconciliation.missing_here
        ],
        "missing_there": [our_body(each, currency) for each in reconciliation.missing_there],
        "outside": reconciliation.outside,
        "sums": {
            "theirs": format_amount(reconciliation.theirs_micros),
            "ours": format_amount(reconciliation.ours_micros),
            "difference": format_amount(reconciliation.theirs_micros - reconciliation.ours_micros),
        },
    }


def their_body(record: CarrierRecord) -> dict[str, object]:
    """A record of the file; fields that the file does not state are null."""
    amount = record.amount_micros
    return {
        "line": record.line,
        "id": record.id,
        "row_id": record.row_id,
        "kind": record.kind.value if record.kind else None,
        "to": record.number or None,
        "from": record.caller or None,
        "answered_at": format_time(record.answered_at),
        "seconds": record.seconds,
        "amount": None if amount is None else format_amount(amount),
    }


def our_body(leg: ProductLeg, currency: str) -> dict[str, object]:
    """A leg; `amount` null: the account has none in this currency."""
    amount = leg.amounts.get(currency)
    return {
        "leg": encode_leg_key(leg.key),
        "kind": leg.kind.value,
        "to": leg.number or None,
        "from": leg.caller or None,
        "answered_at": format_time(leg.answered_at),
        "seconds": leg.seconds,
        "amount": None if amount is None else format_amount(amount),
    }


def outcome_rows(reconciliation: Reconciliation, currency: str) -> Iterator[Mapping[str, object]]:
    """Rows of OUTCOME_COLUMNS: all that is different or missing."""
    for different in reconciliation.different:
        yield {
            "outcome": "different",
            "fields": " ".join(different.fields),
            **_prefixed("their", their_body(different.theirs)),
            **_prefixed("our", our_body(different.ours, currency)),
        }
    for missing in reconciliation.missing_here:
        yield {
            "outcome": "missing_here",
            "duplicate_of": missing.duplicate_of,
            **_prefixed("their", their_body(missing.theirs)),
        }
    for leg in reconciliation.missing_there:
        yield {"outcome": "missing_there", **_prefixed("our", our_body(leg, currency))}


def _prefixed(side: str, body: Mapping[str, object]) -> dict[str, object]:
    return {f"{side}_{name}": value for name, value in body.items()}


def _postable(record: CarrierRecord) -> dict[str, object] | None:
    """The record in dialect `perminute`; None where a number is hidden or unknown, or no call lasts
    so long."""
    if not record.number or _HIDDEN in record.number or record.kind is None:
        return None
    if record.seconds > limits.LEG_SECONDS_MAX:
        return None
    ids = (each for each in (record.id, record.row_id) if each and is_foreign_id(each))
    answered_at = format_time(record.answered_at)
    return {
        "leg_id": next(ids, f"record-{record.line}"),
        "kind": record.kind.value,
        "from": record.caller or None,
        "to": record.number,
        "started_at": answered_at,
        "answered_at": answered_at,
        "ended_at": format_time(record.answered_at + timedelta(seconds=record.seconds)),
        "talk_seconds": record.seconds,
    }
