"""The log of corrections, with the fields of the charges: sums of the log are net."""

from shared.bootstrap import container
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.telemetry import event


async def log_correction(account: str, leg: str, amount_micros: int, *, is_reversal: bool) -> None:
    """Log a reversal or a re-rating that was booked; `amount_micros` is the increase of the leg's
    cost."""
    debits = await container().ledger.debits(account, leg)
    if not debits:
        return
    first, present = debits[0], debits[-1]
    charge = ChargeRecord(present.charge)
    before = (
        0 if is_reversal or len(debits) == 1 else ChargeRecord(debits[-2].charge).billed_seconds
    )
    event(
        "leg_corrected",
        leg=leg,
        account=account,
        organizer=first.person.get("organizer"),
        cost_center=charge.cost_center or None,
        conference=charge.conference,
        kind=charge.kind_name,
        destination=charge.rate.destination if charge.rate else None,
        billed_seconds=-charge.billed_seconds if is_reversal else charge.billed_seconds - before,
        amount_micros=amount_micros,
        currency=charge.currency,
        legs=-1 if is_reversal else 0,
    )
