"""A fresh house, or town, for every test."""

from collections.abc import Iterator

import pytest

from shared import bootstrap
from tests.unit.administration.app import House
from tests.unit.administration.town import Town


@pytest.fixture
def app() -> Iterator[House]:
    made = House()
    yield made
    bootstrap.install(None)
    made.close()


@pytest.fixture
def town() -> Iterator[Town]:
    """With account `contoso`, which has ten dollars, and a card of two countries."""
    made = Town()
    made.settle()
    yield made
    bootstrap.install(None)
    made.close()
