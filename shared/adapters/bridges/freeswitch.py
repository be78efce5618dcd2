"""Dialect `freeswitch`: records of mod_json_cdr or mod_xml_cdr, one per channel that hung up."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from shared.adapters.bridges.fields import is_number_text, is_plausible
from shared.adapters.bridges.freeswitch_body import RecordObject, read_body
from shared.domain.common.errors import BadRequest
from shared.domain.common.ids import is_foreign_id, is_id
from shared.domain.common.kinds import LegKind
from shared.domain.common.limits import CALL_ENDED_LEGS_MAX, FREESWITCH_PROFILES_MAX
from shared.domain.legs.bridge_payloads import (
    BridgePayload,
    Ignored,
    ParsedLeg,
    Undecided,
    Unreadable,
)
from shared.domain.legs.leg import EndedLeg
from shared.domain.numbers.numbers import called_number, caller_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNT = re.compile(r"[0-9]{1,17}", re.ASCII)
_E164 = re.compile(r"\+[0-9]{7,15}", re.ASCII)
_LONG_NUMBER = re.compile(r"[0-9]{7,20}", re.ASCII)
_NO_TIME = re.compile(r"0+|-[0-9]+", re.ASCII)
_TRUE = frozenset({"true", "yes", "on", "t", "y", "enabled", "active", "allow"})
_LOOPBACK = re.compile(r"loopback/", re.ASCII | re.IGNORECASE)
# Who the trunk says is calling, whatever the caller's phone says
_ASSERTED = (
    *("sip_P-Asserted-Identity", "sip_h_P-Asserted-Identity", "sip_P-Preferred-Identity"),
    *("sip_h_P-Preferred-Identity", "sip_Remote-Party-ID", "sip_h_Remote-Party-ID"),
)
_KINDS = {"outbound": LegKind.DIAL_OUT, "inbound": LegKind.DIAL_IN}


class _RecordError(Exception):
    """A record is unreadable; the message is the reason, as a sentence."""


def parse(post: BridgePayload) -> list[ParsedLeg]:
    """The legs of a post: an EndedLeg if it can be read, else Ignored or Unreadable. Never raises:
    FreeSWITCH would not send the record again."""
    url_uuid = _url_uuid(post.query)
    try:
        value = read_body(post.body)
    except BadRequest as error:
        return [Unreadable(url_uuid, error.detail, post.body)]
    if not isinstance(value, list):
        return [_read(post, url_uuid, value)]
    if not 0 < len(value) <= CALL_ENDED_LEGS_MAX:
        return [Unreadable(url_uuid, "The post has no record, or too many.", post.body)]
    return [_read(post, url_uuid if len(value) == 1 else None, each) for each in value]


def _read(post: BridgePayload, url_uuid: str | None, value: object) -> ParsedLeg:
    try:
        record = _ParsedRecord.read(value)
        leg_id = record.leg_id() or url_uuid
    except _RecordError as error:
        return Unreadable(url_uuid, str(error), post.body)
    if leg_id is None:
        return Unreadable(None, "The record has no uuid.", post.body)
    if record.is_loopback():
        return Ignored(leg_id, "The record is a loopback channel, which is no phone leg.")
    try:
        why = _why_ignored(record)
        if why is not None and not (record.answered() and record.direction() != "outbound"):
            return Ignored(leg_id, why)
        leg = _leg(post, leg_id, record)
    except _RecordError as error:
        return Unreadable(leg_id, str(error), post.body)
    return leg if why is None else Undecided(leg, why)


def _url_uuid(query: Mapping[str, str]) -> str | None:
    """The uuid that FreeSWITCH appends as `?uuid=`, even to a URL that has a query already."""
    uuid = query.get("uuid")
    if uuid is None:
        tails = (value.partition("?uuid=")[2] for value in query.values())
        uuid = next((tail for tail in tails if tail), None)
    return uuid if uuid and is_foreign_id(uuid) else None


@dataclass(frozen=True, slots=True)
class _ParsedRecord:
    """A record's three parts; `profiles` are newest first."""

    channel_data: RecordObject
    variables: RecordObject
    profiles: tuple[RecordObject, ...]

    @classmethod
    def read(cls, value: object) -> "_ParsedRecord":
        """Raises _RecordError for a body that is not a record of mod_json_cdr."""
        if not isinstance(value, dict):
            raise _RecordError("The body is no JSON object.")
        variables = value.get("variables")
        if not isinstance(variables, dict):
            raise _RecordError("The record has no variables.")
        profiles = tuple(_profiles(value.get("callflow")))
        return cls(_object(value.get("channel_data")), variables, profiles)

    def text(self, name: str) -> str | None:
        """A variable, percent-decoded; None if it is missing or empty. Raises _RecordError."""
        value = self.variables.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise _RecordError(f"The variable {name} occurs twice, or is no text.")
        return _decoded(str(value))

    def identifier(self, name: str) -> str | None:
        """A variable that is a foreign id. Raises _RecordError."""
        text = self.text(name)
        if text is not None and not is_foreign_id(text):
            raise _RecordError(f"The variable {name} is too long, or holds control characters.")
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
        """`inbound` or `outbound`; some records have it nowhere. Raises _RecordError."""
        stated = self.channel_data.get("direction")
        return stated if isinstance(stated, str) and stated in _KINDS else self.text("direction")

    def texts(self, name: str) -> list[str]:
        """The texts of a variable that may occur several times; none where it is no text."""
        value = self.variables.get(name)
        values = value if isinstance(value, list) else [value]
        texts = [each for each in values if isinstance(each, str) and each]
        parts = [part for text in texts for part in text.removeprefix("ARRAY::").split("|:")]
        return [_decoded(part) for part in parts]

    def is_loopback(self) -> bool:
        """True if the channel leads back into the switch (mod_loopback)."""
        says = [text.lower() for text in self.texts("is_loopback")]
        names = [*self.texts("channel_name"), *self.caller("chan_name")]
        return (
            any(text in _TRUE or (text.isdecimal() and int(text) != 0) for text in says)
            or bool(self.texts("loopback_leg"))
            or any(_LOOPBACK.match(name) for name in names)
            or "mod_loopback" in self.caller("source")
        )

    def unanswered(self) -> bool:
        """True if the record is of an unanswered call. Raises _RecordError."""
        billed = self.text("billsec")
        if billed is not None and not _NO_TIME.fullmatch(billed):
            return False
        return billed is not None or bool(self.text("answer_epoch") or self.text("answer_uepoch"))

    def answered(self) -> bool:
        """True if the call was answered. Raises _RecordError."""
        return self.moment("answer", "answered_time") is not None

    def moment(self, variable: str, profile_time: str) -> datetime | None:
        """A time, best source first: microseconds, seconds, then the oldest profile that has it.

        None if it is 0 everywhere or missing. Raises _RecordError.
        """
        for name, unit in (
            (f"{variable}_uepoch", timedelta(microseconds=1)),
            (f"{variable}_epoch", timedelta(seconds=1)),
        ):
            text = self.text(name)
            if text is not None and not _NO_TIME.fullmatch(text):
                count = self.count(name)
                if count:
                    return _moment(count, unit, name)
        for profile in reversed(self.profiles):
            text = str(_object(profile.get("times")).get(profile_time))
            if _COUNT.fullmatch(text) and int(text):
                return _moment(int(text), timedelta(microseconds=1), profile_time)
        return None

    def count(self, name: str) -> int | None:
        """A variable that counts, not negative. Raises _RecordError."""
        text = self.text(name)
        if text is None:
            return None
        if not _COUNT.fullmatch(text):
            raise _RecordError(f"The variable {name} is no whole number.")
        return int(text)


def _object(value: object) -> RecordObject:
    return value if isinstance(value, dict) else {}


def _profiles(callflow: object) -> Iterator[RecordObject]:
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
        raise _RecordError(f"The time {name} is out of range.")
    return moment


def _why_ignored(record: _ParsedRecord) -> str | None:
    """The reason why a record is no leg, None where it is one: it reached a conference, it carries
    an authorization, or it names an account (unanswered callers excepted).

    An unanswered dial-out reached no conference, but it must free its hold.
    """
    if record.text("conference_name") or record.text("conference_uuid"):
        return None
    if record.text("perminute_authorization"):
        return None
    is_outbound = record.direction() == "outbound"
    if record.text("perminute_account") and (is_outbound or record.answered()):
        return None
    return "The channel reached no conference."


def _leg(post: BridgePayload, leg_id: str, record: _ParsedRecord) -> EndedLeg:
    account = record.text("perminute_account")
    if account is not None and not is_id(account):
        raise _RecordError("The variable perminute_account is no account id.")
    started_at, answered_at, ended_at = _times(record)
    kind = _kind(record)
    called, candidates = _called(record, post.country)
    numbers = _caller(record, post.country), called
    first_read = _first_read(record)
    return EndedLeg(
        bridge=post.bridge,
        leg_id=leg_id,
        conference_id=record.identifier("conference_name") or record.identifier("conference_uuid"),
        kind=kind,
        from_number=numbers[0],
        to_number=numbers[1],
        started_at=started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        talk_seconds=_talk_seconds(record, answered_at),
        account=account,
        organizer=record.identifier("perminute_organizer"),
        authorization=record.identifier("perminute_authorization"),
        hangup_cause=record.identifier("hangup_cause") or record.identifier("hangup_cause_q850"),
        to_candidates=() if kind is LegKind.DIAL_OUT or len(candidates) < 2 else candidates,
        first_read=first_read if first_read != numbers else None,
    )


def _kind(record: _ParsedRecord) -> LegKind | None:
    exported = record.text("perminute_kind")
    if exported is None:
        return _KINDS.get(record.direction() or "")
    if exported not in list(LegKind):
        raise _RecordError("The variable perminute_kind is no kind of leg.")
    return LegKind(exported)


def _times(record: _ParsedRecord) -> tuple[datetime, datetime | None, datetime]:
    started_at = record.moment("start", "created_time")
    answered_at = record.moment("answer", "answered_time")
    ended_at = record.moment("end", "hangup_time")
    if answered_at is None and record.unanswered():
        # Hung up before it rang: the end may be 0, or lie before the start; it costs nothing.
        started_at = started_at or ended_at or _EPOCH
        return started_at, None, max(started_at, ended_at or started_at)
    if started_at is None or ended_at is None:
        raise _RecordError("The record lacks the time of its start or of its end.")
    if answered_at is not None and started_at > answered_at:
        started_at = answered_at  # a transfer starts the clock again
    if ended_at < (answered_at or started_at):
        raise _RecordError("The leg ended before it began.")
    return started_at, answered_at, ended_at


def _talk_seconds(record: _ParsedRecord, answered_at: datetime | None) -> int | None:
    """`billsec`, which is what FreeSWITCH bills, up to a second off the difference."""
    if answered_at is not None:
        return record.count("billsec")
    if not record.unanswered():
        raise _RecordError("The record lacks the time of its answer.")
    return 0


def _caller(record: _ParsedRecord, country: str | None) -> str | None:
    """The caller: of all that names one the first number, else the first text.

    `caller_id_number` comes last: FreeSWITCH puts the dialled number there, of an outbound leg
    always.
    """
    named = [
        *record.caller("ani"),
        *record.texts("sip_from_user"),
        *(text for name in _ASSERTED for text in record.texts(name)),
        *record.texts("sip_from_uri"),
        *record.texts("sip_full_from"),
    ]
    last = record.caller("caller_id_number")
    numbers = named if record.direction() == "outbound" else [*named, *last]
    for text in map(_plain, numbers):
        if is_number_text(text) and (number := caller_number(text, country)):
            return number if ":" in text or "@" in text else text
    texts = [text for text in map(_plain, [*named, *last]) if is_number_text(text)]
    return next((text for text in texts if ":" not in text and "@" not in text), None)


def _called(record: _ParsedRecord, country: str | None) -> tuple[str | None, tuple[str, ...]]:
    """(the dialled number if no service number was dialled, the texts that may be the service
    number).

    The texts: what the dial plan exports, the SIP headers, the caller profiles, the oldest first,
    since each transfer adds one. The number: the exported one; else the first text that is a
    number, else the first that is as long as a number, else the first.
    """
    exported = [text for text in map(_plain, record.texts("perminute_to")) if is_number_text(text)]
    dialled = [
        *record.texts("sip_to_user"),
        *record.texts("sip_req_user"),
        *reversed(record.caller("destination_number")),
    ]
    texts = [text for text in map(_plain, dialled) if text and is_number_text(text)]
    ranked = [
        *exported,
        *(text for text in texts if _E164.fullmatch(called_number(text, country))),
        *(text for text in texts if _LONG_NUMBER.fullmatch(text)),
        *texts,
    ]
    return next(iter(ranked), None), tuple(dict.fromkeys((*exported, *texts)))


def _first_read(record: _ParsedRecord) -> tuple[str | None, str | None]:
    """(from, to) as the first release chose them. FreeSWITCH keeps failed posts in files, so a
    record of a leg that it charged may come again: it is the same leg."""
    named = [*record.caller("ani")[:1], *record.texts("sip_from_user")[:1]]
    callers = [*named, *record.caller("caller_id_number")[:1]]
    dialled = [
        *record.caller("destination_number"),
        *record.texts("sip_req_user")[:1],
        *record.texts("sip_to_user")[:1],
    ]
    texts = [text for text in dialled if is_number_text(text)]
    called = [
        *(text for text in record.texts("perminute_to")[:1] if is_number_text(text)),
        *(text for text in texts if _E164.fullmatch(text)),
        *(text for text in texts if _LONG_NUMBER.fullmatch(text)),
        *texts,
    ]
    caller = next((text for text in callers if is_number_text(text)), None)
    return caller, next(iter(called), None)


def _plain(text: str) -> str:
    """A number is never percent-encoded: profiles, and values that were encoded twice, may be."""
    return _decoded(_decoded(text)) if "%" in text else text
