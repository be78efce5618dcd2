"""Longest-prefix lookup over packed arrays: a few dozen bytes a prefix, without decoding.

A row is a (kind, prefix, origin). Its key is the prefix padded with zeros to 15 digits, plus 10^15
for dial-in; rows are sorted by key, then prefix length, then origin. The row before the insertion
point of a number is the longest match or a longer relative of it. From there a chain of parents
(each the last row of the next shorter prefix that contains it) leads to the match.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from shared.domain.common.kinds import LegKind
from shared.domain.common.limits import PREFIX_DIGITS_MAX

NO_ROW = -1
_SPANS: tuple[int, ...] = tuple(10**zeros for zeros in range(PREFIX_DIGITS_MAX, -1, -1))
_DIAL_IN_KEY = 10**PREFIX_DIGITS_MAX
_ARRAYS = (("keys", "Q"), ("lengths", "B"), ("parents", "i"), ("groups", "I"), ("origins", "H"))

# A sort key is one number: the row key, four bits of the prefix's length, 16 of the origin
_ORIGIN_MASK = 0xFFFF
_SIZE_SHIFT, _SIZE_MASK, _KEY_SHIFT = 16, 0xF, 20


class RateIndex:
    """The sorted rows. `find` is the hot path, the rest describes."""

    __slots__ = ("_groups", "_has_origins", "_keys", "_lengths", "_origins", "_parents")

    def __init__(
        self,
        keys: "array[int]",
        lengths: "array[int]",
        parents: "array[int]",
        groups: "array[int]",
        origins: "array[int]",
    ) -> None:
        self._keys = keys
        self._lengths = lengths
        self._parents = parents
        self._groups = groups
        self._origins = origins
        self._has_origins = any(origins)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kind: LegKind, digits: str, origin: str | None) -> int:
        """The row with the longest prefix that holds for this number and origin, or NO_ROW.

        At equal prefixes a row with the caller's origin goes before one without an origin.
        Raises ValueError when `digits` is not made of ASCII digits.
        """
        length = min(len(digits), PREFIX_DIGITS_MAX)
        key = _number_key(kind, digits, length)
        keys = self._keys
        lengths = self._lengths
        row = bisect_right(keys, key) - 1
        while row >= 0:
            size = lengths[row]
            if size <= length and key - key % _SPANS[size] == keys[row]:
                if not self._has_origins:
                    return row
                match = self._in_group(row, origin)
                if match >= 0:
                    return match
            row = self._parents[row]
        return NO_ROW

    def matches(self, kind: LegKind, digits: str) -> list[tuple[int, str, str | None]]:
        """(row, prefix, origin) of every prefix of the number, longest first, for any origin."""
        matching: list[tuple[int, str, str | None]] = []
        length = min(len(digits), PREFIX_DIGITS_MAX)
        key = _number_key(kind, digits, length)
        row = bisect_right(self._keys, key) - 1
        while row >= 0:
            size = self._lengths[row]
            if size <= length and key - key % _SPANS[size] == self._keys[row]:
                if self._has_origins:
                    matching.extend(
                        (each, digits[:size], _origin_text(self._origins[each]))
                        for each in range(row, self._groups[row] - 1, -1)
                    )
                else:
                    matching.append((row, digits[:size], None))
            row = self._parents[row]
        return matching

    def describe(self, row: int) -> tuple[LegKind, str, str | None]:
        """(kind, prefix, origin) of a row."""
        is_dial_in, key = divmod(self._keys[row], _DIAL_IN_KEY)
        size = self._lengths[row]
        prefix = f"{key:0{PREFIX_DIGITS_MAX}d}"[:size]
        kind = LegKind.DIAL_IN if is_dial_in else LegKind.DIAL_OUT
        return kind, prefix, _origin_text(self._origins[row])

    def sort_key(self, row: int) -> int:
        """The `sort_key` of a row."""
        return _joined(self._keys[row], self._lengths[row], self._origins[row])

    def parent(self, row: int) -> int:
        """The row with the next shorter prefix that contains this one, NO_ROW if there is none.

        Where that prefix has several origins, it is the last of them.
        """
        return self._parents[row]

    def parts(self) -> Iterator[tuple[str, "array[int]"]]:
        """The arrays by name, for `encode` and to count bytes."""
        for name, _ in _ARRAYS:
            yield name, getattr(self, f"_{name}")

    def _in_group(self, last: int, origin: str | None) -> int:
        """The row for this origin among those of one prefix; `last` is the last of them."""
        first = self._groups[last]
        if origin is not None:
            code = _origin_code(origin)
            row = bisect_left(self._origins, code, first, last + 1)
            if row <= last and self._origins[row] == code:
                return row
        return NO_ROW if self._origins[first] else first


def sort_key(kind: LegKind, prefix: str, origin: str | None) -> int:
    """The sort key of rows; equal for duplicates only."""
    return _joined(_row_key(kind, prefix), len(prefix), _origin_code(origin))


def _joined(key: int, size: int, origin: int) -> int:
    """One number, which takes a fifth of a tuple's memory."""
    return (key << _KEY_SHIFT) | (size << _SIZE_SHIFT) | origin


def build_index(sorted_keys: Sequence[int]) -> RateIndex:
    """The index of rows given by their `sort_key`s, in order and without duplicates."""
    keys = array("Q", (each >> _KEY_SHIFT for each in sorted_keys))
    sizes = array("B", ((each >> _SIZE_SHIFT) & _SIZE_MASK for each in sorted_keys))
    origins = array("H", (each & _ORIGIN_MASK for each in sorted_keys))
    parents = array("i")
    groups = array("I")
    open_groups: list[int] = []  # the first rows of the prefixes that contain the present one
    for row, key in enumerate(keys):
        if row and (keys[row - 1], sizes[row - 1]) == (key, sizes[row]):
            first = groups[row - 1]
        else:
            first = row
            while open_groups and not _contains(keys, sizes, open_groups[-1], key):
                open_groups.pop()
            open_groups.append(row)
        groups.append(first)
        parents.append(NO_ROW)
        if first == row and len(open_groups) > 1:
            parents[row] = _last_of(groups, open_groups[-2])
        elif first != row:
            parents[row] = parents[first]
    return RateIndex(keys, sizes, parents, groups, origins)


def pack_array(values: "array[int]") -> bytes:
    """Little-endian bytes on every machine."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def unpack_array(typecode: str, data: bytes) -> "array[int]":
    """The array that `pack_array` wrote. Raises ValueError when the bytes don't come out even."""
    values: array[int] = array(typecode)
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def unpack_index(parts: dict[str, bytes]) -> RateIndex:
    """The index whose packed arrays these are. Raises ValueError when they don't fit together."""
    arrays = {name: unpack_array(typecode, parts[name]) for name, typecode in _ARRAYS}
    if len({len(values) for values in arrays.values()}) != 1:
        raise ValueError("the arrays of the index differ in length")
    return RateIndex(**arrays)


def _number_key(kind: LegKind, digits: str, length: int) -> int:
    """The key of a number cut to `length` digits; below every row's for kinds without rates."""
    if digits.isdigit() and digits.isascii():
        key = int(digits if len(digits) == length else digits[:length]) * _SPANS[length]
    elif digits:
        raise ValueError("a number to rate must be made of ASCII digits")
    else:
        key = 0
    if kind is LegKind.DIAL_OUT:
        return key
    return key + _DIAL_IN_KEY if kind is LegKind.DIAL_IN else -1


def _row_key(kind: LegKind, prefix: str) -> int:
    key = int(prefix or "0") * _SPANS[len(prefix)]
    return key if kind is LegKind.DIAL_OUT else key + _DIAL_IN_KEY


def _contains(keys: "array[int]", sizes: "array[int]", outer: int, key: int) -> bool:
    """True if the prefix of the row `outer` begins that of the key."""
    return key - key % _SPANS[sizes[outer]] == keys[outer]


def _last_of(groups: "array[int]", first: int) -> int:
    """The last row of the group that begins at `first`; another group follows it."""
    last = first
    while groups[last + 1] == first:
        last += 1
    return last


def _origin_code(origin: str | None) -> int:
    """0 for none; two letters as one number, in alphabetical order."""
    return 0 if origin is None else ord(origin[0]) << 8 | ord(origin[1])


def _origin_text(code: int) -> str | None:
    return chr(code >> 8) + chr(code & 0xFF) if code else None
