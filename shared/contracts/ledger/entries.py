"""Documents of the ledger: top-ups, corrections, entries, legs and parked legs."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.common.fields import AdminBody, ForeignId
from shared.contracts.common.times import read_time
from shared.contracts.common.validation import AmountText, ReasonText, ReferenceText, TimeText
from shared.contracts.legs.ended_legs import LegChanges
from shared.domain.common import limits
from shared.domain.common.canonical import content_digest, format_time
from shared.domain.common.errors import PerminuteError
from shared.domain.common.money import format_amount, parse_amount
from shared.domain.credits.lots import LotKind
from shared.domain.ledger.model import Adjust, Entry, TopUp
from shared.domain.ledger.statements import Statement, Total
from shared.domain.legs.leg import encode_leg_key, posted_leg
from shared.domain.legs.parking import WAYS_OUT, ParkedLeg, ParkReason, ParkStatus

ParkReasonText = Annotated[str, Field(pattern=f"^({'|'.join(ParkReason)})$")]
ENTRY_COLUMNS = (
    *("sequence", "kind", "amount", "balance", "leg", "lot", "reference", "at"),
    *("reason", "reverses", "rerates", "actor"),
)

PARKED_COLUMNS = (
    *("id", "leg", "bridge", "account", "reason", "detail", "received_at", "original"),
    *("attempts", "status", "actor", "charged_as", "note"),
)


class TopUpBody(AdminBody):
    """Purchased or granted credits. `purchased` ones expire after 12 months unless `expires_at` is
    given, `granted` ones only by `expires_at`."""

    amount: AmountText
    kind: str = Field(default="purchased", pattern="^(purchased|granted)$")
    reference: ReferenceText | None = None
    expires_at: TimeText | None = None

    def command(self, key: str, actor: str) -> TopUp:
        """The ledger's command; its digest covers the values, not their notation."""
        content = {"route": "top-ups", **self.model_dump()}
        return TopUp(
            key=key,
            digest=content_digest(content),
            amount_micros=parse_amount(self.amount),
            kind=LotKind(self.kind),
            reference=self.reference,
            expires_at=read_time(self.expires_at) if self.expires_at else None,
            actor=actor,
        )


class AdjustmentBody(AdminBody):
    """A correction by a person: positive opens a granted lot, negative draws, beyond balance +
    credit limit only with `allow_overdraft`."""

    amount: AmountText
    reason: ReasonText
    allow_overdraft: bool = False

    def command(self, key: str, actor: str) -> Adjust:
        """The ledger's command; its digest leaves `allow_overdraft` out where it is false, so that
        adjustments of versions without that field keep their digests."""
        content: dict[str, object] = {
            "route": "adjustments",
            "amount": self.amount,
            "reason": self.reason,
        }
        if self.allow_overdraft:
            content["allow_overdraft"] = True
        return Adjust(
            key=key,
            digest=content_digest(content),
            amount_micros=parse_amount(self.amount),
            reason=self.reason,
            actor=actor,
            allow_overdraft=self.allow_overdraft,
        )


class ReversalBody(AdminBody):
    """The reason of a reversal; only a dry run may lack it."""

    reason: ReasonText | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _has_reason(self) -> Self:
        if not self.dry_run and self.reason is None:
            raise ValueError("needs a reason, unless it is a dry run")
        return self


class ErasureBody(AdminBody):
    """The person to erase: a number as posted, or an organizer; one of them."""

    number: str | None = Field(default=None, min_length=3, max_length=limits.NUMBER_CHARS_MAX)
    organizer: str | None = Field(
        default=None, min_length=1, max_length=limits.FOREIGN_ID_CHARS_MAX
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.number is None) == (self.organizer is None):
            raise ValueError("either number or organizer is needed")
        return self


class ReplayBody(BaseModel):
    """The options of a replay: changed fields of the leg, which the dialect validates; for a
    conflict the id under which the leg is charged."""

    model_config = ConfigDict(extra="forbid")

    leg: LegChanges | None = None
    charge_as: ForeignId | None = None


class DismissBody(AdminBody):
    """The reason of a dismissal."""

    note: ReasonText | None = None


class ReplayAllBody(AdminBody):
    """A selection of open parked legs: a page of them, as of a list."""

    account: str | None = Field(default=None, min_length=1, max_length=63)
    reason: ParkReasonText | None = None
    limit: int = Field(default=limits.LIST_ITEMS_DEFAULT, ge=1, le=limits.PARKED_BULK_MAX)
    cursor: str | None = Field(default=None, max_length=limits.TABLE_CURSOR_CHARS_MAX)

    def where(self) -> dict[str, str]:
        """The fields to compare with, and their values."""
        fields = {"account": self.account, "reason": self.reason}
        return {name: value for name, value in fields.items() if value is not None}


class DismissAllBody(ReplayAllBody):
    """A selection of open parked legs and the reason of their dismissal; an account or a reason to
    select by is required."""

    note: ReasonText

    @model_validator(mode="after")
    def _some_of_them(self) -> Self:
        if not self.where():
            raise ValueError("needs account or reason")
        return self


def entry_body(entry: Entry) -> dict[str, object]:
    """An entry as a JSON object."""
    body: dict[str, object | None] = {
        "sequence": entry.sequence,
        "kind": entry.kind.value,
        "amount": format_amount(entry.amount_micros),
        "balance": format_amount(entry.balance_micros),
        "leg": encode_leg_key(entry.leg) if entry.leg else None,
        "lot": entry.lot_id,
        "reference": entry.reference,
        "reason": entry.reason,
        "reverses": entry.reverses,
        "rerates": entry.rerates,
        "actor": entry.actor,
        "at": format_time(entry.at),
    }
    return {name: value for name, value in body.items() if value is not None}


def reversal_body(entry: Entry, *, dry_run: bool) -> dict[str, object]:
    """A reversal, booked or foreseen: the balance before and after, what it pays of the amount
    owed, and the lots that get the rest; a lot that it opens has `expires_at`."""
    lots: list[dict[str, object]] = [
        {"lot": draw.lot, "amount": format_amount(-draw.amount_micros)} for draw in entry.draws
    ]
    if grant := entry.lot:
        expires_at = {"expires_at": format_time(grant.expires_at)} if grant.expires_at else {}
        lots.append({"lot": grant.id, "amount": format_amount(grant.amount_micros), **expires_at})
    return {
        "dry_run": dry_run,
        "entry": entry_body(entry),
        "balance_before": format_amount(entry.balance_micros - entry.amount_micros),
        "balance": format_amount(entry.balance_micros),
        "owed": format_amount(-entry.deficit_micros),
        "lots": lots,
    }


def leg_body(
    leg: str,
    charge: Mapping[str, object],
    person: Mapping[str, object],
    entry: Entry,
    reversal: Entry | None,
    explanation: Mapping[str, object],
) -> dict[str, object]:
    """A charged leg (docs/rating.md): its charge, the explanation where it is requested, who
    it was, how it was paid, and the entry that took it back, if one did."""
    return {
        "leg": encode_leg_key(leg),
        **charge,
        **explanation,
        "from": person.get("from"),
        "to": person.get("to"),
        **{name: person[name] for name in ("from_received", "to_received") if name in person},
        "organizer": person.get("organizer"),
        "funded_by": [
            {"lot": draw.lot, "amount": format_amount(draw.amount_micros)} for draw in entry.draws
        ],
        "balance_before": format_amount(entry.balance_micros - entry.amount_micros),
        "balance_after": format_amount(entry.balance_micros),
        "entry": entry.sequence,
        **({"reversed_by": reversal.sequence} if reversal else {}),
    }


def replaced_body(
    charge: Mapping[str, object], entry: Entry, reversal: Entry | None
) -> dict[str, object]:
    """A charge of a leg that a re-rating replaced."""
    return {
        "entry": entry.sequence,
        "at": format_time(entry.at),
        "amount": charge.get("amount"),
        "billed_seconds": charge.get("billed_seconds"),
        "rate": charge.get("rate"),
        "reversed_by": reversal.sequence if reversal else None,
    }


def parked_body(parked: ParkedLeg) -> dict[str, object]:
    """A leg in the parking lot."""
    body: dict[str, object | None] = {
        "id": parked.id,
        "leg": encode_leg_key(parked.leg),
        "bridge": parked.bridge,
        "account": parked.account,
        "reason": parked.reason.value,
        "detail": parked.detail,
        "what_to_do": WAYS_OUT[parked.reason] if parked.status is ParkStatus.OPEN else None,
        "received_at": format_time(parked.received_at),
        "original": posted_leg(parked.original),
        "attempts": parked.attempts,
        "status": parked.status.value,
        "actor": parked.actor,
        "charged_as": encode_leg_key(parked.charged_as) if parked.charged_as else None,
        "note": parked.note,
    }
    return {name: value for name, value in body.items() if value is not None}


def swept_body(
    items: Sequence[tuple[ParkedLeg, PerminuteError | None]], cursor: str | None
) -> dict[str, object]:
    """The parked legs that were handled together, as a JSON object."""
    counts = {status.value: 0 for status in ParkStatus}
    for parked, _ in items:
        counts[parked.status.value] += 1
    return {
        **counts,
        "items": [
            {
                "id": parked.id,
                "leg": encode_leg_key(parked.leg),
                "account": parked.account,
                "status": parked.status.value,
                "reason": parked.reason.value,
                "detail": error.detail if error else parked.detail,
                **({"code": error.code} if error else {}),
            }
            for parked, error in items
        ],
        **({"next": cursor} if cursor else {}),
    }


def parked_leg_body(parked: ParkedLeg) -> dict[str, object]:
    """A parked leg where its charge is requested."""
    return {
        "leg": encode_leg_key(parked.leg),
        "account": parked.account,
        "status": "parked",
        "reason": parked.reason.value,
        "detail": parked.detail,
        "what_to_do": WAYS_OUT[parked.reason],
        "parked": parked.id,
    }


def statement_body(
    account: str, statement: Statement, currency: str, open_parked: int
) -> dict[str, object]:
    """A month added up. Amounts by kind are the ledger's, those of legs are charges."""
    return {
        "account": account,
        "month": statement.month,
        "currency": currency,
        "opening": format_amount(statement.opening_micros),
        "closing": format_amount(statement.closing_micros),
        "re_adds": statement.re_adds,
        "entries": {"first": statement.first_entry, "last": statement.last_entry},
        "by_kind": [
            {"name": name, "count": total.count, "amount": format_amount(total.amount_micros)}
            for name, total in sorted(statement.by_kind.items())
        ],
        "restored": format_amount(statement.restored_micros),
        "charges": total_body(statement.charges),
        **{
            grouping: [
                {"name": name or None, **total_body(total)}
                for name, total in sorted(totals.items())
                if total != Total()
            ]
            for grouping, totals in statement.groupings.items()
        },
        "parked": {"open": open_parked},
    }


def total_body(total: Total) -> dict[str, object]:
    """Sums of legs of a statement."""
    return {
        "count": total.count,
        "amount": format_amount(total.amount_micros),
        "billed_seconds": total.seconds,
        "pool_seconds": total.pool_seconds,
    }
