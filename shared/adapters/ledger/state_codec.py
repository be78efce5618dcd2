"""The parts of the ledger's rows for alerts and recharges: parts of the state's document, and the
quiet commands that journals keep."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from shared.domain.common.canonical import format_time, parse_time
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits.alerts import AlertRule, OpenAlert
from shared.domain.credits.burn_rate import Burn, SpendDay
from shared.domain.credits.recharge import (
    AutoRecharge,
    Recharges,
    RechargeStatus,
    read_recharge,
    recharge_document,
)
from shared.domain.ledger.model import (
    Acknowledge,
    Announce,
    AnswerRecharge,
    Configure,
    LedgerState,
    RulesChange,
    SettingsChange,
    Tick,
)

# What the state carries


def notice_document(state: LedgerState) -> dict[str, object]:
    """The known facts for alerts and recharges, as part of the state's document."""
    recharges = state.recharges
    return {
        "time_zone": state.time_zone,
        "auto_recharge": asdict(state.auto_recharge) if state.auto_recharge else None,
        "recharges": {
            "number": recharges.number,
            "pending": recharge_document(recharges.pending) if recharges.pending else None,
            "declines": recharges.declines,
            "not_before": _text(recharges.not_before),
            "held_back": recharges.held_back,
            "paused": recharges.paused,
            "day": [recharges.day, recharges.day_count],
            "month": [recharges.month, recharges.month_count, recharges.month_micros],
        },
        "announced": [list(each) for each in state.announced],
        "rules": state.rules,
        **_decided_document(state),
    }


def rules_document(before: LedgerState | None, after: LedgerState) -> dict[str, object] | None:
    """The rules named by the journal; None where they are those of the commit before."""
    if before is None:
        return {"number": after.rules}
    if before.rules == after.rules:
        return None
    armed = [asdict(rule) for rule in before.alert_rules]
    return {"number": after.rules, "alert_rules": armed, **_decided_document(before)}


def read_rules(data: Mapping[str, Any] | None) -> RulesChange | None:
    """The rules that `rules_document` wrote."""
    if data is None:
        return None
    if "burn" not in data:
        return RulesChange(data["number"], {})
    armed = tuple(AlertRule(**rule) for rule in data["alert_rules"])
    return RulesChange(data["number"], {"alert_rules": armed, **_read_decided(data)})


RULED_FIELDS = frozenset({"alert_rules", "alerts", "burn", "raised", "warned"})
"""The fields of the state that the rules decide."""


def _decided_document(state: LedgerState) -> dict[str, object]:
    burn = state.burn
    return {
        "burn": [
            *(burn.hour, burn.open_micros, burn.hours, list(burn.week)),
            *(burn.recent_micros, burn.expected_micros),
            [[day.ordinal, day.spent_micros, day.balance_micros] for day in burn.days],
            list(burn.last),
        ],
        "alerts": state.alerts,
        "raised": [
            [
                *(raised.number, raised.type, raised.name, format_time(raised.at)),
                *(raised.repeats, raised.acknowledged),
            ]
            for raised in state.raised
        ],
        "warned": [list(each) for each in state.warned],
    }


def _read_decided(data: Mapping[str, Any]) -> dict[str, Any]:
    hour, open_micros, hours, week, recent, expected, days, *last = data["burn"]
    return {
        "burn": Burn(
            hour=hour,
            open_micros=open_micros,
            hours=hours,
            week=tuple(week),
            recent_micros=recent,
            expected_micros=expected,
            days=tuple(SpendDay(*day) for day in days),
            last=tuple(last[0]) if last else (),
        ),
        "alerts": data["alerts"],
        "raised": tuple(
            OpenAlert(number, kind, name, parse_time(at), repeats, acknowledged)
            for number, kind, name, at, repeats, acknowledged in data["raised"]
        ),
        "warned": tuple((lot, days) for lot, days in data["warned"]),
    }


def read_notices(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the state that `notice_document` wrote; none for a row from before it."""
    if "burn" not in data:
        return {"rules": 1}
    recharges = data["recharges"]
    pending, not_before = recharges["pending"], recharges["not_before"]
    return {
        "time_zone": data["time_zone"],
        "auto_recharge": _read_auto(data["auto_recharge"]),
        "recharges": Recharges(
            number=recharges["number"],
            pending=read_recharge(pending) if pending else None,
            declines=recharges["declines"],
            not_before=_moment(not_before),
            held_back=recharges["held_back"],
            paused=recharges["paused"],
            day=recharges["day"][0],
            day_count=recharges["day"][1],
            month=recharges["month"][0],
            month_count=recharges["month"][1],
            month_micros=recharges["month"][2],
        ),
        "announced": tuple((source, number) for source, number in data["announced"]),
        "rules": data.get("rules", 1),
        **_read_decided(data),
    }


# Quiet commands, as journals keep them


_ANSWER = ("currency", "key", "digest", "reference", "hard", "actor")


def change_document(change: SettingsChange) -> dict[str, object]:
    """A quiet command with the entry that it came after."""
    return {"after_entry": change.after_entry, **_command(change)}


def read_change(data: Mapping[str, Any]) -> SettingsChange:
    """The quiet command that `change_document` wrote. Raises LedgerCorrupt."""
    command: Configure | Tick | AnswerRecharge | Acknowledge | Announce
    match data.get("command", "configure"):
        case "configure":
            command = Configure(
                settings_version=data["version"],
                currency=data["currency"],
                credit_limit_micros=data["credit_limit"],
                alert_rules=tuple(AlertRule(**rule) for rule in data["alert_rules"]),
                auto_recharge=_read_auto(data.get("auto_recharge")),
                time_zone=data.get("time_zone", "UTC"),
                pool_seconds=data.get("pool_seconds", 0),
            )
        case "tick":
            command = Tick()
        case "answer":
            command = AnswerRecharge(
                recharge=read_recharge(data["recharge"]),
                status=RechargeStatus(data["status"]),
                amount_micros=data["amount"],
                **{name: data[name] for name in _ANSWER},
            )
        case "acknowledge":
            command = Acknowledge(data["alert"], data["actor"])
        case "announce":
            command = Announce(
                data["source"], data["number"], data["type"], data["name"], data["data"]
            )
        case unknown:
            raise LedgerCorrupt(f"A journal has the unknown command {unknown!r}.")
    return SettingsChange(data["after_entry"], command)


def _command(change: SettingsChange) -> dict[str, object]:
    command = change.command
    match command:
        case Configure():
            return {
                "version": command.settings_version,
                "currency": command.currency,
                "credit_limit": command.credit_limit_micros,
                "alert_rules": [asdict(rule) for rule in command.alert_rules],
                "auto_recharge": asdict(command.auto_recharge) if command.auto_recharge else None,
                "time_zone": command.time_zone,
                "pool_seconds": command.pool_seconds,
            }
        case Tick():
            return {"command": "tick"}
        case AnswerRecharge():
            return {
                "command": "answer",
                "recharge": recharge_document(command.recharge),
                "status": command.status.value,
                "amount": command.amount_micros,
                **{name: getattr(command, name) for name in _ANSWER},
            }
        case Acknowledge():
            return {"command": "acknowledge", "alert": command.alert, "actor": command.actor}
        case Announce():
            return {
                "command": "announce",
                "source": command.source,
                "number": command.number,
                "type": command.type,
                "name": command.name,
                "data": dict(command.data),
            }


def _read_auto(data: Mapping[str, Any] | None) -> AutoRecharge | None:
    return AutoRecharge(**data) if data else None


def _text(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None


def _moment(text: str | None) -> datetime | None:
    return parse_time(text) if text else None
