"""Entries and lots as plain JSON values, and back."""

from collections.abc import Mapping
from typing import Any

from shared.domain.common.canonical import format_time, parse_time
from shared.domain.credits.included_minutes import PoolDraw
from shared.domain.credits.lots import Draw, Lot, LotKind
from shared.domain.ledger.model import Entry, EntryKind, HoldEffect

_PLAIN = (
    *("leg", "authorization", "reverses", "rerates", "reference", "reason", "actor", "key"),
    *("content_digest", "charge_digest", "person_digest", "recharge"),
)


def entry_document(entry: Entry, *, with_charge: bool = False) -> dict[str, object]:
    """An entry with every column of an export, without empty ones."""
    document: dict[str, object] = {
        "sequence": entry.sequence,
        "kind": entry.kind.value,
        "amount": entry.amount_micros,
        "balance": entry.balance_micros,
        "at": format_time(entry.at),
    }
    for name in (*_PLAIN, "hold"):
        if (value := getattr(entry, name)) is not None:
            document[name] = value
    if entry.draws:
        document["draws"] = [[draw.lot, draw.amount_micros] for draw in entry.draws]
    if entry.deficit_micros:
        document["deficit"] = entry.deficit_micros
    if entry.lot is not None:
        document["lot"] = lot_document(entry.lot)
    if entry.pool is not None:
        document["pool"] = [entry.pool.month, entry.pool.seconds]
    if with_charge and entry.charge is not None:
        document["charge"] = entry.charge
    return document


def read_entry(data: Mapping[str, Any], organizer: str | None = None) -> Entry:
    """The entry that `entry_document` wrote, with its separately stored organizer."""
    lot = data.get("lot")
    return Entry(
        sequence=data["sequence"],
        kind=EntryKind(data["kind"]),
        amount_micros=data["amount"],
        balance_micros=data["balance"],
        at=parse_time(data["at"]),
        draws=tuple(Draw(name, micros) for name, micros in data.get("draws", ())),
        deficit_micros=data.get("deficit", 0),
        lot=read_lot(lot) if lot else None,
        pool=PoolDraw(*data["pool"]) if "pool" in data else None,
        charge=data.get("charge"),
        organizer=organizer,
        hold=HoldEffect(data["hold"]) if "hold" in data else None,
        **{name: data.get(name) for name in _PLAIN},
    )


def lot_document(lot: Lot) -> dict[str, object]:
    """A lot in plain JSON values."""
    return {
        "id": lot.id,
        "kind": lot.kind.value,
        "amount": lot.amount_micros,
        "remaining": lot.remaining_micros,
        "purchased_at": format_time(lot.purchased_at),
        "expires_at": format_time(lot.expires_at) if lot.expires_at else None,
    }


def read_lot(data: Mapping[str, Any]) -> Lot:
    """The lot that `lot_document` wrote."""
    return Lot(
        id=data["id"],
        kind=LotKind(data["kind"]),
        amount_micros=data["amount"],
        remaining_micros=data["remaining"],
        purchased_at=parse_time(data["purchased_at"]),
        expires_at=parse_time(data["expires_at"]) if data["expires_at"] else None,
    )
