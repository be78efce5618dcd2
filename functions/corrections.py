"""The log of corrections, with the fields of the charges: sums of the log are net."""

from typing import TYPE_CHECKING

from shared.bootstrap import container
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.ports.ledger import LegRecord


async def log_correction(account: str, leg: str, amount_micros: int, *, is_reversal: bool) -> None:
    """Log a reversal or a re-rating that was booked; `amount_micros` is what the leg costs more."""
    debits = await container().ledger.debits(account, leg)
    if not debits:
        return
    first, present = debits[0], debits[-1]
    charge, rate = present.charge, present.charge.get("rate")
    before = 0 if is_reversal or len(debits) == 1 else _billed_seconds(debits[-2])
    event(
        "leg_corrected",
        leg=leg,
        account=account,
        organizer=first.person.get("organizer"),
        cost_center=charge.get("cost_center"),
        conference=charge.get("conference"),
        kind=charge.get("kind"),
        destination=rate.get("destination") if isinstance(rate, dict) else None,
        billed_seconds=-_billed_seconds(present)
        if is_reversal
        else _billed_seconds(present) - before,
        amount_micros=amount_micros,
        currency=charge.get("currency"),
        legs=-1 if is_reversal else 0,
    )


def _billed_seconds(record: "LegRecord") -> int:
    seconds = record.charge.get("billed_seconds")
    return seconds if isinstance(seconds, int) else 0
