"""Answered legs in the shape of Microsoft's reports: the PSTN usage export and Graph's rows.

The columns, their order and the masked numbers are those of the PSTN usage report of Teams; the
fields of Graph are those of `pstnCallLogRow`. `Caller ID` is the service number that a caller
dialled, or the number that was dialled out. `Charge` is without the connection fee.
"""

import uuid
from collections.abc import Mapping

from shared.domain.common.kinds import LegKind
from shared.domain.common.money import format_amount
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.masking import mask_number
from shared.domain.numbers.regions import country_name

PSTN_USAGE_COLUMNS = (
    *("UsageId", "Call ID", "Conference ID", "User Location", "AAD ObjectId", "UPN"),
    *("User Display Name", "Caller ID", "Call Type", "Number Type", "Domestic/International"),
    *("Destination Dialed", "Destination Number", "Start Time", "End Time", "Duration Seconds"),
    *("Connection Fee", "Charge", "Currency", "Capability"),
)
_NAMES = uuid.UUID("6f6c1d0e-7d3f-5a52-9a39-0d1e6a1c7b11")
_CREDITS, _POOL, _LICENSE = "MCOPSTNPP", "MCOMEETADD", "MCOMEETACPEA"
_CALL_TYPES = {LegKind.DIAL_IN: "conf_in", LegKind.DIAL_OUT: "conf_out"}
_NUMBER_TYPES = {NumberClass.TOLL_FREE: "Toll-free"}
_TOLL = "Toll"


def pstn_usage_row(
    leg: str,
    charge: Mapping[str, object],
    person: Mapping[str, object],
    net_micros: int,
    organization: str | None,
    user_location: str | None,
) -> dict[str, object]:
    """A row of PSTN_USAGE_COLUMNS. `organization` is the country whose rules mask numbers."""
    record = ChargeRecord(charge)
    kind, region = record.kind, record.region or ""
    fee = min(record.connection_fee_micros, net_micros)
    _, answered_at, ended_at = record.times
    number = _called(kind, person, organization)
    return {
        "UsageId": str(usage_id(leg, record)),
        "Call ID": leg.partition("~")[2],
        "Conference ID": record.conference or "",
        "User Location": user_location or "",
        "AAD ObjectId": "",
        "UPN": _text(person, "organizer"),
        "User Display Name": "",
        "Caller ID": number,
        "Call Type": _CALL_TYPES[kind],
        "Number Type": _number_type(record),
        "Domestic/International": _scope(region, user_location),
        "Destination Dialed": country_name(region) if region else "",
        "Destination Number": number,
        "Start Time": answered_at,
        "End Time": ended_at,
        "Duration Seconds": record.talk_seconds,
        "Connection Fee": format_amount(fee),
        "Charge": format_amount(net_micros - fee),
        "Currency": record.currency,
        "Capability": _capability(record),
    }


def pstn_call_log_row(
    leg: str,
    charge: Mapping[str, object],
    person: Mapping[str, object],
    net_micros: int,
    organization: str | None,
    user_location: str | None,
) -> dict[str, object]:
    """A leg in the fields of Graph's `pstnCallLogRow`; amounts are decimal strings."""
    record = ChargeRecord(charge)
    kind, region = record.kind, record.region or ""
    fee = min(record.connection_fee_micros, net_micros)
    _, answered_at, ended_at = record.times
    caller = _text(person, "from")
    if kind is LegKind.DIAL_IN:
        caller = mask_number(caller, organization)
    return {
        "id": str(usage_id(leg, record)),
        "callId": leg.partition("~")[2],
        "userId": None,
        "userPrincipalName": _text(person, "organizer") or None,
        "userDisplayName": None,
        "startDateTime": answered_at,
        "endDateTime": ended_at,
        "duration": record.talk_seconds,
        "charge": format_amount(net_micros - fee),
        "callType": _CALL_TYPES[kind],
        "currency": record.currency,
        "calleeNumber": _called(kind, person, organization) or None,
        "usageCountryCode": user_location,
        "tenantCountryCode": organization,
        "connectionCharge": format_amount(fee),
        "callerNumber": caller or None,
        "destinationContext": _scope(region, user_location) or None,
        "destinationName": country_name(region) if region else None,
        "conferenceId": record.conference or None,
        "licenseCapability": _capability(record),
        "inventoryType": "Service" if kind is LegKind.DIAL_IN else "Subscriber",
        "operator": None,
        "callDurationSource": "operator",
    }


def usage_id(leg: str, charge: ChargeRecord) -> uuid.UUID:
    """The id of a leg, stable between exports."""
    return uuid.uuid5(_NAMES, f"{charge.account}/{leg}")


def _called(kind: LegKind, person: Mapping[str, object], organization: str | None) -> str:
    """The service number in full, or the dialled number, masked."""
    number = _text(person, "to")
    return number if kind is LegKind.DIAL_IN else mask_number(number, organization)


def _number_type(charge: ChargeRecord) -> str:
    if charge.kind is not LegKind.DIAL_IN:
        return ""
    return _NUMBER_TYPES.get(NumberClass(charge.number_class or NumberClass.UNKNOWN), _TOLL)


def _scope(region: str, user_location: str | None) -> str:
    if not region or not user_location:
        return ""
    return "Domestic" if region == user_location else "International"


def _capability(charge: ChargeRecord) -> str:
    if charge.zero_reason == "included":
        return _LICENSE
    return _POOL if charge.status == "pool" else _CREDITS


def _text(document: Mapping[str, object], name: str) -> str:
    return str(document.get(name) or "")
