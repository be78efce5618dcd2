"""A fresh house for every test."""

from collections.abc import Iterator

import pytest

from shared import bootstrap
from tests.unit.administration.house import House


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    bootstrap.install(None)
    made.close()
