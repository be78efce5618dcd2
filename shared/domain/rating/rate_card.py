"""Rate cards: rates, and a version of a card as a packed index that decodes the rows it finds."""

import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.domain.common import limits
from shared.domain.common.errors import FieldError, Invalid, SettingsUnreadable
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import RoundingMode
from shared.domain.rating.packing import (
    Header,
    PackedTexts,
    pack,
    terms_from_json,
    terms_to_json,
    unpack,
)
from shared.domain.rating.prefix_index import (
    NO_ROW,
    RateIndex,
    build_index,
    pack_array,
    sort_key,
    unpack_array,
    unpack_index,
)
from shared.domain.rating.tariff import Tariff
from shared.domain.rating.terms import (
    Band,
    MaximumStrategy,
    Rounding,
    Slot,
    Terms,
    label_problem,
    terms_errors,
)

__all__ = [
    "NO_ROW",
    "Band",
    "MaximumStrategy",
    "Rate",
    "RateCardUnreadable",
    "RateCardVersion",
    "Rounding",
    "RoundingMode",
    "Slot",
    "Terms",
    "build_version",
    "decode_version",
    "encode_chunks",
    "version_in_force",
]

_TARIFF_BYTES = 1_500
_WRONG_KEY = -1
_PREFIX = re.compile(r"[0-9]{0,15}", re.ASCII)
_REGION = re.compile(r"[A-Z]{2}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


class RateCardUnreadable(SettingsUnreadable):
    """Stored bytes of a rate card are damaged, incomplete, or of a newer format."""

    code = "rate_card_unreadable"


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of a leg of `kind` to numbers that begin with `prefix`.

    `prefix` is E.164 digits without "+", empty for any number; for `dial_in` it is matched against
    the service number. `origin` is the ISO region that a caller must come from, None for any.
    """

    kind: LegKind
    prefix: str
    destination: str
    connection_fee_picos: int
    slots: tuple[Slot, ...]
    minimum_charge_picos: int = 0
    maximum_charge_picos: int | None = None
    maximum_charge_strategy: MaximumStrategy | None = None
    bands: tuple[Band, ...] = ()
    origin: str | None = None
    grace_seconds: int = 0

    @classmethod
    def of(
        cls, kind: LegKind, prefix: str, destination: str, origin: str | None, terms: Terms
    ) -> Self:
        """The rate of a destination with these terms."""
        return cls(
            kind,
            prefix,
            destination,
            terms.connection_fee_picos,
            terms.slots,
            terms.minimum_charge_picos,
            terms.maximum_charge_picos,
            terms.maximum_charge_strategy,
            terms.bands,
            origin,
            terms.grace_seconds,
        )

    @property
    def terms(self) -> Terms:
        """The priced part alone."""
        return Terms(
            self.connection_fee_picos,
            self.slots,
            self.minimum_charge_picos,
            self.maximum_charge_picos,
            self.maximum_charge_strategy,
            self.bands,
            self.grace_seconds,
        )


@dataclass(frozen=True, slots=True, eq=False)
class RateCardVersion:
    """A whole version of a card, immutable, from `effective_from` (aware UTC) on.

    Made by `build_version` or `decode_version`. Holds packed bytes; `find` and `tariff` decode what
    they hit. `held_bytes` is what a cache should count for it.
    """

    card: str
    effective_from: datetime
    currency: str
    time_zone: str
    rounding: Rounding
    index: RateIndex
    _row_terms: "array[int]"
    _row_destinations: "array[int]"
    _terms: PackedTexts
    _destinations: PackedTexts
    _tariffs: dict[int, Tariff]

    def __len__(self) -> int:
        return len(self.index)

    def find(self, kind: LegKind, digits: str, origin: str | None) -> Rate | None:
        """The rate with the longest prefix that holds for this number and origin."""
        row = self.index.find(kind, digits, origin)
        return None if row == NO_ROW else self.rate(row)

    def rate(self, row: int) -> Rate:
        """The rate in a row of the index."""
        kind, prefix, origin = self.index.describe(row)
        return Rate.of(kind, prefix, self.destination(row), origin, self.tariff(row).terms)

    def destination(self, row: int) -> str:
        """The name of where the row's prefix leads."""
        return self._destinations.get(self._row_destinations[row])

    def texts(self, row: int) -> tuple[str, str]:
        """(destination, terms) in stored form: rates are equal if both are."""
        return self.destination(row), self._terms.get(self._row_terms[row])

    def terms_number(self, row: int) -> int:
        """The number of the row's terms among the card's different terms, counted from 0."""
        return self._row_terms[row]

    def tariff(self, row: int) -> Tariff:
        """The row's terms, ready to charge with."""
        number = self._row_terms[row]
        tariff = self._tariffs.get(number)
        if tariff is None:
            if len(self._tariffs) >= limits.TARIFFS_DECODED_MAX:
                self._tariffs.clear()
            terms = terms_from_json(self._terms.get(number))
            tariff = self._tariffs[number] = Tariff(terms, self.rounding, self.time_zone)
        return tariff

    def rates(self) -> Iterator[Rate]:
        """Every rate, ordered by kind (dial-out first), prefix and origin."""
        return map(self.rate, range(len(self)))

    @property
    def held_bytes(self) -> int:
        """Bytes in memory: the packed arrays and texts, and an estimate of the decoded part."""
        arrays = [values for _, values in self.index.parts()]
        arrays += [self._row_terms, self._row_destinations]
        packed = sum(values.itemsize * len(values) for values in arrays)
        packed += self._terms.held_bytes + self._destinations.held_bytes
        return packed + _TARIFF_BYTES * len(self._tariffs)


def build_version(
    *,
    card: str,
    effective_from: datetime,
    currency: str,
    time_zone: str,
    rounding: Rounding,
    rates: Iterable[Rate],
    pointer: Callable[[int], str] = "/rates/{}".format,
) -> RateCardVersion:
    """The version of these rates.

    Raises Invalid with a pointer for each bad field, at most RATE_CARD_ERRORS_MAX of them;
    `pointer(i)` is the position of the i-th rate in the request.
    """
    errors: list[tuple[int, FieldError]] = []
    # Numbers only: half a million Python objects would fill the memory.
    keys: list[int] = []
    terms_numbers: dict[Terms, int] = {}
    terms_problems: list[tuple[FieldError, ...]] = []
    names: dict[str, int] = {}
    rate_terms, rate_names = array("I"), array("I")
    for position, rate in enumerate(islice(rates, limits.RATE_CARD_RATES_MAX + 1)):
        if len(errors) >= limits.RATE_CARD_ERRORS_MAX:
            break
        terms = rate.terms
        number = terms_numbers.setdefault(terms, len(terms_numbers))
        if number == len(terms_problems):
            terms_problems.append(tuple(terms_errors(terms)))
        problems = [*_destination_errors(rate), *terms_problems[number]]
        errors += [(position, each) for each in problems]
        keys.append(_WRONG_KEY if problems else sort_key(rate.kind, rate.prefix, rate.origin))
        rate_terms.append(number)
        rate_names.append(names.setdefault(rate.destination, len(names)))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for earlier, position in islice(_duplicates(keys, order), limits.RATE_CARD_ERRORS_MAX):
        errors.append((position, FieldError("/prefix", f"exists already at {pointer(earlier)}")))
    faults = list(_card_errors(currency, time_zone, rounding, len(keys)))
    for position, each in sorted(errors, key=itemgetter(0)):
        faults.append(FieldError(pointer(position) + each.pointer, each.detail))
    if faults:
        raise Invalid("The rate card is not valid.", tuple(faults[: limits.RATE_CARD_ERRORS_MAX]))
    return RateCardVersion(
        card,
        effective_from,
        currency,
        time_zone,
        rounding,
        build_index([keys[at] for at in order]),
        array("I", map(rate_terms.__getitem__, order)),
        array("I", map(rate_names.__getitem__, order)),
        PackedTexts.of(map(terms_to_json, terms_numbers)),
        PackedTexts.of(names),
        {},
    )


def _duplicates(keys: Sequence[int], order: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(the first rate with a key, another rate with it), rates by their positions."""
    first = -1
    for position in order:
        if first < 0 or keys[position] != keys[first]:
            first = position
        elif keys[position] != _WRONG_KEY:
            yield first, position


def version_in_force(effective_froms: Sequence[datetime], answered_at: datetime) -> datetime | None:
    """The latest start that is not after the answer; None before the card's first version."""
    return max((start for start in effective_froms if start <= answered_at), default=None)


def encode_chunks(version: RateCardVersion) -> tuple[Header, list[bytes]]:
    """(header, chunks) to store: one deflate stream, cut into pieces of a limited size.

    The header is a flat dict of short texts and numbers; `decode_version` needs it back.
    """
    header, chunks = pack(
        {
            **{name: pack_array(values) for name, values in version.index.parts()},
            "row_terms": pack_array(version._row_terms),
            "row_destinations": pack_array(version._row_destinations),
            "terms_ends": pack_array(version._terms.ends),
            "terms": version._terms.blob,
            "destinations_ends": pack_array(version._destinations.ends),
            "destinations": version._destinations.blob,
        }
    )
    header |= {
        "currency": version.currency,
        "time_zone": version.time_zone,
        "rounding_mode": version.rounding.mode.value,
        "rounding_decimals": version.rounding.decimals,
        "rates": len(version),
    }
    return header, chunks


def decode_version(
    card: str, effective_from: datetime, header: Mapping[str, str | int], chunks: Sequence[bytes]
) -> RateCardVersion:
    """The version that `encode_chunks` wrote; decodes no row.

    Raises RateCardUnreadable when anything is missing, changed, or of a newer format.
    """
    try:
        sections = unpack(header, chunks)
        return RateCardVersion(
            card,
            effective_from,
            str(header["currency"]),
            str(header["time_zone"]),
            Rounding(RoundingMode(str(header["rounding_mode"])), int(header["rounding_decimals"])),
            unpack_index(sections),
            unpack_array("I", sections["row_terms"]),
            unpack_array("I", sections["row_destinations"]),
            PackedTexts(sections["terms"], unpack_array("I", sections["terms_ends"])),
            PackedTexts(sections["destinations"], unpack_array("I", sections["destinations_ends"])),
            {},
        )
    except (LookupError, TypeError, ValueError, zlib.error) as error:
        raise RateCardUnreadable(
            f"rate card {card} of {effective_from.isoformat()} can't be read: {error}"
        ) from error


def _card_errors(
    currency: str, time_zone: str, rounding: Rounding, count: int
) -> Iterator[FieldError]:
    if not _CURRENCY.fullmatch(currency):
        yield FieldError("/currency", "must be three capital letters, such as USD")
    if not _is_zone(time_zone):
        yield FieldError("/time_zone", "must be an IANA time zone, such as Europe/Paris")
    if not 0 <= rounding.decimals <= limits.RATE_DECIMALS_MAX:
        yield FieldError("/rounding/decimals", f"must be 0 to {limits.RATE_DECIMALS_MAX}")
    if not 1 <= count <= limits.RATE_CARD_RATES_MAX:
        yield FieldError("/rates", f"must have 1 to {limits.RATE_CARD_RATES_MAX} rates")


def _destination_errors(rate: Rate) -> Iterator[FieldError]:
    if rate.kind is LegKind.VOIP:
        yield FieldError("/kind", "voip legs are free and have no rates")
    if not _PREFIX.fullmatch(rate.prefix):
        yield FieldError("/prefix", "must be up to 15 digits, without +")
    if problem := label_problem(rate.destination):
        yield FieldError("/destination", problem)
    if rate.origin is not None and not _REGION.fullmatch(rate.origin):
        yield FieldError("/origin", "must be an ISO region of two capital letters, such as US")


@lru_cache(maxsize=limits.LIST_ITEMS_MAX)
def _is_zone(name: str) -> bool:
    if not _ZONE.fullmatch(name) or name == "Factory":
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
