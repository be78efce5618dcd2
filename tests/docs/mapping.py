"""The page of the import mapping: every option, and ready mappings with the rates that result."""

from datetime import UTC, datetime
from typing import NamedTuple

from shared.contracts.common.validation import parse_body
from shared.contracts.rate_cards.deck_form import DeckForm
from shared.contracts.rate_cards.deck_import import DeckMapping
from shared.domain.common.money import format_price
from shared.domain.common.strict_json import loads
from shared.domain.rating.rate_card import Rate, RateCardVersion
from tests.docs.http_api import fields
from tests.docs.markdown import block, code, page, table
from tests.docs.settings import ROOT

FOLDER = ROOT / "docs" / "examples" / "decks"
VERSION_FROM = datetime(2026, 1, 1, tzinfo=UTC)


class Deck(NamedTuple):
    """A ready mapping: the file's name, its title, and a sentence about the shape."""

    name: str
    title: str
    about: str


DECKS = (
    Deck("twilio", "Several prefixes in a cell (as in Twilio's price file)",
         "A cell lists several prefixes and ranges. Rows with an origin are left out: their "
         "price is for callers from these countries only."),
    Deck("didww", "Two intervals and a connection fee (as in DIDWW's price list)",
         "The first interval and the next intervals have columns. Rows that the carrier rejects "
         "are left out. A number of such a prefix then has the rate of a shorter prefix: block "
         "the prefix in the [dial-out policy](../dial-out.md)."),
    Deck("portaone", "Decimal commas (as in exports of PortaSwitch)",
         "A European export: `delimiter` and `decimal_comma` are set, prefixes begin with `+`."),
    Deck("a2billing", "Patterns instead of prefixes (as in A2Billing and ASTPP)",
         "A pattern such as `^1876.*` is read as the prefix 1876. A row that is switched off "
         "is left out before its cells are read, so its pattern may be any text."),
    Deck("country-and-area", "Country code and area code in two columns",
         "The trunk prefix of the area code (`020`) is removed where only that makes a number."),
    Deck("names-only", "Names without prefixes, and slots on separate rows (as in CGRateS)",
         "The deck has names only. A second file maps names to prefixes. Rows with the same name "
         "are the slots of one rate."),
)  # fmt: skip
ABOUT = {
    "currency": "ISO 4217 code of all prices. A sign of another currency in a cell is an error.",
    "time_zone": "IANA time zone of the card.",
    "rounding": "How a charge is rounded.",
    "rounding.mode": "See [rating.md](../rating.md).",
    "rounding.decimals": "Decimals of a charge.",
    "format": "Format of the deck.",
    "encoding": "Encoding of the deck. A byte order mark is accepted.",
    "delimiter": "Separates the cells of a line.",
    "comment": "Lines that begin with this text are left out.",
    "decimal_comma": "Prices have a decimal comma: `0,012`.",
    "columns": "The deck's name for each property. For JSON a dotted path.",
    "columns.prefix": "Prefix, several prefixes, a range, or a pattern.",
    "columns.country_code": "Country calling code in a separate column. Every row needs one.",
    "columns.destination": "Up to five columns, joined by a comma.",
    "columns.price": "Price of `unit` seconds.",
    "columns.connection_fee": "Fee of each call.",
    "columns.first_increment": "Seconds of the first increment: `60` or `60s`.",
    "columns.increment": "Seconds of every later increment.",
    "columns.unit": "Seconds that the price is for.",
    "columns.slot_start": "Second of the call from which the row holds. Rows that follow each "
    "other with the same prefix are the slots of one rate.",
    "columns.grace_seconds": "Calls up to this length are free.",
    "columns.multiplier": "Every price of the row is multiplied by this number.",
    "columns.addition": "Added to the price of the row after the multiplication.",
    "columns.origin": "ISO 3166-1 code of the caller's country.",
    "defaults": "Values of rows whose column is missing or whose cell is empty.",
    "defaults.kind": "Kind of all rates.",
    "defaults.destination": "Name of rates without a name. Without it the name is the prefix.",
    "defaults.price": "Price of rows without a price.",
    "defaults.connection_fee": "Fee of rows without a fee.",
    "defaults.first_increment": "First increment of rows without one. Without it the first "
    "increment is as long as the others.",
    "defaults.increment": "Increment of rows without one.",
    "defaults.unit_seconds": "Seconds that prices are for.",
    "defaults.grace_seconds": "Free seconds of rows without such a cell.",
    "strip": "Text that is removed from the start of each prefix, for example `tel:`.",
    "international_prefix": "Removed from the start of each prefix: `00` or `011`.",
    "list_separator": "The only text that separates prefixes in a cell. A space makes a list of "
    "`33 6`.",
    "only_where": 'Only rows are read whose column has one of the values. `""` is an empty cell.',
    "skip_where": "Rows whose column has one of the values are left out.",
    "duplicates": "The rate that is used if a prefix occurs twice. `refuse`: an error.",
    "unknown_names": "A name that the file of names lacks is an error, or its row is left out.",
}


def read(deck: Deck) -> tuple[RateCardVersion, DeckForm]:
    """The version that the importer makes of a deck, and its report."""
    mapping = parse_body(DeckMapping, loads((FOLDER / f"{deck.name}.json").read_bytes()))
    names = FOLDER / f"{deck.name}.names.csv"
    body = (FOLDER / f"{deck.name}.csv").read_bytes()
    form = DeckForm(mapping, body, names.read_bytes() if names.exists() else None)
    return form.version("carrier", VERSION_FROM), form


def options() -> list[tuple[str, str, bool, str, str]]:
    """(option, type, whether it is required, default, meaning in the model) of the mapping."""
    return list(fields(DeckMapping.model_json_schema()))


def _slots(rate: Rate) -> str:
    return ", then ".join(
        f"{format_price(slot.price_picos)} for {slot.unit_seconds} s in steps of "
        f"{slot.increment_seconds} s"
        + (f" from second {slot.from_second}" if slot.from_second else "")
        for slot in rate.slots
    )


def pages() -> dict[str, str]:
    """The text of docs/reference/import-mapping.md."""
    rows = [
        (code(name), kind, "yes" if need else f"no; {code(default)}" if default else "no",
         ABOUT[name])
        for name, kind, need, default, _ in options()
    ]  # fmt: skip
    lines = ["## Options", ""]
    lines += table(("option", "type", "required, or default", "meaning"), rows)
    lines += ["A cell that has two readings is an error with its line, never a guess: "]
    lines[-1] += "[rating.md](../rating.md) lists the readings."
    lines += ["", "## Ready mappings", ""]
    lines += ["Copy the mapping whose deck is like yours and change the names of the columns. The "]
    lines[-1] += "values are invented. A test imports each deck and compares the rates."
    lines.append("")
    for deck in DECKS:
        version, form = read(deck)
        path = f"../examples/decks/{deck.name}"
        lines += [f"### {deck.title}", "", deck.about, ""]
        lines += [f"Deck ([{deck.name}.csv]({path}.csv)):", ""]
        lines += block((FOLDER / f"{deck.name}.csv").read_text("utf-8"), "text")
        if form.names:
            lines += [f"Names ([{deck.name}.names.csv]({path}.names.csv)):", ""]
            lines += block(form.names.decode(), "text")
        lines += [f"Mapping ([{deck.name}.json]({path}.json)):", ""]
        lines += block((FOLDER / f"{deck.name}.json").read_text("utf-8"))
        report = form.report
        lines += [f"Rows: {report.rows}. Rates: {report.rates}. Left out: {report.left_out}.", ""]
        lines += table(
            ("prefix", "destination", "connection fee", "price"),
            [(each.prefix, each.destination, format_price(each.connection_fee_picos), _slots(each))
             for each in version.rates()],
        )  # fmt: skip
    about = """
An import reads the price deck of a carrier by a *mapping*: JSON that names the deck's columns and
formats. [rate-cards.md](../rate-cards.md) shows a complete import: the form has the parts
`mapping` and `deck`, and `names` for a deck without prefixes. `?dry_run=true` stores nothing and
returns the result."""
    return {"docs/reference/import-mapping.md": page("Import mapping", about, lines)}
