"""docs/cost.md states what the templates deploy."""

import re

from tests.bench import cost
from tests.infra.bicep import resources


def test_the_page_has_what_the_snapshots_count() -> None:
    """After a wanted change: `make cost`."""
    page = cost.PAGE.read_text("utf-8")

    assert page.split(cost.FIXED_MARK)[1].strip().splitlines() == cost.fixed_table()


def test_zone_redundancy_is_billed_for_every_group() -> None:
    instances, _ = cost.fixed("prod")["always-ready instances"]

    assert instances == 2 * cost.function_groups()
    assert cost.fixed("dev")["always-ready instances"] == (0, 0)


def test_what_is_counted_is_what_is_deployed() -> None:
    found = cost.fixed("prod")

    assert found["private endpoints"][0] == len(resources("prod", "Network/privateEndpoints"))
    assert found["log alerts"][0] == len(resources("prod", "Insights/scheduledQueryRules"))


def test_every_price_is_on_the_page() -> None:
    page = cost.PAGE.read_text("utf-8")
    stated = {float(text) for text in re.findall(r"\b\d+\.\d+\b", page)}

    assert {price for price in cost.FIXED_PRICES.values() if round(price, 2) == price} <= stated
