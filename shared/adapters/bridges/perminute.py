"""Dialect `perminute`: our own call-ended event (docs/bridge-integration.md)."""

from collections.abc import Callable
from datetime import datetime

from shared.adapters.bridges.fields import is_number_text, read_rfc3339
from shared.domain.common.errors import FieldError, Invalid, TooLarge
from shared.domain.common.ids import FOREIGN_ID_RULE, ID_RULE, is_foreign_id, is_id
from shared.domain.common.kinds import LegKind
from shared.domain.common.limits import CALL_ENDED_LEGS_MAX, FIELD_ERRORS_MAX, NUMBER_CHARS_MAX
from shared.domain.common.strict_json import loads
from shared.domain.legs.bridge_payloads import BridgePayload, ParsedLeg
from shared.domain.legs.leg import LEG_FIELDS, EndedLeg

_ID_RULE = f"a text of {FOREIGN_ID_RULE}"
_TIME_RULE = "an RFC 3339 time with its zone, such as 2026-11-23T10:00:00Z"
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
        raise Invalid("No leg was posted.", (FieldError("", "at least one leg"),))
    if len(value) > CALL_ENDED_LEGS_MAX:
        raise TooLarge(f"At most {CALL_ENDED_LEGS_MAX} legs can be posted at once.")
    errors: list[FieldError] = []
    legs: list[ParsedLeg] = []
    for index, item in enumerate(value):
        reader = _Reader(item, f"/{index}")
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
    reader = _Reader(value, pointer)
    if refuse_unknown:
        for name in sorted(reader.names - set(LEG_FIELDS)):
            reader.fail(name, "no field of a leg")
    leg = reader.leg(bridge)
    if leg is None:
        raise _malformed(reader.errors)
    return leg


def _malformed(errors: list[FieldError]) -> Invalid:
    return Invalid(
        "What was posted is not a leg that ended; nothing was taken.",
        tuple(errors[:FIELD_ERRORS_MAX]),
    )


class _Reader:
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
        leg_id = self._text("leg_id", is_foreign_id, _ID_RULE, required=True)
        kind = self._kind()
        to_number = self._text("to", is_number_text, _NUMBER_RULE, required=kind != LegKind.VOIP)
        started_at = self._time("started_at")
        ended_at = self._time("ended_at")
        answered_at = self._answered_at()
        talk_seconds = self._talk_seconds()
        optional = {
            name: self._text(name, is_foreign_id, _ID_RULE)
            for name in ("conference_id", "organizer_id", "authorization", "hangup_cause")
        }
        account = self._text("account", is_id, f"an account id: {ID_RULE}")
        from_number = self._text("from", is_number_text, _NUMBER_RULE)
        if self.errors or leg_id is None or started_at is None or ended_at is None:
            return None
        self._check_order(started_at, answered_at, ended_at)
        if talk_seconds and answered_at is None:
            self.fail("talk_seconds", "must be 0 or left out: the leg was not answered")
        if self.errors:
            return None
        return EndedLeg(
            bridge=bridge,
            leg_id=leg_id,
            conference_id=optional["conference_id"],
            kind=kind,
            from_number=from_number,
            to_number=to_number,
            started_at=started_at,
            answered_at=answered_at,
            ended_at=ended_at,
            talk_seconds=talk_seconds,
            account=account,
            organizer=optional["organizer_id"],
            authorization=optional["authorization"],
            hangup_cause=optional["hangup_cause"],
        )

    def _check_order(
        self, started_at: datetime, answered_at: datetime | None, ended_at: datetime
    ) -> None:
        if answered_at is not None and ended_at < answered_at:
            self.fail("ended_at", "is before answered_at")
        elif ended_at < started_at:
            self.fail("ended_at", "is before started_at")
        elif answered_at is not None and answered_at < started_at:
            self.fail("answered_at", "is before started_at")

    def _text(
        self, name: str, sound: Callable[[str], bool], rule: str, *, required: bool = False
    ) -> str | None:
        value = self._fields.get(name)
        if not required and (value is None or value == ""):
            return None
        if not isinstance(value, str) or not value or not sound(value):
            self.fail(name, rule if name in self._fields else f"is missing: {rule}")
            return None
        return value

    def _kind(self) -> LegKind | None:
        value = self._fields.get("kind")
        if value is None:
            return None
        if isinstance(value, str) and value in list(LegKind):
            return LegKind(value)
        self.fail("kind", "one of " + ", ".join(LegKind))
        return None

    def _time(self, name: str) -> datetime | None:
        value = self._fields.get(name)
        moment = read_rfc3339(value) if isinstance(value, str) else None
        if moment is None:
            self.fail(name, _TIME_RULE if name in self._fields else f"is missing: {_TIME_RULE}")
        return moment

    def _answered_at(self) -> datetime | None:
        # Null means unanswered and free, so it must be said, not just forgotten.
        if self._fields.get("answered_at", ...) is None:
            return None
        return self._time("answered_at")

    def _talk_seconds(self) -> int | None:
        value = self._fields.get("talk_seconds")
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not 0 <= value <= _TALK_SECONDS_MAX
        ):
            self.fail("talk_seconds", "whole seconds, not negative")
            return None
        return value
