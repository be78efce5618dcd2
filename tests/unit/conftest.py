"""Unit tests reach no network: a connection to anything but this machine is an error. Fixtures
of a product in memory."""

from collections.abc import Iterator

import pytest
from pytest_socket import _remove_restrictions, socket_allow_hosts

from tests.support.charging_app import ChargingApp
from tests.support.product import Product


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    socket_allow_hosts(["127.0.0.1", "localhost"], allow_unix_socket=True)
    yield
    _remove_restrictions()


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
