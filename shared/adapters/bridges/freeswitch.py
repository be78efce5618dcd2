"""Dialect `freeswitch`: the records of mod_json_cdr, one per channel that hung up."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from shared.adapters.bridges.fields import is_number_text, is_plausible
from shared.adapters.bridges.freeswitch_body import Record, read_body
from shared.domain.directory import is_foreign_id, is_id
from shared.domain.errors import BadRequest
from shared.domain.legs import EndedLeg, LegKind
from shared.domain.limits import FREESWITCH_PROFILES_MAX
from shared.domain.posts import BridgePost, Ignored, ParsedLeg, Unreadable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNT = re.compile(r"[0-9]{1,17}", re.ASCII)
_E164 = re.compile(r"\+[0-9]{7,15}", re.ASCII)
_LONG_NUMBER = re.compile(r"[0-9]{7,20}", re.ASCII)
_KINDS = {"outbound": LegKind.DIAL_OUT, "inbound": LegKind.DIAL_IN}


class _OddError(Exception):
    """Why a record can't be read, as a sentence."""


def parse(post: BridgePost) -> list[ParsedLeg]:
    """The one leg of a post: rated if it can be read, else Ignored or Unreadable. Never raises:
    FreeSWITCH would not send the record again."""
    url_uuid = _url_uuid(post.query)
    try:
        value = read_body(post.body)
    except BadRequest as error:
        return [Unreadable(url_uuid, error.detail, post.body)]
    try:
        record = _Record.read(value)
        leg_id = record.leg_id() or url_uuid
    except _OddError as error:
        return [Unreadable(url_uuid, str(error), post.body)]
    if leg_id is None:
        return [Unreadable(None, "The record has no uuid.", post.body)]
    try:
        if not _is_conference_leg(record):
            return [Ignored(leg_id, "The channel joined no conference.")]
        return [_leg(post.bridge, leg_id, record)]
    except _OddError as error:
        return [Unreadable(leg_id, str(error), post.body)]


def _url_uuid(query: Mapping[str, str]) -> str | None:
    """The uuid that FreeSWITCH appends as `?uuid=`, even to a URL that has a query already."""
    uuid = query.get("uuid")
    if uuid is None:
        tails = (value.partition("?uuid=")[2] for value in query.values())
        uuid = next((tail for tail in tails if tail), None)
    return uuid if uuid and is_foreign_id(uuid) else None


@dataclass(frozen=True, slots=True)
class _Record:
    """A record's three parts; `profiles` are newest first."""

    channel_data: Record
    variables: Record
    profiles: tuple[Record, ...]

    @classmethod
    def read(cls, value: object) -> "_Record":
        """Raises _OddError on what is not a record of mod_json_cdr."""
        if not isinstance(value, dict):
            raise _OddError("The body is no JSON object.")
        variables = value.get("variables")
        if not isinstance(variables, dict):
            raise _OddError("The record has no variables.")
        profiles = tuple(_profiles(value.get("callflow")))
        return cls(_object(value.get("channel_data")), variables, profiles)

    def text(self, name: str) -> str | None:
        """A variable, percent-decoded; None if it is missing or empty. Raises _OddError."""
        value = self.variables.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise _OddError(f"The variable {name} stands twice, or is no text.")
        return _decoded(str(value))

    def identifier(self, name: str) -> str | None:
        """A variable that is a foreign id. Raises _OddError."""
        text = self.text(name)
        if text is not None and not is_foreign_id(text):
            raise _OddError(f"The variable {name} is too long, or holds control characters.")
        return text

    def leg_id(self) -> str | None:
        """The channel's uuid."""
        uuid = self.identifier("uuid")
        if uuid is None:
            uuid = next(iter(self.caller("uuid")), None)
        return uuid if uuid and is_foreign_id(uuid) else None

    def caller(self, name: str) -> list[str]:
        """The values of a field of the caller profiles, newest first; these are not encoded."""
        values = (_object(profile.get("caller_profile")).get(name) for profile in self.profiles)
        return [value for value in values if isinstance(value, str) and value]

    def direction(self) -> str | None:
        """`inbound` or `outbound`; some records have it nowhere."""
        value = self.channel_data.get("direction") or self.text("direction")
        return value if isinstance(value, str) else None

    def moment(self, variable: str, profile_time: str) -> datetime | None:
        """A time, best source first: microseconds, seconds, then the oldest profile that has it.

        None if it is 0 everywhere or missing. Raises _OddError.
        """
        for name, unit in (
            (f"{variable}_uepoch", timedelta(microseconds=1)),
            (f"{variable}_epoch", timedelta(seconds=1)),
        ):
            count = self.count(name)
            if count:
                return _moment(count, unit, name)
        for profile in reversed(self.profiles):
            text = str(_object(profile.get("times")).get(profile_time))
            if _COUNT.fullmatch(text) and int(text):
                return _moment(int(text), timedelta(microseconds=1), profile_time)
        return None

    def count(self, name: str) -> int | None:
        """A variable that counts, not negative. Raises _OddError."""
        text = self.text(name)
        if text is None:
            return None
        if not _COUNT.fullmatch(text):
            raise _OddError(f"The variable {name} is no whole number.")
        return int(text)


def _object(value: object) -> Record:
    return value if isinstance(value, dict) else {}


def _profiles(callflow: object) -> Iterator[Record]:
    """Newest first: a list, one object, or a repeated key (gathered into a list)."""
    entries = callflow if isinstance(callflow, list) else [callflow]
    for entry in entries[:FREESWITCH_PROFILES_MAX]:
        if isinstance(entry, dict):
            yield entry


def _decoded(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        return value


def _moment(count: int, unit: timedelta, name: str) -> datetime:
    try:
        moment = _EPOCH + count * unit
    except OverflowError:
        moment = None
    if moment is None or not is_plausible(moment):
        raise _OddError(f"The time {name} is out of range.")
    return moment


def _is_conference_leg(record: _Record) -> bool:
    """Whether the record is ours to charge.

    A dial-out that nobody answered joined no conference, but it must free its hold: what carries
    our authorization is ours, and so is a dial-out that names the account.
    """
    if record.text("conference_name") or record.text("conference_uuid"):
        return True
    if record.text("perminute_authorization"):
        return True
    return record.direction() == "outbound" and record.text("perminute_account") is not None


def _leg(bridge: str, leg_id: str, record: _Record) -> EndedLeg:
    account = record.text("perminute_account")
    if account is not None and not is_id(account):
        raise _OddError("The variable perminute_account is no account id.")
    started_at, answered_at, ended_at = _times(record)
    kind = _kind(record)
    return EndedLeg(
        bridge=bridge,
        leg_id=leg_id,
        conference_id=record.identifier("conference_name") or record.identifier("conference_uuid"),
        kind=kind,
        from_number=_from_number(record),
        to_number=_to_number(record),
        started_at=started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        talk_seconds=_talk_seconds(record, answered_at),
        account=account,
        organizer=record.identifier("perminute_organizer"),
        authorization=record.identifier("perminute_authorization"),
        hangup_cause=record.identifier("hangup_cause"),
    )


def _kind(record: _Record) -> LegKind | None:
    exported = record.text("perminute_kind")
    if exported is None:
        return _KINDS.get(record.direction() or "")
    if exported not in list(LegKind):
        raise _OddError("The variable perminute_kind is no kind of leg.")
    return LegKind(exported)


def _times(record: _Record) -> tuple[datetime, datetime | None, datetime]:
    started_at = record.moment("start", "created_time")
    answered_at = record.moment("answer", "answered_time")
    ended_at = record.moment("end", "hangup_time")
    if started_at is None or ended_at is None:
        raise _OddError("The record lacks the time of its start or of its end.")
    if answered_at is not None and started_at > answered_at:
        started_at = answered_at  # a transfer starts the clock anew
    if ended_at < (answered_at or started_at):
        raise _OddError("The leg ended before it began.")
    return started_at, answered_at, ended_at


def _talk_seconds(record: _Record, answered_at: datetime | None) -> int | None:
    """`billsec`, which is what FreeSWITCH bills, up to a second off the difference."""
    billed_seconds = record.count("billsec")
    if answered_at is not None:
        return billed_seconds
    if billed_seconds or (billed_seconds is None and record.text("answer_epoch") is None):
        raise _OddError("The record lacks the time of its answer.")
    return 0


def _from_number(record: _Record) -> str | None:
    """The caller. `caller_id_number` comes last: FreeSWITCH puts the dialled number there."""
    candidates = [
        *record.caller("ani")[:1],
        record.text("sip_from_user"),
        *record.caller("caller_id_number")[:1],
    ]
    return next((number for number in candidates if number and is_number_text(number)), None)


def _to_number(record: _Record) -> str | None:
    """The number that was dialled, which may be hidden behind an extension of the dial plan.

    What the dial plan exports, else the first that is E.164, else the first that is as long as a
    phone number, else the newest profile's.
    """
    exported = record.text("perminute_to")
    dialled = [
        *record.caller("destination_number"),
        record.text("sip_req_user"),
        record.text("sip_to_user"),
    ]
    candidates = [number for number in dialled if number and is_number_text(number)]
    for shape in (_E164, _LONG_NUMBER):
        for number in candidates:
            if exported is None and shape.fullmatch(number):
                return number
    if exported is not None and is_number_text(exported):
        return exported
    return candidates[0] if candidates else None
