"""Month rows lie on the emulator as they do in memory: written, read back, and they verify."""

from datetime import datetime
from uuid import uuid4

from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.ledger.model import Configure, TopUp
from shared.usecases.ledger.close_months import add_up_month, close_months
from tests.support.azurite import Azurite
from tests.support.stored_ledger import StoredLedger, leg


async def test_a_closed_month_is_kept_by_the_emulator(azurite: Azurite) -> None:
    account = f"months-{uuid4().hex}"
    tables = AzureTables(connection_string=azurite.connection_string)
    try:
        app = StoredLedger(tables)
        await app.ledger.submit(account, Configure(1, "USD", 0, ()))
        await app.ledger.submit(account, TopUp("first", "digest", 9_000_000_000_000))
        await app.ledger.submit(account, leg(1, at=app.clock.now()))
        app.clock.moment = datetime.fromisoformat("2026-02-02T02:00Z")

        assert await close_months(app.ledger, account, "UTC", app.clock.now()) == 1
        assert await close_months(app.ledger, account, "UTC", app.clock.now()) == 0

        made = await add_up_month(app.ledger, account, "2026-01", "UTC")
        assert await app.ledger.closed_month(account, "2026-01") == made
        assert (await app.ledger.verify(account)).problems == ()
    finally:
        await tables.close()
