"""A product for each test; after the test its ledger must verify."""

from collections.abc import Iterator

import pytest

from tests.support.credits_app import ACCOUNT, CreditsApp


@pytest.fixture
def app() -> Iterator[CreditsApp]:
    one = CreditsApp()
    yield one
    if one.run(one.container.ledger.state(ACCOUNT)) is not None:
        one.verified()
    one.close()
