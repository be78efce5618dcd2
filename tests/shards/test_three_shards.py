"""The whole product with its ledgers in three storage accounts."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from azure.data.tables import TableServiceClient

from local.stack import Stack
from shared.domain.directory.entities import shard_for
from tests.e2e.deployment import CARD, RATES, card
from tests.support.azurite import Azurite, start_azurite
from tests.support.client import Admin, Http, SigningBridge, eventually

LEG = {
    "kind": "dial_out",
    "to": "+442079460123",
    "started_at": "2026-11-20T10:00:00Z",
    "answered_at": "2026-11-20T10:00:00Z",
    "ended_at": "2026-11-20T10:01:00Z",
}


@dataclass
class Sharded:
    """A running product, and its three table services."""

    admin: Admin
    bridge: SigningBridge
    services: list[TableServiceClient]

    def ledgers_of(self, table: str, account: str) -> list[int]:
        """The shards in which an account has rows of that table."""
        found = []
        for number, service in enumerate(self.services):
            names = {each.name for each in service.list_tables()}
            query = f"PartitionKey eq '{account}'"
            if table in names and list(service.get_table_client(table).query_entities(query)):
                found.append(number)
        return found


@pytest.fixture(scope="module")
def others() -> Iterator[list[Azurite]]:
    with start_azurite() as one, start_azurite() as two:
        yield [one, two]


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory, others: list[Azurite]) -> Iterator[Sharded]:
    shards = " ".join(each.connection_string for each in others)
    data = tmp_path_factory.mktemp("shards") / "data"
    with Stack(data, settings={"LEDGER_SHARDS": shards}) as stack:
        http = Http(stack.base_url)
        admin = Admin(http, stack.admin_key)
        admin.put(f"rate-cards/{CARD}/versions/2020-01-01T00:00:00Z", card(*RATES))
        texts = [stack_connection(stack), *(each.connection_string for each in others)]
        services = [TableServiceClient.from_connection_string(text) for text in texts]
        yield Sharded(admin, SigningBridge(http, "local", stack.bridge_secret), services)
        for service in services:
            service.close()


def stack_connection(stack: Stack) -> str:
    """The connection string of the stack's own Azurite."""
    from local.stack import AZURITE_ACCOUNT, AZURITE_KEY

    return (
        f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};"
        f"TableEndpoint={stack.azurite_table_url};"
    )


def _accounts() -> dict[int, str]:
    """An account for each shard."""
    names = (f"sharded-{number}" for number in range(100))
    found: dict[int, str] = {}
    for name in names:
        found.setdefault(int(shard_for(name, 3)), name)
    assert set(found) == {0, 1, 2}
    return found


@pytest.mark.extended
@pytest.mark.timeout(240)
def test_accounts_live_in_their_shards_work_there_and_stay_there(sharded: Sharded) -> None:
    """Made, topped up, authorised, charged, listed, verified and changed: each in one shard, none
    in two."""
    accounts = _accounts()
    for account in accounts.values():
        sharded.admin.put(f"accounts/{account}", {"currency": "USD", "rate_card": CARD})
        booked = sharded.admin.request(
            "POST", f"accounts/{account}/top-ups", {"amount": "10.00"}, idempotency_key="one"
        )
        assert booked.status == 201
        sharded.admin.put(f"accounts/{account}/organizers/ken", {"usage_location": "FR"})
        question = {"to": LEG["to"], "account": account, "organizer_id": "ken"}
        allowed = sharded.bridge.authorise(question).json()
        assert allowed["decision"] == "allow", allowed
        leg = {
            **LEG,
            "leg_id": f"leg-{account}",
            "account": account,
            "authorization": allowed["authorization"],
        }
        assert sharded.bridge.ended(leg).status == 202

    for account in accounts.values():
        path = f"accounts/{account}/legs/local~leg-{account}"
        assert eventually(lambda path=path: sharded.admin.request("GET", path).status == 200)
        shown = sharded.admin.get(f"accounts/{account}")
        assert (shown["balance"], shown["held"]) == ("9.938", "0.00")
        assert sharded.admin.get(f"accounts/{account}/verify")["ok"]
        assert len(sharded.admin.items(f"accounts/{account}/entries")) == 2
    for shard, account in accounts.items():
        assert sharded.ledgers_of("ledger", account) == [shard]
        assert sharded.ledgers_of("holds", account) == [shard]

    account = accounts[2]
    etag = sharded.admin.get(f"accounts/{account}")["etag"]
    changed = {"currency": "USD", "rate_card": CARD, "name": "Another name"}
    answer = sharded.admin.request("PUT", f"accounts/{account}", changed, if_match=etag)
    assert (answer.status, answer.json()["balance"]) == (200, "9.938")
    assert sharded.ledgers_of("ledger", account) == [2]
