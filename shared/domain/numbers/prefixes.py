"""The numbers that a prefix of E.164 digits can begin: a country calling code, a possible number.

Calling codes are those of E.164 itself, assigned or not. libphonenumber's patterns of all kinds of
numbers decide whether a number is possible; they are loaded and compiled country by country, with
the first prefix of each.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

_ONE_DIGIT = frozenset("17")
_TWO_DIGITS_TEXT = """
20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66
81 82 84 86 90 91 92 93 94 95 98
"""
_TWO_DIGITS = frozenset(_TWO_DIGITS_TEXT.split())
_KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number"),
    *("voip", "pager", "uan", "voicemail"),
)
_ZERO = ord("0")
_ANY_DIGIT = (1 << 10) - 1
_REPEATED = re.compile(r"\{([0-9]+)(?:,([0-9]+))?\}|\?", re.ASCII)
_PLANS_MAX = 1_000


def calling_code(digits: str) -> str | None:
    """The country calling code that the digits begin with: 1 to 3 digits.

    None where they are too few to decide, or begin with 0 as no calling code does.
    """
    if digits[:1] in _ONE_DIGIT:
        return digits[:1]
    if digits[:2] in _TWO_DIGITS:
        return digits[:2]
    return digits[:3] if len(digits) >= 3 and digits[0] != "0" else None


def can_begin_number(digits: str) -> bool:
    """True if libphonenumber knows a valid number that begins with these digits."""
    code = calling_code(digits)
    if code is None:
        return any(country_code.startswith(digits) for country_code in _known_codes())
    plan = _plan(code)
    return plan is not None and plan.can_continue(digits[len(code) :])


def national_prefix(code: str) -> str:
    """The trunk prefix of numbers dialled within the country, such as 0; "" for none."""
    import phonenumbers

    region = phonenumbers.region_code_for_country_code(int(code))
    about = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    return "" if about is None else about.national_prefix or ""


def may_have_national_prefix(digits: str) -> bool:
    """True if libphonenumber may read, after the calling code of an E.164 number, a prefix that is
    dialled within the country only, and leave it out."""
    code = calling_code(digits)
    pattern = _national_start(code) if code in _known_codes() else None
    return pattern is not None and pattern.match(digits, len(code or "")) is not None


@lru_cache(maxsize=_PLANS_MAX)
def _national_start(code: str) -> re.Pattern[str] | None:
    import phonenumbers

    region = phonenumbers.region_code_for_country_code(int(code))
    metadata: Any = phonenumbers.PhoneMetadata
    about = metadata.metadata_for_region_or_calling_code(int(code), region)
    pattern = about.national_prefix_for_parsing if about else None
    return re.compile(pattern) if pattern else None


@lru_cache(maxsize=_PLANS_MAX)
def sole_region(prefix: str) -> str:
    """The region of the numbers that begin with a prefix, where no other region shares its calling
    code; else ""."""
    import phonenumbers

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code(prefix) or 0), ())
    return regions[0] if len(regions) == 1 else ""


@lru_cache(maxsize=1)
def _known_codes() -> frozenset[str]:
    import phonenumbers

    return frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@lru_cache(maxsize=_PLANS_MAX)
def _plan(code: str) -> "_Plan | None":
    """The patterns of all kinds of numbers with a calling code; None for an unassigned code."""
    import phonenumbers

    if code not in _known_codes():
        return None
    metadata = phonenumbers.PhoneMetadata
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
    plan = _Plan()
    for region in regions:
        about: Any = (
            metadata.metadata_for_nongeo_region(int(code), None)
            if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
            else metadata.metadata_for_region(region, None)
        )
        for kind in _KINDS:
            numbers = getattr(about, kind)
            if numbers is not None and numbers.national_number_pattern:
                plan.add(numbers.national_number_pattern)
    return plan


class _Item(NamedTuple):
    """Digits of a pattern (a mask of ten bits) or a group, and the permitted number of
    repetitions."""

    mask: int
    group: "list[list[_Item]]"
    least: int
    most: int


class _Plan:
    """A nondeterministic automaton of patterns, made deterministic where it is walked.

    A node is (digits that it takes, next node), or (0, the nodes of which any may follow); node 0
    is the end of a number.
    """

    __slots__ = ("_nodes", "_numbers", "_sets", "_starts", "_steps")

    def __init__(self) -> None:
        self._nodes: list[tuple[int, tuple[int, ...]]] = [(0, ())]
        self._starts: list[int] = []
        self._numbers: dict[frozenset[int], int] = {}
        self._sets: list[frozenset[int]] = []
        self._steps: list[list[int]] = []

    def add(self, pattern: str) -> None:
        """Add a pattern that a whole number may match; only before the first walk."""
        alternatives, _ = _alternatives(pattern, 0)
        self._starts.append(self._alternation(alternatives, 0))

    def can_continue(self, digits: str) -> bool:
        """True if some number begins with the digits or equals them."""
        if not self._sets:
            self._number(self._closure(()))
            self._number(self._closure(self._starts))
        at = 1
        for digit in digits.encode():
            following = self._steps[at][digit - _ZERO]
            at = self._step(at, digit - _ZERO) if following < 0 else following
            if at == 0:
                return False
        return True

    def _step(self, at: int, digit: int) -> int:
        taken = [self._nodes[node] for node in self._sets[at]]
        reached = [following[0] for mask, following in taken if mask >> digit & 1]
        number = self._steps[at][digit] = self._number(self._closure(reached))
        return number

    def _number(self, nodes: frozenset[int]) -> int:
        """The number of a set of nodes: 0 for the empty one, 1 for where every walk begins."""
        number = self._numbers.setdefault(nodes, len(self._sets))
        if number == len(self._sets):
            self._sets.append(nodes)
            self._steps.append([-1] * 10)
        return number

    def _closure(self, states: Sequence[int]) -> frozenset[int]:
        """The states, and those that forks among them lead to."""
        waiting, seen = list(states), set(states)
        while waiting:
            mask, following = self._nodes[waiting.pop()]
            if not mask:
                waiting += [each for each in following if each not in seen]
                seen.update(following)
        return frozenset(seen)

    def _alternation(self, alternatives: list[list[_Item]], then: int) -> int:
        return self._node(0, tuple(self._sequence(items, then) for items in alternatives))

    def _sequence(self, items: list[_Item], then: int) -> int:
        for item in reversed(items):
            end = then
            for count in range(item.most, 0, -1):
                once = (
                    self._alternation(item.group, then)
                    if item.group
                    else self._node(item.mask, (then,))
                )
                then = once if count <= item.least else self._node(0, (once, end))
        return then

    def _node(self, mask: int, following: tuple[int, ...]) -> int:
        self._nodes.append((mask, following))
        return len(self._nodes) - 1


def _alternatives(pattern: str, at: int) -> tuple[list[list[_Item]], int]:
    """The alternatives between bars up to the end of a group, and their position.

    libphonenumber's patterns are made of digits, classes, groups, bars and counts. Raises
    ValueError on all else.
    """
    alternatives: list[list[_Item]] = [[]]
    while at < len(pattern) and pattern[at] != ")":
        group: list[list[_Item]] = []
        mask = 0
        if pattern[at] == "|":
            alternatives.append([])
            at += 1
            continue
        if pattern.startswith("(?:", at):
            group, at = _alternatives(pattern, at + 3)
            at += 1
        elif pattern.startswith("\\d", at):
            mask, at = _ANY_DIGIT, at + 2
        elif pattern[at] == "[":
            end = pattern.index("]", at)
            mask, at = _class_mask(pattern[at + 1 : end]), end + 1
        else:
            mask, at = 1 << int(pattern[at]), at + 1
        least = most = 1
        if count := _REPEATED.match(pattern, at):
            least, most = int(count[1] or 0), int(count[2] or count[1] or 1)
            at = count.end()
        alternatives[-1].append(_Item(mask, group, least, most))
    return alternatives, at


def _class_mask(members: str) -> int:
    """The digits of a class such as "02-57"."""
    mask = 0
    for first, last in re.findall(r"([0-9])(?:-([0-9]))?", members):
        for digit in range(int(first), int(last or first) + 1):
            mask |= 1 << digit
    return mask
