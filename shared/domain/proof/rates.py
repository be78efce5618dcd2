"""The provable form of a rate: all inputs of a charge, and the rates that a day used."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.common.money import format_price
from shared.domain.ledger.model import Entry
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.proof.merkle import tree_root
from shared.domain.rating.rate_card import Rate, RateCardVersion
from shared.domain.rating.terms import Band, Slot


@dataclass(frozen=True, slots=True, order=True)
class RateName:
    """The name of a rate in a charge: the RFC 3339 time of the version, `origin` "" for any."""

    card: str
    version: str
    kind: str
    prefix: str
    origin: str = ""


def rate_name(charge: Mapping[str, Any]) -> RateName | None:
    """The rate that a stored charge names, or None."""
    record = ChargeRecord(charge)
    rate = record.rate
    if rate is None:
        return None
    return RateName(rate.card, rate.version, record.kind_name, rate.prefix, rate.origin or "")


def rate_names(entries: Iterable[Entry]) -> set[RateName]:
    """The rates that the charges of entries name."""
    charges = (entry.charge for entry in entries if entry.charge is not None)
    return {name for charge in charges if (name := rate_name(charge)) is not None}


def rate_document(version: RateCardVersion, rate: Rate) -> dict[str, object]:
    """A rate with the currency, time zone and rounding of its card."""
    return {
        "card": version.card,
        "version": format_time(version.effective_from),
        "kind": rate.kind.value,
        "prefix": rate.prefix,
        **({"origin": rate.origin} if rate.origin else {}),
        "destination": rate.destination,
        "currency": version.currency,
        "time_zone": version.time_zone,
        "rounding": {
            "mode": version.rounding.mode.value,
            "decimals": version.rounding.effective_decimals,
        },
        "connection_fee": format_price(rate.connection_fee_picos),
        "grace_seconds": rate.grace_seconds,
        "minimum_charge": format_price(rate.minimum_charge_picos),
        "maximum_charge": (
            None if rate.maximum_charge_picos is None else format_price(rate.maximum_charge_picos)
        ),
        "maximum_charge_strategy": (
            rate.maximum_charge_strategy.value if rate.maximum_charge_strategy else None
        ),
        "slots": _slots(rate.slots),
        "bands": [_band(band) for band in rate.bands],
    }


def name_of(document: Mapping[str, Any]) -> RateName:
    """The name of a rate document."""
    return RateName(
        document["card"],
        document["version"],
        document["kind"],
        document["prefix"],
        document.get("origin", ""),
    )


def rate_leaves(documents: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """The leaf data of rates: each once, in the order of their bytes."""
    return sorted({canonical_json(document) for document in documents})


def rates_root(documents: Iterable[Mapping[str, Any]]) -> str:
    """The root over rates, hex."""
    return tree_root(rate_leaves(documents)).hex()


def _slots(slots: Iterable[Slot]) -> list[dict[str, object]]:
    return [
        {
            "from_second": slot.from_second,
            "price": format_price(slot.price_picos),
            "unit_seconds": slot.unit_seconds,
            "increment_seconds": slot.increment_seconds,
        }
        for slot in slots
    ]


def _band(band: Band) -> dict[str, object]:
    fee = band.connection_fee_picos
    return {
        "weight": band.weight,
        "name": band.name,
        "weekdays": list(band.weekdays),
        "dates": list(band.dates),
        "from": band.from_second_of_day,
        "until": band.until_second_of_day,
        "connection_fee": None if fee is None else format_price(fee),
        "slots": _slots(band.slots),
    }
