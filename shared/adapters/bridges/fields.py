"""Rules of single fields that all dialects share."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl

from shared.domain.common.errors import BadRequest, TooLarge
from shared.domain.common.ids import is_foreign_id, is_id
from shared.domain.common.limits import (
    CALL_ENDED_LEGS_MAX,
    CALL_FORM_FIELDS_MAX,
    NUMBER_CHARS_MAX,
    TEXT_CHARS_MAX,
)
from shared.domain.common.strict_json import loads
from shared.domain.dial_out.authorization_ids import account_of

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(\.\d{1,6})?\d{0,12}([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
EARLIER_CONFERENCE = "an earlier conference of the call"
_FIRST_CONFERENCE_MAX = timedelta(seconds=30)
# Wide of every real call, and far from where adding months or zones overflows
_YEAR_MIN = 1970
_YEAR_MAX = 9998


def is_number_text(text: str) -> bool:
    """The permitted text of a number: also `anonymous` or a malformed one, which is parked later
    rather than lost here."""
    return len(text) <= NUMBER_CHARS_MAX and not _CONTROL.search(text)


def read_rfc3339(text: str) -> datetime | None:
    """A time, aware, in UTC, to the microsecond; None if it is not RFC 3339 with a zone."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, time, second, fraction, zone = match.groups()
    leap = second == "60"
    iso = f"{day}T{time}{'59' if leap else second}{fraction or ''}{zone.upper()}"
    try:
        moment = datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if not is_plausible(moment):
        return None
    return moment + timedelta(seconds=1) if leap else moment


def is_plausible(moment: datetime) -> bool:
    """True if arithmetic on this time is safe; whether it makes sense is checked later."""
    return _YEAR_MIN <= moment.year <= _YEAR_MAX


_OFFSET = re.compile(r"([+-]\d\d)(\d\d)", re.ASCII)
_EPOCH_TEXT = re.compile(r"\d{1,19}(?:\.\d{1,9})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEXT_UNIT_FROM = 10**11  # a count of seconds is smaller until the year 5138
_CLOCKS_DIFFER = timedelta(seconds=2)
_DIGITS_MAX = 20
_LABELS = ("authorization", "account", "organizer", "conference")


def read_time(value: object) -> datetime | None:
    """A time, aware, in UTC, in the formats of vendors: RFC 3339 with or without the colon of its
    zone, RFC 2822, seconds since 1970 or their thousandth, millionth or billionth parts. A local
    time without a zone counts as UTC."""
    text = _plain(value)
    if text is None:
        return None
    if _EPOCH_TEXT.fullmatch(text):
        return _since_epoch(text)
    if re.match(r"\d{4}-", text, re.ASCII):
        plain = text.replace(" ", "T", 1)
        if not re.search(r"(?:[Zz]|[+-]\d\d:?\d\d)$", plain[10:]):
            plain += "Z"
        return read_rfc3339(plain[:10] + _OFFSET.sub(r"\1:\2", plain[10:]))
    try:
        moment = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return moment if is_plausible(moment) else None


def _since_epoch(text: str) -> datetime | None:
    whole, _, fraction = text.partition(".")
    microseconds = int(whole) * 10**6 + int(fraction[:6].ljust(6, "0"))
    while microseconds >= _NEXT_UNIT_FROM * 10**6:
        microseconds //= 1000
    if not microseconds:
        return None
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None
    return moment if is_plausible(moment) else None


def end_of(began_at: datetime, ended_at: datetime) -> datetime:
    """The end of a leg, at least its start where the two clocks differ by seconds. An end long
    before the start remains: the leg is parked as inconsistent, and is not free."""
    is_close = timedelta(0) < began_at - ended_at <= _CLOCKS_DIFFER
    return began_at if is_close else ended_at


def text_of(value: object) -> str | None:
    """A value as text without outer spaces; None where it is empty, too long, neither text nor
    number, or holds a control character."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if text and len(text) <= TEXT_CHARS_MAX and not _CONTROL.search(text) else None


def identifier(value: object) -> str | None:
    """A text that can be a foreign id, else None."""
    text = text_of(value)
    return text if text is not None and is_foreign_id(text) else None


def number_text(value: object) -> str | None:
    """A text that may be a number, else None. A plus that a form made a space is put back, and one
    that lost its percent sign (`2B44…`)."""
    if isinstance(value, str) and re.fullmatch(r" \d{7,20}", value, re.ASCII):
        return f"+{value[1:]}"
    text = text_of(value)
    if text is None or not is_number_text(text):
        return None
    mangled = re.fullmatch(r"2[Bb](\d{7,15})", text, re.ASCII)
    return f"+{mangled[1]}" if mangled else text


def whole_seconds(value: object) -> int | None:
    """Seconds that a bridge counted, cut down to whole ones; None where there are none."""
    text = _plain(value)
    if text is None or not re.fullmatch(r"\d{1,9}(\.\d+)?", text, re.ASCII):
        return None
    return int(text.partition(".")[0])


def _plain(value: object) -> str | None:
    """A text or a number of JSON as text, without an exponent; None for anything else."""
    if isinstance(value, Decimal):
        return f"{value:f}" if abs(value.adjusted()) <= _DIGITS_MAX else None
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if is_text else None


def json_values(body: bytes) -> list[object]:
    """A JSON value, or the items of an array. Raises BadRequest, and TooLarge for too many."""
    value = loads(body)
    items = value if isinstance(value, list) else [value]
    if len(items) > CALL_ENDED_LEGS_MAX:
        raise TooLarge(f"The post has more than {CALL_ENDED_LEGS_MAX} events. Send smaller posts.")
    return items


def form_fields(body: bytes) -> dict[str, str]:
    """The fields of a form, of a repeated one the last. Raises BadRequest."""
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=CALL_FORM_FIELDS_MAX
        )
    except ValueError:
        raise BadRequest(
            "The body is not a form. Send application/x-www-form-urlencoded."
        ) from None
    return dict(pairs)


def labels(*sources: Mapping[str, object]) -> dict[str, str]:
    """The additional fields of an event, set by the bridge's operators: `authorization`, `account`,
    `organizer` and `conference`, also as `perminute_…` or `…_id`; of the first source that has
    each."""
    labels_read: dict[str, str] = {}
    for name in _LABELS:
        for source in sources:
            each = (source.get(key) for key in (f"perminute_{name}", name, f"{name}_id"))
            text = next((text for value in each if (text := identifier(value))), None)
            if text is not None and (name != "account" or is_id(text)):
                labels_read[name] = text
                break
    return labels_read


def mapping(value: object) -> Mapping[str, object]:
    """An object of JSON; empty where the value is none."""
    return value if isinstance(value, Mapping) else {}


def may_have_moved(answered_at: datetime, first_at: datetime | None, ended_at: datetime) -> bool:
    """True if a call may have left another conference before the first one that is known: its event
    happened in the middle of the call."""
    is_late = first_at is not None and first_at - answered_at > _FIRST_CONFERENCE_MAX
    return is_late and first_at is not None and ended_at - first_at > _CLOCKS_DIFFER


def first_of(facts: Iterable[Mapping[str, object]], name: str) -> str | None:
    """The first value of this name that is not empty."""
    return next((str(each[name]) for each in facts if each.get(name)), None)


def time_text(moment: datetime | None) -> str | None:
    """A time as facts hold it."""
    return None if moment is None else moment.isoformat()


def distinct(facts: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Facts in an order that does not depend on arrival, each once."""
    by_text = {json.dumps(each, sort_keys=True): each for each in facts}
    return [by_text[text] for text in sorted(by_text)]


def authorization_in(value: object) -> str | None:
    """The authorization that a text is, else None."""
    text = identifier(value)
    is_ours = text is not None and text.startswith("au_") and account_of(text) is not None
    return text if is_ours else None
