"""Dialect `perminute`: the call-ended event of Perminute (docs/leg-fields.md)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from shared.adapters.bridges.fields import is_number_text, read_rfc3339
from shared.domain.common.errors import FieldError, Invalid, TooLarge
from shared.domain.common.ids import FOREIGN_ID_RULE, ID_RULE, is_foreign_id, is_id
from shared.domain.common.kinds import LegKind
from shared.domain.common.limits import CALL_ENDED_LEGS_MAX, FIELD_ERRORS_MAX, NUMBER_CHARS_MAX
from shared.domain.common.strict_json import loads
from shared.domain.legs.bridge_payloads import BridgePayload, ParsedLeg
from shared.domain.legs.leg import LEG_FIELDS, EndedLeg, LegField, LegFieldType

_NUMBER_RULE = f"a text of at most {NUMBER_CHARS_MAX} characters, no control characters"
# Far over what any leg can last (longer than a day is parked), and it fits every store
_TALK_SECONDS_MAX = 10**9


def parse(post: BridgePayload) -> list[ParsedLeg]:
    """One leg or an array of up to 1,000, in their order.

    Raises BadRequest (no JSON), TooLarge (too many legs) and Invalid with a pointer for each
    field that is wrong; one malformed leg refuses them all.
    """
    value = loads(post.body)
    if not isinstance(value, list):
        return [read_leg(post.bridge, value)]
    if not value:
        raise Invalid(
            "The post has no leg. Send at least one leg.", (FieldError("", "at least one leg"),)
        )
    if len(value) > CALL_ENDED_LEGS_MAX:
        raise TooLarge(f"The post has more than {CALL_ENDED_LEGS_MAX} legs. Send smaller posts.")
    errors: list[FieldError] = []
    legs: list[ParsedLeg] = []
    for index, item in enumerate(value):
        reader = _LegReader(item, f"/{index}")
        leg = reader.leg(post.bridge)
        if leg is None:
            errors += reader.errors
            if len(errors) >= FIELD_ERRORS_MAX:
                break
        else:
            legs.append(leg)
    if errors:
        raise _malformed(errors)
    return legs


def read_leg(
    bridge: str, value: object, *, pointer: str = "", refuse_unknown: bool = False
) -> EndedLeg:
    """The leg that a JSON value encodes; unknown fields are ignored by default.

    Raises Invalid; its pointers begin with `pointer`.
    """
    reader = _LegReader(value, pointer)
    if refuse_unknown:
        for name in sorted(reader.names - set(LEG_FIELDS)):
            reader.fail(name, "no field of a leg")
    leg = reader.leg(bridge)
    if leg is None:
        raise _malformed(reader.errors)
    return leg


def _malformed(errors: list[FieldError]) -> Invalid:
    return Invalid(
        "The post is not a list of ended legs, so no leg was accepted. "
        "Correct the fields in errors and post again.",
        tuple(errors[:FIELD_ERRORS_MAX]),
    )


class _LegReader:
    """Reads the fields of one leg and gathers all that is wrong with them."""

    def __init__(self, value: object, pointer: str) -> None:
        self._fields: dict[str, object] = value if isinstance(value, dict) else {}
        self._pointer = pointer
        self.errors: list[FieldError] = []
        if not isinstance(value, dict):
            self.errors.append(FieldError(pointer, "a JSON object"))

    @property
    def names(self) -> set[str]:
        return set(self._fields)

    def fail(self, name: str, detail: str) -> None:
        token = name.replace("~", "~0").replace("/", "~1")
        self.errors.append(FieldError(f"{self._pointer}/{token}", detail))

    def leg(self, bridge: str) -> EndedLeg | None:
        """The leg, or None with `errors` filled."""
        if self.errors:
            return None
        values: dict[str, Any] = {
            field.attribute: self._value(name, field) for name, field in LEG_FIELDS.items()
        }
        if values["kind"] != LegKind.VOIP and self._fields.get("to") in (None, ""):
            self.fail("to", _NUMBER_RULE if "to" in self._fields else f"is missing: {_NUMBER_RULE}")
        if self.errors:
            return None
        leg = EndedLeg(bridge=bridge, **values)
        self._check_order(leg.started_at, leg.answered_at, leg.ended_at)
        if leg.talk_seconds and leg.answered_at is None:
            self.fail("talk_seconds", "must be 0 or left out: the leg was not answered")
        return None if self.errors else leg

    def _check_order(
        self, started_at: datetime, answered_at: datetime | None, ended_at: datetime
    ) -> None:
        if answered_at is not None and ended_at < answered_at:
            self.fail("ended_at", "is before answered_at")
        elif ended_at < started_at:
            self.fail("ended_at", "is before started_at")
        elif answered_at is not None and answered_at < started_at:
            self.fail("answered_at", "is before started_at")

    def _value(self, name: str, field: LegField) -> object:
        parse, rule = _TYPES[field.type]
        value = self._fields.get(name)
        if value is None and field.is_nullable and (name in self._fields or not field.is_mandatory):
            return None
        if value == "" and field.type in _MAY_BE_EMPTY and not field.is_mandatory:
            return None
        parsed = parse(value)
        if parsed is None:
            self.fail(name, rule if name in self._fields else f"is missing: {rule}")
        return parsed


def _text(is_valid: Callable[[str], bool]) -> Callable[[object], str | None]:
    return lambda value: value if isinstance(value, str) and value and is_valid(value) else None


def _time(value: object) -> datetime | None:
    return read_rfc3339(value) if isinstance(value, str) else None


def _kind(value: object) -> LegKind | None:
    return LegKind(value) if isinstance(value, str) and value in list(LegKind) else None


def _seconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _TALK_SECONDS_MAX else None


_TYPES: dict[LegFieldType, tuple[Callable[[object], object], str]] = {
    LegFieldType.FOREIGN_ID: (_text(is_foreign_id), f"a text of {FOREIGN_ID_RULE}"),
    LegFieldType.ACCOUNT: (_text(is_id), f"an account id: {ID_RULE}"),
    LegFieldType.NUMBER: (_text(is_number_text), _NUMBER_RULE),
    LegFieldType.KIND: (_kind, "one of " + ", ".join(LegKind)),
    LegFieldType.TIME: (_time, "an RFC 3339 time with its zone, such as 2026-11-23T10:00:00Z"),
    LegFieldType.SECONDS: (_seconds, "whole seconds, not negative"),
}
_MAY_BE_EMPTY = {LegFieldType.FOREIGN_ID, LegFieldType.ACCOUNT, LegFieldType.NUMBER}
