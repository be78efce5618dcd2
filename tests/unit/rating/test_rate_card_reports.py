"""What administrators read about a card: plain JSON, money as strings."""

import json

from shared.contracts.rate_cards.reports import (
    render_change,
    render_effect,
    render_findings,
    render_price_list,
)
from shared.domain.common.kinds import LegKind
from shared.domain.numbers.example_numbers import typical_numbers
from shared.domain.rating.diff import PastLegFacts, changes, effect
from shared.domain.rating.lint import lint
from shared.domain.rating.price_list import price_list
from tests.unit.rating.cases import ANSWERED_AT, card, rate, slot

OLD = card(rate(slot("60", "0.03"), prefix="44"), rate(slot("60", "0.1"), prefix="1"))
NEW = card(rate(slot("60", "0.04"), prefix="44", fee="0.5"), rate(slot("60", "1"), prefix="33"))


def test_findings() -> None:
    """With their count and first places."""
    assert render_findings(lint(card(rate(slot("60", "1"), prefix="044")), ())) == [
        {
            "code": "not_e164",
            "severity": "warning",
            "detail": "no international number begins so",
            "count": 1,
            "examples": ["044"],
        }
    ]


def test_changes() -> None:
    """Whole rates, and by how much a minute rises, to two decimals."""
    removed, added, changed = sorted(
        map(render_change, changes(OLD, NEW)),
        key=lambda each: ["removed", "added", "changed"].index(str(each["change"])),
    )

    assert (removed["after"], removed["percent"]) == (None, None)
    assert (added["before"], added["percent"]) == (None, None)
    assert changed["percent"] == "33.33"
    assert json.loads(json.dumps(changed))["after"]["connection_fee"] == "0.5"


def test_effect() -> None:
    """Sums in the card's currency."""
    legs = [
        PastLegFacts(LegKind.DIAL_OUT, digits, None, ANSWERED_AT, 60) for digits in ("442", "12")
    ]

    assert render_effect(effect(OLD, NEW, legs), "USD") == {
        "currency": "USD",
        "legs": 1,
        "before": "0.03",
        "after": "0.54",
        "difference": "0.51",
        "no_rate_before": 0,
        "no_rate_after": 1,
        "destinations": [
            {
                "destination": "+44",
                "legs": 1,
                "before": "0.03",
                "after": "0.54",
                "difference": "0.51",
            }
        ],
    }


def test_price_list() -> None:
    """Null where a card has no rate."""
    rows = {str(row["name"]): row for row in render_price_list(price_list(NEW, typical_numbers()))}

    assert rows["Guernsey"]["calling_code"] == "+44"
    assert json.loads(json.dumps(rows["France"]))["prices"]["mobile"] == {
        "prefix": "33",
        "price_per_minute": "1",
        "connection_fee": "0",
    }
    assert set(json.loads(json.dumps(rows["Japan"]))["prices"].values()) == {None}
