"""Unit tests reach no network: a connection to anything but this machine is an error."""

from collections.abc import Iterator

import pytest
from pytest_socket import _remove_restrictions, socket_allow_hosts


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    socket_allow_hosts(["127.0.0.1", "localhost"], allow_unix_socket=True)
    yield
    _remove_restrictions()
