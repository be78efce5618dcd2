"""Premium and shared-cost ranges of every country, as prefixes, by libphonenumber's own patterns.

A pattern such as `90[02]\\d{6}` determines the first digits of such numbers: 900 and 902. The part
after the first free digit is left to the caller.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import phonenumbers

DIGITS = frozenset("0123456789")
HEAD_DIGITS_MAX = 7  # further digits are never needed to tell a range from its neighbours
_NORTH_AMERICA = 1
_REPEATED_MAX = 15

type Repeated = tuple[Atom, int, int]
type Sequence = list[Repeated]
type Atom = frozenset[str] | list[Sequence]
"""One digit of several, or one of several sequences."""


@dataclass(frozen=True, slots=True)
class SpecialRange:
    """Numbers with an unexpectedly high price: E.164 digits that they begin with."""

    region: str
    prefix: str
    is_premium: bool


def special_ranges(regions: frozenset[str]) -> Iterator[SpecialRange]:
    """The ranges of these regions, each prefix once: those that share a code share its ranges."""
    seen: set[str] = set()
    for code, sharing in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        if code == _NORTH_AMERICA:
            continue  # one range for all of it
        for region in sharing:
            metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
            if region not in regions or metadata is None:
                continue
            for numbers, is_premium in (
                (metadata.premium_rate, True),
                (metadata.shared_cost, False),
            ):
                pattern = numbers.national_number_pattern if numbers else None
                for head in heads(pattern or ""):
                    prefix = f"{code}{head}"
                    if prefix not in seen:
                        seen.add(prefix)
                        yield SpecialRange(region, prefix, is_premium)


def heads(pattern: str) -> list[str]:
    """The shortest digit strings that all numbers of a pattern begin with, in order; none twice,
    and none that another one contains."""
    if not pattern:
        return []
    found: set[str] = set()
    for sequence in _Pattern(pattern).alternatives():
        found |= _grown({""}, sequence)[1]
    found = {head for head in found if not any(head[:size] in found for size in range(len(head)))}
    for size in range(HEAD_DIGITS_MAX, 1, -1):  # ten neighbours are one shorter head
        for stem in {head[:-1] for head in found if len(head) == size}:
            siblings = {stem + digit for digit in DIGITS}
            if siblings <= found:
                found = found - siblings | {stem}
    return sorted(found)


def _grown(stems: set[str], sequence: Sequence) -> tuple[set[str], set[str]]:
    """(stems that the sequence goes on from, heads that are complete): a head is complete where
    the next digit is free, or it is long enough, or the pattern ends."""
    done: set[str] = set()
    for atom, least, most in sequence:
        going = set(stems) if least == 0 else set()
        for count in range(1, most + 1):
            stems, complete = _once(stems, atom)
            done |= complete
            if count >= least:
                going |= stems
            if not stems:
                break
        stems = going
    return stems, done | stems


def _once(stems: set[str], atom: Atom) -> tuple[set[str], set[str]]:
    if isinstance(atom, list):
        going: set[str] = set()
        done: set[str] = set()
        for sequence in atom:
            stems_after, complete = _grown(stems, sequence)
            going |= stems_after
            done |= complete - stems_after
        return going, done
    if atom == DIGITS:
        return set(), stems
    longer = {stem + digit for stem in stems for digit in atom}
    return (
        {stem for stem in longer if len(stem) < HEAD_DIGITS_MAX},
        {stem for stem in longer if len(stem) == HEAD_DIGITS_MAX},
    )


class _Pattern:
    """Reads the few constructs that these patterns are made of."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def alternatives(self) -> list[Sequence]:
        """Sequences between bars, up to a closing bracket or the end."""
        found = [self._sequence()]
        while self._takes("|"):
            found.append(self._sequence())
        return found

    def _sequence(self) -> Sequence:
        items: Sequence = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            atom = self._atom()
            items.append((atom, *self._times()))
        return items

    def _atom(self) -> Atom:
        if self._takes("(?:") or self._takes("("):
            inner = self.alternatives()
            self._takes(")")
            return inner
        if self._takes("["):
            end = self._text.index("]", self._at)
            body, self._at = self._text[self._at : end], end + 1
            return _digits(body)
        if self._takes("\\d"):
            return DIGITS
        digit = self._text[self._at]
        if digit not in DIGITS:
            raise ValueError(f"{self._text!r} has {digit!r} at {self._at}")
        self._at += 1
        return frozenset(digit)

    def _times(self) -> tuple[int, int]:
        if self._takes("?"):
            return 0, 1
        if self._takes("*"):
            return 0, _REPEATED_MAX
        if self._takes("+"):
            return 1, _REPEATED_MAX
        if not self._takes("{"):
            return 1, 1
        end = self._text.index("}", self._at)
        least, _, most = self._text[self._at : end].partition(",")
        self._at = end + 1
        return int(least), int(most or least)

    def _takes(self, text: str) -> bool:
        taken = self._text.startswith(text, self._at)
        self._at += len(text) if taken else 0
        return taken


def _digits(body: str) -> frozenset[str]:
    """The digits of "02-5" or "\\d"."""
    if body == "\\d":
        return DIGITS
    found: set[str] = set()
    at = 0
    while at < len(body):
        if body[at + 1 : at + 2] == "-":
            found |= {str(digit) for digit in range(int(body[at]), int(body[at + 2]) + 1)}
            at += 3
        else:
            found.add(body[at])
            at += 1
    return frozenset(found)
