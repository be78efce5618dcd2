"""A world for each test; whatever was done to it, its ledger must verify."""

from collections.abc import Iterator

import pytest

from tests.unit.credits.world import ACCOUNT, World


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    if one.run(one.container.ledger.state(ACCOUNT)) is not None:
        one.verified()
    one.close()
