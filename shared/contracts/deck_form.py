"""A carrier's deck as it is sent to be imported: a form with the mapping, the deck, and names."""

import zlib
from collections.abc import Iterator
from datetime import datetime

from shared.contracts.deck_import import DeckMapping, DeckReport, import_deck, read_names
from shared.contracts.deck_rows import csv_rows
from shared.contracts.multipart import FORM_MEDIA_TYPE, parse_form
from shared.contracts.strict import read
from shared.domain import limits
from shared.domain.errors import BadRequest, FieldError, Invalid, TooLarge, UnsupportedMedia
from shared.domain.rates import RateCardVersion
from shared.domain.strict_json import loads

_PARTS = frozenset({"mapping", "deck", "names"})
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31


class DeckForm:
    """A deck with the mapping that says what its columns mean; `report` is there once it is read.

    `names` is a table with the columns `prefix` and `destination`, for decks that name their
    destinations and have no prefixes.
    """

    def __init__(self, mapping: DeckMapping, deck: bytes, names: bytes | None) -> None:
        self._mapping = mapping
        self._deck = deck
        self._names = names
        self._report: DeckReport | None = None

    @property
    def report(self) -> DeckReport:
        """What became of the rows."""
        assert self._report is not None
        return self._report

    def version(self, card: str, effective_from: datetime) -> RateCardVersion:
        """The version that the deck spells, all of it. Raises TooLarge and what `import_deck`
        raises: BadRequest, or Invalid with a line for each field that is wrong."""
        deck = _inflated(self._deck)
        names = None if self._names is None else read_names(_name_pairs(_inflated(self._names)))
        version, self._report = import_deck(deck, self._mapping, card, effective_from, names)
        return version


def read_deck_form(content_type: str, body: bytes) -> DeckForm:
    """The form that was sent; the deck in it is not read yet.

    Raises UnsupportedMedia, BadRequest `form_invalid` or `json_invalid`, Invalid.
    """
    if content_type.partition(";")[0].strip().lower() != FORM_MEDIA_TYPE:
        raise UnsupportedMedia("This route reads multipart/form-data: mapping, deck, names.")
    parts = parse_form(content_type, body)
    if unknown := sorted(parts.keys() - _PARTS):
        raise BadRequest(f"The form has an unknown part {unknown[0]}.", code="form_invalid")
    missing = [name for name in ("mapping", "deck") if name not in parts]
    if missing:
        raise BadRequest(f"The form has no part {missing[0]}.", code="form_invalid")
    mapping = read(DeckMapping, loads(parts["mapping"]))
    return DeckForm(mapping, parts["deck"], parts.get("names"))


def _name_pairs(table: bytes) -> Iterator[tuple[str, str]]:
    """(prefix, name) of each row; the mapping's own delimiter and encoding are the deck's."""
    for row in csv_rows(table, _Plain(), {"prefix", "destination"}, "table of names"):
        if row.problem:
            where = FieldError(row.place, row.problem)
            raise Invalid("The table of names is not valid.", (where,))
        yield row.fields["prefix"].strip(), row.fields["destination"]


class _Plain:
    encoding = "utf-8"
    delimiter = ","
    comment = ""


def _inflated(content: bytes) -> bytes:
    """What is in a gzip file, or the content itself. Raises TooLarge, BadRequest."""
    if not content.startswith(_GZIP):
        return content
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = inflater.decompress(content, limits.RATE_CARD_BODY_BYTES_MAX + 1)
    except zlib.error:
        raise BadRequest("The gzip file can't be read.") from None
    if len(plain) > limits.RATE_CARD_BODY_BYTES_MAX:
        raise TooLarge(f"The deck may have {limits.RATE_CARD_BODY_BYTES_MAX} bytes, inflated.")
    if not inflater.eof:
        raise BadRequest("The gzip file is cut off.")
    return plain
