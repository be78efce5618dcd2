"""Missing legs: allowed calls without a call-ended event for a day."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common import limits
from shared.domain.dial_out.hold_book import HoldState
from shared.ports.holds import HoldBook, HoldRecord
from shared.ports.legs import ParkingLot


@dataclass(frozen=True, slots=True)
class MissingLeg:
    """An allowed call, with its response, whose end was not reported."""

    record: HoldRecord
    placed_at: datetime
    leg: str | None


async def missing_legs(
    holds: HoldBook, parking: ParkingLot, account: str, view: HoldState, now: datetime
) -> Sequence[MissingLeg]:
    """The missing legs of the account, the newest first. A parked leg has ended, so it is not
    missing.

    Raises StoreUnavailable.
    """
    silent = [each for each in view.unconfirmed_calls if each.is_missing(now)]
    if not silent:
        return ()
    parked, _ = await parking.page(
        where={"account": account}, limit=limits.LIST_ITEMS_MAX, cursor=None
    )
    ended = {each.original.get("authorization") for each in parked} | {each.leg for each in parked}
    unended = [each for each in silent if not {each.authorization, each.leg} & ended]
    records = await asyncio.gather(*(holds.record(account, each.authorization) for each in unended))
    missing = [
        MissingLeg(record, each.placed_at, each.leg)
        for each, record in zip(unended, records, strict=True)
        if record is not None
    ]
    return sorted(missing, key=lambda each: each.placed_at, reverse=True)
