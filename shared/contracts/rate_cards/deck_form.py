"""The form of a deck import: mapping, deck and names."""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from shared.contracts.common.fields import AdminBody
from shared.contracts.common.multipart import read_form
from shared.contracts.common.validation import parse_body
from shared.contracts.rate_cards.deck_import import DeckMapping, DeckReport, import_deck, read_names
from shared.contracts.rate_cards.deck_rows import csv_rows
from shared.domain.common import limits
from shared.domain.common.errors import BadRequest, TooLarge
from shared.domain.common.strict_json import loads
from shared.domain.rating.rate_card import RateCardVersion

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_PIECE_BYTES = 8 * 1024
_ZIP = b"PK\x03\x04"
_NAMES = "table of names"


class DeckFormBody(AdminBody):
    """The parts of the form."""

    mapping: DeckMapping
    deck: str = Field(description="The carrier's deck as CSV or JSON, perhaps compressed by gzip.")
    names: str = Field("", description="CSV that maps prefixes to names of destinations.")


@dataclass(slots=True)
class DeckForm:
    """A deck and its mapping of columns; `report` is set once the deck is read.

    `names` is a table with the columns `prefix` and `destination`, for decks that name their
    destinations and have no prefixes.
    """

    mapping: DeckMapping
    deck: bytes
    names: bytes | None
    _report: DeckReport | None = None

    @property
    def report(self) -> DeckReport:
        """The outcome of the rows."""
        assert self._report is not None
        return self._report

    def version(self, card: str, effective_from: datetime) -> RateCardVersion:
        """The version that the deck encodes, all of it. Raises TooLarge and what `import_deck`
        raises: BadRequest, or Invalid with a line for each field that is wrong."""
        deck, names = inflated(self.deck), None
        if self.names is not None:
            rows = csv_rows(
                inflated(self.names), _PlainCsvReader(), {"prefix", "destination"}, _NAMES
            )
            names = read_names(rows, self.mapping.prefix_reader)
        version, self._report = import_deck(deck, self.mapping, card, effective_from, names)
        return version


def read_deck_form(content_type: str, body: bytes) -> DeckForm:
    """Parse the form; its deck is not read yet.

    Raises BadRequest `form_invalid` or `json_invalid`, TooLarge, Invalid.
    """
    parts = read_form(DeckFormBody, content_type, body)
    mapping = parse_body(DeckMapping, loads(parts["mapping"]))
    return DeckForm(mapping, parts["deck"], parts.get("names"))


class _PlainCsvReader:
    encoding = "utf-8"
    delimiter = ","
    comment = ""


def inflated(content: bytes) -> bytes:
    """The content of a gzip file with all its members, or the content itself.

    Raises BadRequest where it can't be read, TooLarge where it is a bomb: over the limit of a rate
    card, over DECK_INFLATION_MAX times its own size, or of more members than packers make.
    """
    if content.startswith(_ZIP):
        raise BadRequest("This is a spreadsheet or a ZIP archive: send the table as CSV or JSON.")
    if not content.startswith(_GZIP):
        return content
    # Read twice, so that memory of the right size is taken once and no second copy is made.
    size = sum(map(len, _pieces(content)))
    inflated_bytes = io.BytesIO()
    inflated_bytes.seek(max(0, size - 1))
    inflated_bytes.write(b"\0"[:size])
    inflated_bytes.seek(0)
    inflated_bytes.writelines(_pieces(content))
    return inflated_bytes.getvalue()


def _pieces(content: bytes) -> Iterator[bytes]:
    most = min(
        limits.RATE_CARD_BODY_BYTES_MAX,
        max(limits.DECK_INFLATED_BYTES_LEAST, limits.DECK_INFLATION_MAX * len(content)),
    )
    at, size = 0, 0
    for _ in range(limits.DECK_GZIP_MEMBERS_MAX):
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        while not inflater.eof:
            # Piece by piece, since zlib copies what it leaves over.
            packed = content[at : at + _PIECE_BYTES]
            if not packed:
                raise BadRequest("The gzip file is incomplete. Compress the file again.")
            at += len(packed)
            try:
                piece = inflater.decompress(packed, most - size + 1)
            except zlib.error:
                raise BadRequest("The gzip file cannot be read. Compress the file again.") from None
            size += len(piece)
            if size > most:
                raise TooLarge(
                    f"The gzip file inflates to more than {most:,} bytes. Send it in parts."
                )
            yield piece
        at -= len(inflater.unused_data)
        if not content.startswith(_GZIP, at):
            break
    else:
        raise TooLarge(
            f"The gzip file has more than {limits.DECK_GZIP_MEMBERS_MAX} members. "
            "Compress the file again."
        )
    if content[at:].strip(b"\0"):
        raise BadRequest("The gzip file has bytes after its end. Compress the file again.")
