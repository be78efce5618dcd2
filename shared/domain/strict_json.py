"""JSON as strangers send it: read strictly, exactly, and in bounded time."""

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import NoReturn

from shared.domain.errors import BadRequest
from shared.domain.limits import JSON_DEPTH_MAX, JSON_NUMBER_CHARS_MAX

# An unterminated string runs to the end, so that no text is scanned twice.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_STRINGS = re.compile(_STRING, re.DOTALL)
_STRING_OR_NAN = re.compile(
    _STRING + rb"|(?<![\w.+-])[+-]?(?:nan(?:\([^)]{0,40}\))?|inf(?:inity)?)(?![\w.])",
    re.DOTALL | re.IGNORECASE,
)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def loads(body: bytes, *, nan_as_null: bool = False, gather_repeats: bool = False) -> object:
    """The value that `body` spells: dict, list, str, int, Decimal, bool or None.

    A number with a point or an exponent is a Decimal, never a float. With `nan_as_null`, a bare
    `nan` or `inf` in any case reads as null (printf writes them so). With `gather_repeats`, the
    values of a key that stands more than once in an object become a list, in their order.

    Raises BadRequest `json_invalid` on all else that RFC 8259 or good sense forbids: wrong UTF-8,
    NaN and Infinity, repeated keys, nesting over JSON_DEPTH_MAX (found before parsing, so that no
    recursion gets deep), numbers over JSON_NUMBER_CHARS_MAX characters, NUL and lone surrogates.
    """
    if nan_as_null:
        body = _STRING_OR_NAN.sub(_null_for_nan, body)
    _refuse_deep(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"wrong UTF-8 at byte {error.start}") from None
    try:
        value: object = json.loads(
            text,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_gathered if gather_repeats else _unrepeated,
        )
    except json.JSONDecodeError as error:
        raise _invalid(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    if "\\u" in text:  # only an escape can bring in what UTF-8 and the parser refuse
        _refuse_bad_text(value)
    return value


def _invalid(what: str) -> BadRequest:
    return BadRequest(f"The body is not the JSON that we read: {what}.", code="json_invalid")


def _null_for_nan(match: re.Match[bytes]) -> bytes:
    token = match[0]
    return token if token.startswith(b'"') else b"null"


def _refuse_deep(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= JSON_DEPTH_MAX:
        return
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    steps = (1 if bracket in b"[{" else -1 for bracket in brackets)
    if max(accumulate(steps), default=0) > JSON_DEPTH_MAX:
        raise _invalid(f"nested over {JSON_DEPTH_MAX} levels")


def _integer(text: str) -> int:
    if len(text) > JSON_NUMBER_CHARS_MAX:
        raise _invalid(f"a number over {JSON_NUMBER_CHARS_MAX} characters")
    return int(text)


def _decimal(text: str) -> Decimal:
    if len(text) > JSON_NUMBER_CHARS_MAX:
        raise _invalid(f"a number over {JSON_NUMBER_CHARS_MAX} characters")
    number = Decimal(text)
    # 1e999999 is short, but would fill the memory of whoever turns it into an integer
    if abs(number.adjusted()) > JSON_NUMBER_CHARS_MAX:
        raise _invalid("a number that is out of range")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is no JSON number")


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise _invalid("a key stands twice in one object")
    return result


def _gathered(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    values: dict[str, list[object]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: each[0] if len(each) == 1 else each for key, each in values.items()}


def _refuse_bad_text(value: object) -> None:
    """Recursion is safe here: the depth was checked."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise _invalid("a text holds NUL or half a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _refuse_bad_text(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_bad_text(key)
            _refuse_bad_text(item)
