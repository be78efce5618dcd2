"""Strict parser for JSON from untrusted senders: exact numbers, bounded time."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NoReturn

from shared.domain.common.errors import BadRequest
from shared.domain.common.limits import (
    JSON_CONTAINERS_MAX,
    JSON_DEPTH_MAX,
    JSON_ITEM_CHARS_MAX,
    JSON_MEMBERS_MAX,
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
_WINDOW_BYTES = 128 * 1024
_AFTER_VALUES = frozenset(",:]}")
_LONG_DIGITS = b"0" * 1_000
_DIGITS_AS_ZEROS = bytes(48 if chr(byte) in "0123456789" else 32 for byte in range(256))


def loads(body: bytes, *, nan_as_null: bool = False, gather_repeats: bool = False) -> object:
    """The value that `body` encodes: dict, list, str, int, Decimal, bool or None.

    A number with a point or an exponent is a Decimal, never a float. With `nan_as_null`, a bare
    `nan` or `inf` in any case reads as null (printf writes them so). With `gather_repeats`, the
    values of a key that occurs more than once in an object become a list, in their order.

    Raises BadRequest `json_invalid` for all other forbidden input: wrong UTF-8, NaN and Infinity,
    repeated keys, nesting over JSON_DEPTH_MAX (found before parsing, so that no recursion gets
    deep), numbers over JSON_NUMBER_CHARS_MAX characters, NUL and lone surrogates. More than
    JSON_CONTAINERS_MAX objects and lists or JSON_VALUES_MAX values are refused, too.
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


def load_items(body: bytes) -> Iterator[tuple[object, int]]:
    """(value, characters of its text) of each item of the list in `body`, one by one.

    Never more than an item and a window of the text are held. Raises BadRequest `json_invalid` as
    `loads` does, where the body is no list, and for an item over JSON_ITEM_CHARS_MAX characters.
    """
    reader = _JsonReader(body)
    if reader.next_mark() != "[":
        reader.value()
        raise _invalid("it must be a list")
    yield from reader.items()
    reader.end()


def load_object(
    body: bytes,
    listed: str,
    take: Callable[[object, int], None],
    members: dict[str, object] | None = None,
) -> object:
    """The JSON object in `body`. `take` receives the items of its list `listed`, as `load_items`
    yields them, and the list is empty in the result. `members` are filled as they are read.

    A body that is a list is returned as an empty one. Raises BadRequest `json_invalid` as
    `load_items` does, for each member as for an item, and over JSON_MEMBERS_MAX members.
    """
    reader = _JsonReader(body)
    mark = reader.next_mark()
    if mark != "{":
        value, _ = ([], 0) if mark == "[" else reader.value()
        return value
    loaded = {} if members is None else members
    for name in reader.names():
        if name in loaded:
            raise _invalid("a key occurs twice in one object")
        if len(loaded) >= JSON_MEMBERS_MAX:
            raise _invalid(f"an object of over {JSON_MEMBERS_MAX} members")
        loaded[name] = []
        if name != listed or reader.next_mark() != "[":
            loaded[name], _ = reader.value()
            continue
        for item, chars in reader.items():
            take(item, chars)
    reader.end()
    return loaded


class _JsonReader:
    """Reads a body value by value. Of its text only a window is held, from `_at` on unread."""

    def __init__(self, body: bytes) -> None:
        _refuse_many(body)
        self._body = body
        self._read = 0
        self._depth = _Depth()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._json = _decoder(gather_repeats=False)
        self._text, self._at, self._chars_before = "", 0, 0
        self._has_escapes = False

    def next_mark(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            self._at = _end_of_space(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def items(self) -> Iterator[tuple[object, int]]:
        """The items of the next list, with the characters of each."""
        self._at += 1
        if self._ends("]"):
            return
        while True:
            yield self.value()
            if not self._goes_on("]"):
                return

    def names(self) -> Iterator[str]:
        """The members of the next object; the caller reads the value of each before the next."""
        self._at += 1
        if self._ends("}"):
            return
        while True:
            if self.next_mark() != '"':
                raise self._wrong("a member needs a name in double quotes")
            name, _ = self.value()
            if self.next_mark() != ":":
                raise self._wrong("a colon is missing")
            self._at += 1
            yield str(name)
            if not self._goes_on("}"):
                return

    def value(self) -> tuple[object, int]:
        """The value that comes next, and how many characters it has."""
        self.next_mark()
        while True:
            problem = ""
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                value, end, problem = None, error.pos, error.msg
            # What the window cuts off is an error, or the beginning of a longer number.
            follows = _end_of_space(self._text, end)
            is_whole = not problem and self._text[follows : follows + 1] in _AFTER_VALUES
            is_long = len(self._text) - self._at > JSON_ITEM_CHARS_MAX
            if is_whole or is_long or not self._more():
                break
        if end - self._at > JSON_ITEM_CHARS_MAX or (is_long and not is_whole):
            long = f"a value over {JSON_ITEM_CHARS_MAX} characters"
            raise self._wrong(f"{problem}, or {long}" if problem else long)
        if problem:
            self._at = end
            raise self._wrong(problem)
        if self._has_escapes:
            _refuse_bad_text(value)
        chars, self._at = end - self._at, end
        return value, chars

    def end(self) -> None:
        """Raises BadRequest if text follows the value."""
        if self.next_mark():
            raise self._wrong("something follows the end")

    def _ends(self, mark: str) -> bool:
        is_end = self.next_mark() == mark
        self._at += is_end
        return is_end

    def _goes_on(self, mark: str) -> bool:
        """True if a comma comes next, and not the end."""
        character = self.next_mark()
        if character not in {",", mark} or not character:
            raise self._wrong(f"a comma or {mark} is missing")
        self._at += 1
        return character == ","

    def _more(self) -> bool:
        """Read the next window; False at the end of the body."""
        if self._read >= len(self._body):
            return False
        part = self._body[self._read : self._read + _WINDOW_BYTES]
        if (len(part) - len(part.rstrip(b"\\"))) % 2:  # no window ends within an escape
            part += self._body[self._read + len(part) : self._read + len(part) + 1]
        self._depth.count(part)
        is_last = self._read + len(part) >= len(self._body)
        try:
            text = self._utf8.decode(part, final=is_last)
        except UnicodeDecodeError:
            raise _invalid(f"wrong UTF-8 after byte {self._read}") from None
        self._read += len(part)
        self._chars_before += self._at
        self._text, self._at = self._text[self._at :] + text, 0
        self._has_escapes = "\\u" in self._text
        return True

    def _wrong(self, what: str) -> BadRequest:
        return _invalid(f"{what} (character {self._chars_before + self._at})")


def _bounded_text(body: bytes) -> str:
    _refuse_many(body)
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX:
        _Depth().count(body)
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
    return BadRequest(
        f"The body is not JSON that this route reads: {what}. Correct the body.",
        code="json_invalid",
    )


def _null_for_nan(match: re.Match[bytes]) -> bytes:
    token = match[0]
    return token if token.startswith(b'"') else b"null"


def _refuse_many(body: bytes) -> None:
    if (
        body.count(b"[") + body.count(b"{") > JSON_CONTAINERS_MAX
        or body.count(b",") > JSON_VALUES_MAX
    ):
        raise _invalid(f"over {JSON_CONTAINERS_MAX} objects and lists, or {JSON_VALUES_MAX} values")


class _Depth:
    """Counts the nesting levels of a body, part after part; no part ends within an escape."""

    def __init__(self) -> None:
        self._depth, self._in_text, self._is_broken = 0, False, False

    def count(self, part: bytes) -> None:
        """Raises BadRequest over JSON_DEPTH_MAX levels."""
        if self._is_broken:
            return
        # Of a text only its quotes are left, and two that meet change nothing for what follows.
        plain = part.replace(b"\\\\", b"").replace(b'\\"', b"")
        for mark in plain.translate(None, _NOT_MARKS).replace(b'""', b""):
            if mark == _QUOTE:
                self._in_text = not self._in_text
            elif not self._in_text:
                self._depth += 1 if mark in _OPENING else -1
                if self._depth > JSON_DEPTH_MAX:
                    raise _invalid(f"nested over {JSON_DEPTH_MAX} levels")
                if self._depth < 0:
                    self._is_broken = True  # the parser says where
                    return


def _refuse_long_numbers(body: bytes) -> None:
    """Refuse a large body with a run of digits that no number or text of the API can contain,
    before the body is copied."""
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
    # 1e999999 is short, but would fill the memory of a reader that turns it into an integer
    if abs(number.adjusted()) > JSON_NUMBER_CHARS_MAX:
        raise _invalid("a number that is out of range")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is no JSON number")


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise _invalid("a key occurs twice in one object")
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
