"""The mappings of docs/examples/mappings, on rows in the form of their decks, and their page."""

import json
import re
from pathlib import Path

import pytest

from shared.contracts.common.validation import parse_body
from shared.contracts.rate_cards.deck_import import (
    DeckColumns,
    DeckDefaults,
    DeckMapping,
    import_deck,
)
from tests.unit.rating.cases import VERSION_FROM

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "examples" / "mappings"
DECKS = {
    "twilio": (
        (
            "ISO,Country,Description,Price / min,Origination Prefixes,Destination Prefixes\n"
            'CH,Switzerland,Outbound - Switzerland,0.02100,,"41, 4144"\n'
            'CH,Switzerland,Outbound - Switzerland,0.90000,"41, 49",41\n'
        ),
        [("41", "0.021", (60,)), ("4144", "0.021", (60,))],
    ),
    "telnyx": (
        (
            "ISO,Country,Origination Prefixes,Destination Prefixes,Description,Interval 1,"
            "Interval N,Rate,Price Per Call,Exact Match\n"
            "CH,Switzerland,,41,Fixed,30,6,0.021,0.01,false\n"
        ),
        [("41", "0.021", (30, 6))],
    ),
    "astpp": (
        (
            "id,pattern,comment,connectcost,includedseconds,cost,trunk_id,inc\n"
            "1,^41.*,Switzerland,0.01000,0,0.02100,1,6\n2,^41.*,Switzerland,0.01000,0,0.03000,1,6\n"
        ),
        [("41", "0.03", (6,))],
    ),
    "a2billing": (
        ("dialprefix;destination;rate initial;buyrate;initblock\n41;switzerland;0.021;0.011;30\n"),
        [("41", "0.021", (30, 60))],
    ),
    "ov500": (
        (
            "Prefix,Destination,ppm,ppc,minimal,resolution,grace,multiplier,addition,status\n"
            "41,Switzerland,0.02,0,60,1,0,1.5,0.001,1\n42,Nowhere,0.02,0,60,1,0,1,0,0\n"
        ),
        [("41", "0.031", (60, 1))],
    ),
}


def test_five_mappings_are_ready() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(DECKS)


@pytest.mark.parametrize("name", DECKS)
def test_a_ready_mapping_reads_the_deck_that_it_is_for(name: str) -> None:
    deck, expected = DECKS[name]
    mapping = parse_body(DeckMapping, json.loads((FOLDER / f"{name}.json").read_text("utf-8")))
    version, _ = import_deck(deck.encode(), mapping, "carrier", VERSION_FROM)
    found = [
        (
            each.prefix,
            f"{each.slots[0].price_picos / 10**12:g}",
            tuple(slot.increment_seconds for slot in each.slots),
        )
        for each in version.rates()
    ]
    assert found == expected


def test_the_page_of_the_mapping_describes_every_field() -> None:
    page = (ROOT / "docs" / "import-mapping.md").read_text("utf-8")
    for heading, model in (
        ("## Fields", DeckMapping),
        ("### `columns`", DeckColumns),
        ("### `defaults`", DeckDefaults),
    ):
        section = re.split(r"^#+ ", page.partition(f"{heading}\n")[2], maxsplit=1, flags=re.M)[0]
        rows = re.findall(r"^\| (.+?) \|", section, re.M)
        documented = set(re.findall(r"`([a-z_]+)`", " ".join(rows)))
        assert documented == set(model.model_fields)
