"""A slow, obvious account: plain lists and fractions, no import from the product.

Every command takes the instant `at` at which it is booked and answers with a dict whose `outcome`
is `ok` (with `entry`), `first` (the stored first answer), `conflict` (same key, other content) or
`refused`. An entry is `{sequence, kind, amount, balance, at, leg?, lot?}`.

Choices where the texts leave room, each in one place:
- first in, first out goes by the order in which lots were opened, not by expiry (`_draw`);
- 12 months are counted in UTC; a day that the month lacks becomes its last day (`a_year_later`);
- a leg may draw on an expired lot if it was answered before the expiry (`_may_pay`);
- all that comes in pays the deficit before it stays in a lot, oldest lot first (`_pay_deficit`);
- what a reversed leg was owed by nobody's lot, or by lots that expired since, comes back as one
  30-day grant (`reverse`);
- what holds keep from expiring is laid on the lots first in, first out (`expire`).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

type Json = dict[str, Any]

LATE_LEG = timedelta(hours=72)
RETURNED = timedelta(days=30)
ZERO = Fraction(0)


def a_year_later(moment: datetime) -> datetime:
    """The same day twelve months on: 29 February becomes the 28th."""
    moment = moment.astimezone(UTC)
    if (moment.month, moment.day) == (2, 29):
        moment = moment.replace(day=28)
    return moment.replace(year=moment.year + 1)


@dataclass
class Lot:
    """Credit that was bought or granted at once; kept in the list when it is used up."""

    id: str
    kind: str
    amount: Fraction
    remaining: Fraction
    purchased_at: datetime
    expires_at: datetime | None
    consumed: Fraction = ZERO
    expired: Fraction = ZERO


@dataclass
class Rule:
    """An alert threshold: an amount, or per cent of the last top-up."""

    name: str
    below: Fraction | None
    below_percent: Fraction | None
    is_armed: bool = True


@dataclass
class LedgerModel:
    """One account. `alerts` lists `(entry sequence, rule name)` of every crossing."""

    credit_limit: Fraction = ZERO
    lots: list[Lot] = field(default_factory=list)
    deficit: Fraction = ZERO
    balance: Fraction = ZERO
    entries: list[Json] = field(default_factory=list)
    commands: dict[str, tuple[Any, Json]] = field(default_factory=dict)
    legs: dict[str, Json] = field(default_factory=dict)
    reversals: dict[str, Json] = field(default_factory=dict)
    conflicts: list[tuple[str, Any]] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)
    last_top_up: Fraction | None = None
    last_charge: Fraction = ZERO
    balance_before: Fraction | None = None

    # ---- commands

    def configure(self, body: Json) -> None:
        """The account's settings: credit limit and alerts. A rule that stays as it was keeps its
        arming, every other one is armed again."""
        self.credit_limit = Fraction(body.get("credit_limit", "0"))
        before = {(rule.name, rule.below, rule.below_percent): rule for rule in self.rules}
        self.rules = []
        for alert in body.get("alerts") or []:
            below = Fraction(alert["below"]) if "below" in alert else None
            percent = Fraction(str(alert["below_percent"])) if "below_percent" in alert else None
            if below is not None or percent is not None:
                old = before.get((alert["name"], below, percent))
                self.rules.append(old or Rule(alert["name"], below, percent))

    def top_up(self, key: str, body: Json, at: datetime, lot: str | None = None) -> Json:
        """Credit comes in: `{"amount", "kind"?: "purchased"|"granted", "expires_at"?}`."""
        if key in self.commands:
            return self._again(key, body)
        kind, amount = body.get("kind", "purchased"), Fraction(body["amount"])
        expires_at = _moment(body.get("expires_at"))
        if kind == "purchased":
            expires_at = expires_at or a_year_later(at)
        self.last_top_up = amount  # what was granted counts: an account may live on nothing else
        opened = self._open(lot, kind, amount, at, expires_at)
        entry_kind = "top_up" if kind == "purchased" else "grant"
        return self._remember(key, body, self._book(entry_kind, amount, at, lot=opened.id))

    def adjust(self, key: str, body: Json, at: datetime, lot: str | None = None) -> Json:
        """A correction: more opens a granted lot without expiry, less draws on the lots."""
        if key in self.commands:
            return self._again(key, body)
        amount = Fraction(body["amount"])
        if amount >= 0:
            opened = self._open(lot, "granted", amount, at, None)
            return self._remember(key, body, self._book("adjustment", amount, at, lot=opened.id))
        self._draw(-amount, at, at)
        return self._remember(key, body, self._book("adjustment", amount, at))

    def charge(
        self, leg: str, content: Any, amount: Fraction, answered_at: datetime | None, at: datetime
    ) -> Json:
        """A leg is debited, once. `funded_by` names lots and parts; the rest is `unfunded`."""
        if leg in self.legs:
            if self.legs[leg]["content"] == content:
                return self.legs[leg] | {"outcome": "first"}
            if (leg, content) not in self.conflicts:
                self.conflicts.append((leg, content))
            return {"outcome": "conflict", "first": self.legs[leg]}
        before = self.balance
        parts, unfunded = self._draw(amount, answered_at or at, at)
        if amount > 0:
            self.last_charge = amount
        result = {
            "outcome": "ok",
            "content": content,
            "amount": amount,
            "funded_by": [{"lot": lot.id, "amount": part} for lot, part in parts],
            "unfunded": unfunded,
            "balance_before": before,
            "balance_after": before - amount,
            "entry": self._book("debit", -amount, at, leg=leg),
        }
        self.legs[leg] = result
        return result

    def reverse(self, leg: str, at: datetime, lot: str | None = None) -> Json:
        """A leg is taken back, once: to the lots that paid, or as a 30-day grant."""
        if leg not in self.legs:
            return {"outcome": "refused", "why": "no such leg"}
        if leg in self.reversals:
            return self.reversals[leg] | {"outcome": "first"}
        paid = self.legs[leg]
        owed = min(paid["unfunded"], self.deficit)
        self.deficit -= owed
        to_grant = paid["unfunded"] - owed
        for part in paid["funded_by"]:
            source = next(one for one in self.lots if one.id == part["lot"])
            if source.expires_at is not None and source.expires_at <= at:
                to_grant += part["amount"]
            else:
                source.remaining += part["amount"]
                source.consumed -= part["amount"]
        opened = self._open(lot, "granted", to_grant, at, at + RETURNED) if to_grant else None
        self._pay_deficit(at)
        entry = self._book(
            "reversal", paid["amount"], at, leg=leg, lot=opened.id if opened else None
        )
        self.reversals[leg] = {"outcome": "ok", "entry": entry}
        return self.reversals[leg]

    def expirable(self, lot: Lot, at: datetime, held: Fraction = ZERO) -> Fraction:
        """What expiry may take of a lot now. `held`: open holds that were placed before it expired.

        The holds lie on the lots first in, first out; 72 h after the expiry they keep nothing.
        """
        if lot.expires_at is None or at < lot.expires_at:
            return ZERO
        if at >= lot.expires_at + LATE_LEG:
            return lot.remaining
        earlier = sum((one.remaining for one in self.lots[: self.lots.index(lot)]), ZERO)
        return lot.remaining - min(lot.remaining, max(ZERO, held - earlier))

    def expire(
        self, lot_id: str, at: datetime, held: Fraction = ZERO, amount: Fraction | None = None
    ) -> Json:
        """A lot's rest is taken, or `amount` of it; nothing is booked when there is nothing."""
        lot = next(one for one in self.lots if one.id == lot_id)
        allowed = self.expirable(lot, at, held)
        taken = allowed if amount is None else amount
        if taken > allowed:
            return {"outcome": "refused", "why": f"only {allowed} may expire"}
        if taken == 0:
            return {"outcome": "ok", "entry": None}
        lot.remaining -= taken
        lot.expired += taken
        return {"outcome": "ok", "entry": self._book("expiry", -taken, at, lot=lot.id)}

    def revive(self, lot_id: str, amount: Fraction, at: datetime) -> Json:
        """An expired lot gets back what a late leg is about to draw on it, within its 72 hours."""
        lot = next(one for one in self.lots if one.id == lot_id)
        is_late = lot.expires_at is not None and lot.expires_at <= at < lot.expires_at + LATE_LEG
        if not is_late or amount > lot.expired:
            return {"outcome": "refused", "why": f"{lot_id} has nothing to give back"}
        lot.remaining += amount
        lot.expired -= amount
        return {"outcome": "ok", "entry": self._book("reversal", amount, at, quiet=True)}

    def expire_all(self, at: datetime, held: Fraction = ZERO) -> list[Json]:
        """Every lot that is due, oldest first."""
        answers = [self.expire(lot.id, at, held) for lot in list(self.lots)]
        return [answer["entry"] for answer in answers if answer["entry"]]

    # ---- what must always be true

    def problems(self) -> list[str]:
        """Nothing, unless the model itself is wrong."""
        found = []
        in_lots = sum((lot.remaining for lot in self.lots), ZERO)
        if in_lots - self.deficit != self.balance:
            found.append(f"lots {in_lots} - deficit {self.deficit} is not {self.balance}")
        if sum((entry["amount"] for entry in self.entries), ZERO) != self.balance:
            found.append("the entries do not add up to the balance")
        for lot in self.lots:
            if lot.remaining < 0 or lot.consumed < 0 or lot.expired < 0:
                found.append(f"lot {lot.id} has a negative part")
            if lot.consumed + lot.remaining + lot.expired != lot.amount:
                found.append(f"lot {lot.id} does not add up")
        return found

    # ---- parts

    def _again(self, key: str, body: Json) -> Json:
        first_body, first = self.commands[key]
        return first | {"outcome": "first"} if first_body == body else {"outcome": "conflict"}

    def _remember(self, key: str, body: Json, entry: Json) -> Json:
        self.commands[key] = (body, {"outcome": "ok", "entry": entry, "balance": self.balance})
        return self.commands[key][1]

    def _open(
        self, lot: str | None, kind: str, amount: Fraction, at: datetime, expires: datetime | None
    ) -> Lot:
        opened = Lot(lot or f"lot-{len(self.lots) + 1}", kind, amount, amount, at, expires)
        self.lots.append(opened)
        self._pay_deficit(at)
        return opened

    def _pay_deficit(self, at: datetime) -> None:
        for lot in self.lots:
            if _may_pay(lot, at, at):
                part = min(lot.remaining, self.deficit)
                lot.remaining -= part
                lot.consumed += part
                self.deficit -= part

    def _draw(
        self, amount: Fraction, answered_at: datetime, at: datetime
    ) -> tuple[list[tuple[Lot, Fraction]], Fraction]:
        parts, wanted = [], amount
        for lot in self.lots:
            part = min(lot.remaining, wanted)
            if part > 0 and _may_pay(lot, answered_at, at):
                lot.remaining -= part
                lot.consumed += part
                wanted -= part
                parts.append((lot, part))
        self.deficit += wanted
        return parts, wanted

    def _book(
        self, kind: str, amount: Fraction, at: datetime, quiet: bool = False, **names: str | None
    ) -> Json:
        before, self.balance = self.balance, self.balance + amount
        entry: Json = {"sequence": len(self.entries) + 1, "kind": kind, "amount": amount}
        entry |= {"balance": self.balance, "at": at}
        entry |= {name: value for name, value in names.items() if value is not None}
        self.entries.append(entry)
        start = before if self.balance_before is None else self.balance_before
        self.balance_before = start if quiet else None
        if not quiet:
            self._evaluate_alerts(start, entry["sequence"])
        return entry

    def _evaluate_alerts(self, before: Fraction, sequence: int) -> None:
        for rule in self.rules:
            threshold = rule.below
            if rule.below_percent is not None:
                if self.last_top_up is None:
                    continue
                threshold = self.last_top_up * rule.below_percent / 100
            assert threshold is not None
            if self.balance >= threshold + max(threshold / 10, self.last_charge):
                rule.is_armed = True
            if rule.is_armed and self.balance < before and self.balance < threshold:
                rule.is_armed = False
                self.alerts.append((sequence, rule.name))


def _may_pay(lot: Lot, answered_at: datetime, at: datetime) -> bool:
    """Valid now, or valid when the leg was answered and expired less than 72 h ago."""
    if lot.expires_at is None or at < lot.expires_at:
        return True
    return answered_at < lot.expires_at and at < lot.expires_at + LATE_LEG


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
