"""Usage: requested groups, and sums by group."""

from collections.abc import Sequence

from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.usage.usage import (
    GroupKey,
    Order,
    UsageSpan,
    UsageTotal,
    UsageTotals,
)

_SUMS = ("legs", "answered_legs", "talk_seconds", "billed_seconds", "pool_seconds", "amount")
_CARRIER = ("carrier_amount", "margin", "carrier_legs")
OTHER = "other"
"""The name of the groups beyond a limit."""


def usage_columns(groups: Sequence[str], total: UsageTotal) -> tuple[str, ...]:
    """The columns of the CSV: the groups and the sums."""
    return (*groups, *_SUMS, *(_CARRIER if total.carrier_legs else ()))


def usage_items(
    totals: UsageTotals, groups: Sequence[str], order: Order, limit: int | None
) -> list[dict[str, object]]:
    """An item for each group, in order; beyond a limit all others are one item `other`."""
    kept = totals.ordered(order, limit)
    items = [{**_names(groups, group), **total_body(total)} for group, total in kept]
    if len(kept) < len(totals):
        names: dict[str, object] = dict.fromkeys(groups, OTHER)
        rest = totals.total.less(total for _, total in kept)
        items.append({**names, OTHER: True, **total_body(rest)})
    return items


def usage_body(
    currency: str,
    span: UsageSpan,
    groups: Sequence[str],
    items: Sequence[object],
    total: UsageTotal,
) -> dict[str, object]:
    """Usage of a span: an item for each group, and the total."""
    return {
        "currency": currency,
        "from": format_time(span.since),
        "to": format_time(span.until),
        "time": span.by.value,
        "time_zone": span.time_zone,
        "group_by": list(groups),
        "items": items,
        "total": total_body(total),
    }


def total_body(total: UsageTotal) -> dict[str, object]:
    """Sums of legs. Of `carrier_legs` the purchasing cost is known; `margin` is the amount of all
    legs less that cost."""
    body: dict[str, object] = {
        "legs": total.legs,
        "answered_legs": total.answered_legs,
        "talk_seconds": total.talk_seconds,
        "billed_seconds": total.billed_seconds,
        "pool_seconds": total.pool_seconds,
        "amount": format_amount(total.amount_micros),
    }
    if total.carrier_legs or total.carrier_micros:
        body |= {
            "carrier_amount": format_amount(total.carrier_micros),
            "margin": format_amount(total.amount_micros - total.carrier_micros),
            "carrier_legs": total.carrier_legs,
        }
    return body


def _names(groups: Sequence[str], group: GroupKey) -> dict[str, object]:
    return {
        name: int(value) if name == "hour" else value or None
        for name, value in zip(groups, group, strict=True)
    }
