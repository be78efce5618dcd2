"""Unit tests reach no network: a socket other than a local pair is an error."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)  # event loops wake themselves through a socket pair
    yield
    enable_socket()
