"""The input of the auditor: a history and a final state, read the same way by every check.

The shapes are listed in `auditor.py`.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any

type Json = dict[str, Any]

ZERO = Fraction(0)
STALE_VIEW = timedelta(seconds=2)
FACTS_LIVE = timedelta(seconds=30)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
DEBITED = ("charged", "zero", "pool")


def money(value: Any) -> Fraction:
    """An amount of the wire, exactly; None is nothing."""
    return _exact(str(value)) if value is not None else ZERO


@lru_cache(maxsize=10_000)
def _exact(text: str) -> Fraction:
    return Fraction(text)


def when(value: Any) -> datetime:
    """An instant: RFC 3339 text, or a datetime as it is."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def began(op: Json) -> datetime:
    """When a request was sent: `began`, or `at` if the history does not say."""
    return when(op.get("began", op["at"]))


def ended(op: Json) -> datetime:
    """When its answer came, or when the caller gave up."""
    return when(op["at"])


def leg_key(bridge: str, leg_id: str) -> str:
    """A leg's key as it is shown."""
    if re.fullmatch(r"[A-Za-z0-9._-]+", leg_id, re.ASCII):
        return f"{bridge}~{leg_id}"
    return f"{bridge}~~{base64.urlsafe_b64encode(leg_id.encode()).decode().rstrip('=')}"


@dataclass
class Case:
    """One audit. `skew` is how far the product's clocks may be from the history's."""

    history: list[Json]
    final: dict[str, Json]
    skew: timedelta = timedelta(0)
    replayed: dict[str, Any] = field(default_factory=dict)
    """What rules have worked out together, by account."""

    def ops(self, *names: str, account: str | None = None, unknown: bool = False) -> list[Json]:
        """The operations of these names that succeeded, in order of their answers;
        with `unknown` those too that may have succeeded."""
        outcomes = ("ok", "info") if unknown else ("ok",)
        found = [
            op
            for op in self.history
            if op["op"] in names
            and op["outcome"] in outcomes
            and (account is None or op.get("account") == account)
        ]
        return sorted(found, key=ended)

    def accounts(self) -> Iterator[tuple[str, Json]]:
        """Every account and what its reader sees; the key "" has no account, only parked legs."""
        return ((name, view) for name, view in self.final.items() if name)

    def parked(self) -> list[Json]:
        """The parked legs of all accounts, each once."""
        items = [item for view in self.final.values() for item in view.get("parked", [])]
        return list({item["id"]: item for item in items}.values())

    def debited_legs(self) -> Iterator[tuple[str, str, Json]]:
        """`(account, leg, body)` of every leg that has its entry."""
        for name, view in self.accounts():
            for leg, body in view.get("legs", {}).items():
                if body["status"] in DEBITED:
                    yield name, leg, body

    def sent(self, unknown: bool = False) -> dict[str, list[Json]]:
        """The call-ended operations per leg key, without those that were ignored."""
        by_leg: dict[str, list[Json]] = {}
        for op in self.ops("call_ended", unknown=unknown):
            if (op.get("result") or {}).get("status") != "ignored":
                request = op["request"]
                key = leg_key(request["bridge"], request["leg"]["leg_id"])
                by_leg.setdefault(key, []).append(op)
        return by_leg

    def settings(self, account: str) -> list[Json]:
        """The bodies that the account may have had, in order."""
        return [op["request"] for op in self.ops("put_account", account=account, unknown=True)]


def entries_of(view: Json) -> list[Json]:
    """An account's entries in the order of their numbers."""
    return sorted(view["entries"], key=lambda entry: int(entry["sequence"]))


def first_times(events: list[Json]) -> list[Json]:
    """Events without the repetitions that at-least-once brings."""
    seen: dict[str, Json] = {}
    for event in events:
        seen.setdefault(event["id"], event)
    return list(seen.values())
