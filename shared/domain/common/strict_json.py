"""JSON as strangers send it: read strictly, exactly, and in bounded time."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NoReturn

from shared.domain.common.errors import BadRequest
from shared.domain.common.limits import (
    JSON_CONTAINERS_MAX,
    JSON_DEPTH_MAX,
    JSON_NUMBER_CHARS_MAX,
    JSON_VALUES_MAX,
)

# An unterminated string runs to the end, so that no text is scanned twice.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_STRING_OR_NAN = re.compile(
    _STRING + rb"|(?<![\w.+-])[+-]?(?:nan(?:\([^)]{0,40}\))?|inf(?:inity)?)(?![\w.])",
    re.DOTALL | re.IGNORECASE,
)
_SPACE = re.compile(r"[ \t\n\r]*+")
_NOT_MARKS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_QUOTE = ord('"')
_OPENING = frozenset(b"[{")
_LARGE_BYTES = 1024 * 1024
_LONG_DIGITS = b"0" * 1_000
_DIGITS_AS_ZEROS = bytes(48 if chr(byte) in "0123456789" else 32 for byte in range(256))


def loads(body: bytes, *, nan_as_null: bool = False, gather_repeats: bool = False) -> object:
    """The value that `body` encodes: dict, list, str, int, Decimal, bool or None.

    A number with a point or an exponent is a Decimal, never a float. With `nan_as_null`, a bare
    `nan` or `inf` in any case reads as null (printf writes them so). With `gather_repeats`, the
    values of a key that stands more than once in an object become a list, in their order.

    Raises BadRequest `json_invalid` on all else that RFC 8259 or good sense forbids: wrong UTF-8,
    NaN and Infinity, repeated keys, nesting over JSON_DEPTH_MAX (found before parsing, so that no
    recursion gets deep), more than JSON_CONTAINERS_MAX objects and lists or JSON_VALUES_MAX
    values, numbers over JSON_NUMBER_CHARS_MAX characters, NUL and lone surrogates.
    """
    if nan_as_null:
        body = _STRING_OR_NAN.sub(_null_for_nan, body)
    text = _bounded_text(body)
    try:
        value: object = _decoder(gather_repeats=gather_repeats).decode(text)
    except json.JSONDecodeError as error:
        raise _invalid(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    if "\\u" in text:  # only an escape can bring in what UTF-8 and the parser refuse
        _refuse_bad_text(value)
    return value


def load_items(body: bytes) -> Iterator[object]:
    """The values of the list that `body` encodes, read one by one, so that one is held at a time.

    Raises BadRequest `json_invalid` as `loads` does, and where the body is no list.
    """
    text = _bounded_text(body)
    decoder = _decoder(gather_repeats=False)
    has_escapes = "\\u" in text
    at = _end_of_space(text, 0)
    if not text.startswith("[", at):
        loads(body)
        raise _invalid("it must be a list")
    at = _end_of_space(text, at + 1)
    follows = "]" if text.startswith("]", at) else ","
    at -= follows == ","
    while follows == ",":
        try:
            value, at = decoder.raw_decode(text, _end_of_space(text, at + 1))
        except json.JSONDecodeError as error:
            raise _invalid(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
        if has_escapes:
            _refuse_bad_text(value)
        yield value
        at = _end_of_space(text, at)
        follows = text[at : at + 1]
    if follows != "]" or _end_of_space(text, at + 1) != len(text):
        raise _invalid(f"the list does not end at character {at}")


def _bounded_text(body: bytes) -> str:
    _refuse_deep(body)
    _refuse_long_numbers(body)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"wrong UTF-8 at byte {error.start}") from None


def _decoder(*, gather_repeats: bool) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_float=_decimal,
        parse_int=_integer,
        parse_constant=_refuse_constant,
        object_pairs_hook=_gathered if gather_repeats else _unrepeated,
    )


def _end_of_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _invalid(what: str) -> BadRequest:
    return BadRequest(f"The body is not the JSON that we read: {what}.", code="json_invalid")


def _null_for_nan(match: re.Match[bytes]) -> bytes:
    token = match[0]
    return token if token.startswith(b'"') else b"null"


def _refuse_deep(body: bytes) -> None:
    containers = body.count(b"[") + body.count(b"{")
    if containers > JSON_CONTAINERS_MAX or body.count(b",") > JSON_VALUES_MAX:
        raise _invalid(f"over {JSON_CONTAINERS_MAX} objects and lists, or {JSON_VALUES_MAX} values")
    if containers <= JSON_DEPTH_MAX:
        return
    # Of a text only its quotes are left, and two that meet change nothing for what follows.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth, in_text = 0, False
    for mark in plain.translate(None, _NOT_MARKS).replace(b'""', b""):
        if mark == _QUOTE:
            in_text = not in_text
        elif not in_text:
            depth += 1 if mark in _OPENING else -1
            if depth > JSON_DEPTH_MAX:
                raise _invalid(f"nested over {JSON_DEPTH_MAX} levels")
            if depth < 0:
                return  # the parser says where


def _refuse_long_numbers(body: bytes) -> None:
    """In a large body, before it is copied: digits that no number and no text of ours has."""
    if len(body) <= _LARGE_BYTES:
        return
    for start in range(0, len(body), _LARGE_BYTES):
        part = body[start : start + _LARGE_BYTES + len(_LONG_DIGITS)]
        if _LONG_DIGITS in part.translate(_DIGITS_AS_ZEROS):
            raise _invalid(f"a number over {JSON_NUMBER_CHARS_MAX} characters")


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
