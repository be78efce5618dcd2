"""A fresh product for every test."""

from collections.abc import Iterator

import pytest

from tests.support.charging_app import ChargingApp
from tests.support.product import Product


@pytest.fixture
def app() -> Iterator[Product]:
    made = Product()
    yield made
    made.close()


@pytest.fixture
def charging() -> Iterator[ChargingApp]:
    """With account `contoso`, which has ten dollars, and a card of two countries."""
    made = ChargingApp()
    made.settle()
    yield made
    made.close()
