"""A ledger of an earlier release gets its public hashes and day roots, from its first day on."""

from datetime import timedelta
from typing import Any

import pytest

from shared import bootstrap
from shared.domain.ledger.model import TopUp
from tests.schemas.test_schemas import ACCOUNT, RELEASES, container_of
from tests.support.product import ManualClock


@pytest.fixture(autouse=True)
def _uninstall_container() -> Any:
    yield
    bootstrap.install(None)


async def rows_of(tables: Any, prefix: str) -> list[Any]:
    return list(await tables.query("ledger", ACCOUNT, first=prefix, before=f"{prefix}~"))


@pytest.mark.parametrize("name", RELEASES)
async def test_days_of_a_release_are_closed_and_its_chain_goes_on(name: str) -> None:
    app, tables = await container_of(name)
    before = {row.key: dict(row.values) for row in await rows_of(tables, "journal|")}
    assert await app.ledger.public_head(ACCOUNT) is None
    assert isinstance(app.clock, ManualClock)
    app.clock.advance(days=2)

    audit = await app.audit_ledgers()

    assert audit.problems == []
    assert audit.days_closed > 1
    after = {row.key: dict(row.values) for row in await rows_of(tables, "journal|")}
    assert {key: after[key] for key in before} == before
    head = await app.ledger.public_head(ACCOUNT)
    assert head is not None
    await app.ledger.submit(ACCOUNT, TopUp("after the upgrade", "d", 1_000_000))
    new = [row for row in await rows_of(tables, "journal|") if row.key not in after]
    assert "public" in new[-1].values
    assert (await app.ledger.verify(ACCOUNT)).problems == ()
    assert await app.read_proofs.problems(ACCOUNT) == []
    app.clock.advance(timedelta(days=1).total_seconds())
    assert (await app.audit_ledgers()).problems == []
    last = await app.proofs.last(ACCOUNT)
    assert last is not None
    assert last.root.head == await app.ledger.public_head(ACCOUNT)
    (receipt,) = [await app.read_proofs.of_entry(ACCOUNT, 1, is_interim=False, persons=True)]
    assert receipt["items"]
