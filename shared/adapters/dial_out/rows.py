"""The hold book in table `holds` (docs/architecture.md): rows to domain and back. The partition is
the account.

| row key                      | contents                                                       |
| ---------------------------- | -------------------------------------------------------------- |
| `state`                      | holds, counters of the account, the ledger as of a commit      |
| `hold|{authorization}`       | the guard of a request, with its answer                        |
| `hold|{authorization}|grant` | the grant of an extension                                      |
| `hold|{authorization}|released` | the bridge gave it back                                     |
| `leg|{hash of leg key}`      | the last authorization that was placed for a leg               |
| `spend|{scope}|{hash}`       | counters of an organizer, a cost center, a meeting             |
| `event|{commit}`             | outbox, deleted once published                                 |
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from shared.adapters.delivery.outbox import outbox_of
from shared.adapters.tables.packing import fails_closed, pack, unpack
from shared.domain.common.canonical import canonical_json, format_time, parse_time
from shared.domain.dial_out.hold_book import Hold, HoldState, PendingCounterUpdate, UnconfirmedCall
from shared.domain.dial_out.usage_counters import Counters
from shared.domain.legs.leg import leg_key_hash
from shared.ports.holds import HoldRecord, RateReference
from shared.ports.tables import Row, Value

TABLE = "holds"
SCHEMA = 4
"""1 kept one day and one month of the spend, no warnings, no later rate. 2 kept neither the period
of a charge nor the start of a meeting. 3 kept neither callers, answers nor signals to bridges."""
STATE = "state"
LEGS = "leg"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ADDED = ("answered_at", "ends_by", "bridge", "notified")


def hold_key(authorization: str) -> str:
    """Row key of a question's guard."""
    return f"hold|{authorization}"


def grant_key(authorization: str) -> str:
    """Row key of later grants; sorts right after the guard."""
    return f"hold|{authorization}|grant"


def released_key(authorization: str) -> str:
    """Row key of the bridge's word that the call did not happen; sorts after the grant."""
    return f"hold|{authorization}|released"


def released_values() -> dict[str, Value]:
    """The properties of a marker row."""
    return {"schema": SCHEMA}


def leg_key(leg: str) -> str:
    """Row key of the authorization that was placed for a leg."""
    return f"{LEGS}|{leg_key_hash(leg)}"


def leg_values(authorization: str) -> dict[str, Value]:
    """The properties of that row."""
    return {"schema": SCHEMA, "authorization": authorization}


@fails_closed(SCHEMA)
def read_leg(row: Row) -> str:
    """The authorization that was placed for a leg."""
    return str(row.values["authorization"])


def spend_key(scope: str) -> str:
    """Row key of a scope's counters."""
    return f"spend|{scope}"


def state_values(state: HoldState, commit: int, commit_id: str) -> dict[str, Value]:
    """The properties of the state row."""
    document = {
        "balance": state.balance_micros,
        "credit_limit": state.credit_limit_micros,
        "holds": [_hold(hold) for hold in state.holds],
        "lapsing": [[format_time(when), micros] for when, micros in state.expiring_lots],
        "pool": [state.pool_seconds, [list(used) for used in state.pools_used]],
        "counters": _counters(state.counters),
        "unposted": [
            [
                *(item.key, item.day, item.minute),
                *(item.charged_micros, item.grant_minute, item.cost_micros, item.is_correction),
            ]
            for item in state.unposted
        ],
        **(
            {"unended": [_unconfirmed_calls(each) for each in state.unconfirmed_calls]}
            if state.unconfirmed_calls
            else {}
        ),
        "suspended": state.suspended,
        "stopped": state.stopped,
        **({"halted_at": format_time(state.halted_at)} if state.halted_at else {}),
    }
    return {
        "schema": SCHEMA,
        "commit": commit,
        "commit_id": commit_id,
        "ledger_commit": state.ledger_commit,
        **pack("data", document),
    }


@fails_closed(SCHEMA)
def read_state(row: Row) -> tuple[HoldState, int, str]:
    """(state, commit, commit id) of the state row."""
    data = cast("dict[str, Any]", unpack("data", row.values))
    pool_seconds, pools_used = data["pool"]
    state = HoldState(
        ledger_commit=int(cast("int", row.values["ledger_commit"])),
        balance_micros=data["balance"],
        credit_limit_micros=data["credit_limit"],
        holds=tuple(_read_hold(item) for item in data["holds"]),
        expiring_lots=tuple((parse_time(when), micros) for when, micros in data["lapsing"]),
        pool_seconds=pool_seconds,
        pools_used=tuple((month, seconds) for month, seconds in pools_used),
        counters=_read_counters(data["counters"]),
        unposted=tuple(PendingCounterUpdate(*item) for item in data["unposted"]),
        unconfirmed_calls=tuple(
            UnconfirmedCall(authorization, parse_time(placed_at), leg)
            for authorization, placed_at, leg in data.get("unended", ())
        ),
        suspended=data["suspended"],
        stopped=data["stopped"],
        halted_at=parse_time(data["halted_at"]) if "halted_at" in data else None,
    )
    return state, int(cast("int", row.values["commit"])), str(row.values["commit_id"])


def spend_values(counters: Counters) -> dict[str, Value]:
    """The properties of a scope's counters."""
    return {"schema": SCHEMA, **pack("data", _counters(counters))}


@fails_closed(SCHEMA)
def read_spend(row: Row) -> Counters:
    """The counters of a scope."""
    return _read_counters(cast("list[Any]", unpack("data", row.values)))


def record_values(record: HoldRecord) -> dict[str, Value]:
    """The properties of a request's guard: the request and its answer, and of an
    allowance what an extension needs to know."""
    rate = record.rate
    return {
        "schema": SCHEMA,
        "bridge": record.bridge,
        "digest": record.digest,
        "answer": canonical_json(record.answer).decode(),
        "organizer": record.organizer or "",
        "conference": record.conference or "",
        "from": record.caller or "",
        "asked_at": format_time(record.requested_at) if record.requested_at else "",
        "rate": canonical_json(_rate(rate)).decode() if rate else "",
        "day": record.day,
        "scopes": " ".join(record.scopes),
        **grant_values(record),
    }


def grant_values(record: HoldRecord) -> dict[str, Value]:
    """The properties that an extension changes."""
    return {
        "schema": SCHEMA,
        "granted_seconds": record.granted_seconds,
        "pool_seconds": record.pool_seconds,
        "amount": record.amount_micros,
        "expires_at": format_time(record.expires_at) if record.expires_at else "",
    }


@fails_closed(SCHEMA)
def read_record(row: Row, grant: Row | None = None, *, released: bool = False) -> HoldRecord:
    """The request and answer of a guard, with later grants, and whether the bridge gave it back."""
    values = row.values if grant is None else {**row.values, **grant.values}
    expires_at, requested_at = str(values["expires_at"]), str(values["asked_at"])
    rate = str(values["rate"])
    return HoldRecord(
        authorization=row.key.removeprefix("hold|"),
        bridge=str(values["bridge"]),
        digest=str(values["digest"]),
        answer=cast("Mapping[str, object]", json.loads(str(values["answer"]))),
        granted_seconds=int(cast("int", values["granted_seconds"])),
        pool_seconds=int(cast("int", values["pool_seconds"])),
        amount_micros=int(cast("int", values["amount"])),
        expires_at=parse_time(expires_at) if expires_at else None,
        requested_at=parse_time(requested_at) if requested_at else None,
        rate=_read_rate(json.loads(rate)) if rate else None,
        organizer=str(values["organizer"]) or None,
        conference=str(values["conference"]) or None,
        caller=str(values.get("from", "")) or None,
        day=str(values.get("day", "")),
        scopes=tuple(str(values.get("scopes", "")).split()),
        released=released,
    )


read_outbox = fails_closed(SCHEMA)(outbox_of)


def _hold(hold: Hold) -> list[object]:
    return [
        hold.authorization,
        hold.amount_micros,
        hold.granted_seconds,
        _number(hold.placed_at),
        hold.day,
        hold.leg,
        hold.is_dial_out,
        list(hold.scopes),
        hold.pool_month,
        hold.pool_seconds,
        hold.grant_minute,
        hold.grant_micros,
        hold.released,
        _number(hold.answered_at) if hold.answered_at else None,
        hold.ends_by,
        hold.bridge,
        hold.notified,
    ]


def _number(moment: datetime) -> int:
    """Microseconds since 1970: a number is encoded faster than a time."""
    return (moment - _EPOCH) // _MICROSECOND


def _unconfirmed_calls(each: UnconfirmedCall) -> list[object]:
    return [each.authorization, format_time(each.placed_at), each.leg]


def _read_hold(item: list[Any]) -> Hold:
    authorization, amount, granted, placed_at, day, leg, is_dial_out, scopes, *more = item
    added = dict(zip(_ADDED, more[5:], strict=False))  # nothing before schema 4
    answered_at = added.pop("answered_at", None)
    hold = Hold(
        authorization,
        amount,
        granted,
        _EPOCH + placed_at * _MICROSECOND,
        day,
        leg,
        is_dial_out,
        tuple(scopes),
        *more[:5],
        **added,
    )
    if answered_at is None:
        return hold
    return replace(hold, answered_at=_EPOCH + answered_at * _MICROSECOND)


def _counters(counters: Counters) -> list[object]:
    return [
        [list(spent) for spent in counters.days],
        [list(spent) for spent in counters.months],
        counters.meeting_minute,
        counters.meeting_micros,
        [list(bucket) for bucket in counters.placed],
        [list(bucket) for bucket in counters.costs],
        list(counters.regions),
        list(counters.warned),
        counters.meeting_since,
    ]


def _read_counters(item: list[Any]) -> Counters:
    if item and isinstance(item[0], str):
        item = _of_schema_1(item)
    days, months, meeting_minute, meeting_micros, placed, costs, regions, *more = item
    return Counters(
        tuple((day, micros) for day, micros in days),
        tuple((month, micros) for month, micros in months),
        meeting_minute,
        meeting_micros,
        tuple((minute, count) for minute, count in placed),
        tuple((minute, micros) for minute, micros in costs),
        tuple(regions),
        tuple(more[0]) if more else (),  # the last rows of schema 1 have none
        more[1] if len(more) > 1 else meeting_minute,  # rows of schema 2 have none
    )


def _of_schema_1(item: list[Any]) -> list[Any]:
    day, day_micros, month, month_micros, *more = item
    days, months = [[day, day_micros]], [[month, month_micros]]
    return [days if day else [], months if month else [], *more, []]


def _rate(rate: RateReference) -> list[object]:
    return [
        rate.card,
        format_time(rate.version),
        rate.kind,
        rate.prefix,
        rate.origin,
        rate.is_included,
        _rate(rate.after) if rate.after else None,
    ]


def _read_rate(item: list[Any]) -> RateReference:
    card, version, kind, prefix, origin, is_included, *after = item
    later = _read_rate(after[0]) if after and after[0] else None  # none in schema 1
    return RateReference(card, parse_time(version), kind, prefix, origin, is_included, later)
