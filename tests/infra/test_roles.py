"""Every call to Azure that the code makes is allowed by exactly one role, and no role is idle."""

import ast
import pydoc
import re
from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from tests.infra.bicep import ENVIRONMENTS, ROOT, resources

# Data actions of Azure's own roles, as its documentation lists them.
TABLES = "Microsoft.Storage/storageAccounts/tableServices/tables"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": [f"{BLOBS}/*"],
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": [
        *(f"{BLOBS}/{action}" for action in ("read", "write", "delete", "add/action")),
        *(f"{BLOBS}/{action}" for action in ("move/action", "filter/action")),
    ],
    "76199698-9eea-4c19-bc75-cec21354c6b6": [f"{TABLES}/entities/read"],
    "090c5cfd-751d-490a-894a-3ce6f1109419": ["Microsoft.ServiceBus/*"],
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": ["Microsoft.ServiceBus/*/send/action"],
    "4633458b-17de-408a-b874-0445c86b69e6": ["Microsoft.KeyVault/vaults/secrets/getSecret/action"],
    "3913510d-42f4-4e42-8a64-420c390055eb": ["Microsoft.Insights/Telemetry/Write"],
}
QUEUE = "Microsoft.ServiceBus/namespaces/queues/messages"
SUBSCRIPTION = "Microsoft.ServiceBus/namespaces/topics/subscriptions/messages"
# The counts that a queue's Atom document holds, and by which the platform scales.
QUEUE_READ = "Microsoft.ServiceBus/namespaces/queues/read"
SUBSCRIPTION_READ = "Microsoft.ServiceBus/namespaces/topics/subscriptions/read"
TOPIC = "Microsoft.ServiceBus/namespaces/topics/messages"


@dataclass(frozen=True)
class Need:
    """Something that an identity must be allowed to do where a pattern of resource ids fits."""

    who: str
    scope: str
    actions: tuple[str, ...]


# What the code calls, by the words in which it does, and what that needs. Rows are added, replaced
# and deleted in transactions. A table is made where it is missing, which Azure refuses (ADR 0021).
CALLS = {
    r"\.(get_entity|query_entities|list_entities)\(": Need(
        "app", "storageAccounts/pmledger", (f"{TABLES}/entities/read",)
    ),
    r"multipart/mixed": Need(
        "app",
        "storageAccounts/pmledger",
        tuple(
            f"{TABLES}/entities/{action}"
            for action in ("write", "delete", "add/action", "update/action")
        ),
    ),
    r"\.get_queue_sender\(": Need("app", "queues/call-ended", (f"{QUEUE}/send/action",)),
    r"\.get_queue_receiver\(": Need("app", "queues/call-ended", (f"{QUEUE}/receive/action",)),
    r"\.get_subscription_receiver\(": Need(
        "app", "subscriptions/webhooks", (f"{SUBSCRIPTION}/receive/action",)
    ),
    r"MessageCount": Need("app", "queues/call-ended", (QUEUE_READ,)),
    r"/subscriptions/\{subscription\}": Need("app", "subscriptions/webhooks", (SUBSCRIPTION_READ,)),
    r"\.get_topic_sender\(": Need("app", "topics/credit-events$", (f"{TOPIC}/send/action",)),
    r'"PUT",\s+name': Need("keeper", "containers/", (f"{BLOBS}/write", f"{BLOBS}/add/action")),
    r'_send\("GET", name': Need("keeper", "containers/", (f"{BLOBS}/read",)),
}
# What the host does for us: it receives, keeps locks and packages, resolves references, reports.
HOST = [
    Need("app", "queues/call-ended", (f"{QUEUE}/receive/action",)),
    Need("app", "queues/call-ended", (QUEUE_READ,)),
    Need("app", "subscriptions/webhooks", (f"{SUBSCRIPTION}/receive/action", SUBSCRIPTION_READ)),
    Need("app", "storageAccounts/pmhost", (f"{BLOBS}/read", f"{BLOBS}/write")),
    Need("app", "vaults/", ("Microsoft.KeyVault/vaults/secrets/getSecret/action",)),
    Need("app", "components/", ("Microsoft.Insights/Telemetry/Write",)),
]
NEEDS = [*CALLS.values(), *HOST]
# Classes of the SDKs that send requests: a new one needs a role, and a line above.
CLIENTS = {
    "azure.core.AsyncPipelineClient",
    "azure.data.tables.aio.TableClient",
    "azure.data.tables.aio.TableServiceClient",
    "azure.servicebus.aio.ServiceBusClient",
    "azure.servicebus.aio.ServiceBusReceiver",
    "azure.servicebus.aio.ServiceBusSender",
}

# Their methods that the code calls. These go to Azure and are allowed by a row of CALLS …
REQUESTED = {
    *("get_entity", "query_entities", "list_entities"),
    *("get_queue_sender", "get_topic_sender", "create_message_batch", "send_messages"),
    "send_request",
    *("get_queue_receiver", "get_subscription_receiver", "peek_messages", "receive_messages"),
    *("complete_message", "abandon_message"),
}
# … these stay here, and this one Azure refuses (docs/adr/0021).
UNASKED = {"close", "from_connection_string", "get_table_client", "get"}
REFUSED = {"create_table"}


@dataclass(frozen=True)
class Assignment:
    """A role that someone holds on a resource."""

    who: str
    scope: str
    actions: tuple[str, ...]

    def allows(self, need: Need, action: str) -> bool:
        """Whether it lets that identity do that there."""
        return (
            self.who == need.who
            and re.search(need.scope, self.scope) is not None
            and any(fnmatch(action, allowed) for allowed in self.actions)
        )


def _assignments(environment: str) -> list[Assignment]:
    (writer,) = resources(environment, "Authorization/roleDefinitions")
    ledger_writer = tuple(writer["properties"]["permissions"][0]["dataActions"])
    found = []
    for each in resources(environment, "Authorization/roleAssignments"):
        properties = each["properties"]
        who = re.search(r"outputs\.(app|keeper)\.value", properties["principalId"])
        if who is None:
            continue  # people and the pipeline
        role = properties["roleDefinitionId"].rpartition("/")[2]
        is_own = "outputs.id.value" in role
        found.append(
            Assignment(
                who[1],
                each["id"].partition("/providers/Microsoft.Authorization")[0],
                ledger_writer if is_own else tuple(ROLES[role]),
            )
        )
    return found


def _scopes(assignments: list[Assignment], need: Need) -> set[str]:
    return {each.scope for each in assignments if re.search(need.scope, each.scope)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("need", NEEDS, ids=lambda need: f"{need.who} {need.scope}")
def test_exactly_one_role_allows_each_call(environment: str, need: Need) -> None:
    assignments = _assignments(environment)
    scopes = _scopes(assignments, need)

    assert scopes
    for scope in scopes:
        for action in need.actions:
            allowing = [a for a in assignments if a.scope == scope and a.allows(need, action)]
            assert len(allowing) == 1, (scope, action)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_role_is_held_without_a_call_that_needs_it(environment: str) -> None:
    idle = [
        each
        for each in _assignments(environment)
        if not any(each.allows(need, action) for need in NEEDS for action in need.actions)
    ]

    assert idle == []


def test_the_code_makes_these_calls_and_no_others() -> None:
    """A call that is gone leaves a role idle; a new client needs one."""
    texts = {path: path.read_text("utf-8") for path in (ROOT / "shared").rglob("*.py")}
    gone = [pattern for pattern in CALLS if not any(re.search(pattern, t) for t in texts.values())]
    clients = {
        f"{node.module}.{name.name}"
        for text in texts.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("azure.")
        for name in node.names
        if name.name.endswith(("Client", "Sender", "Receiver"))
    }

    assert (gone, clients) == ([], CLIENTS)


def test_every_method_of_the_sdks_that_is_called_is_known() -> None:
    """One more may need one more role."""
    methods = {
        method
        for client in CLIENTS
        for method in dir(pydoc.locate(client))
        if not method.startswith("_")
    }
    texts = (path.read_text("utf-8") for path in (ROOT / "shared").rglob("*.py"))
    called = {
        node.func.attr
        for text in texts
        if "from azure." in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }

    assert called & methods == REQUESTED | UNASKED | REFUSED


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_app_can_not_drop_a_table_nor_touch_the_proof(environment: str) -> None:
    (writer,) = resources(environment, "Authorization/roleDefinitions")
    (permissions,) = writer["properties"]["permissions"]
    app = [each for each in _assignments(environment) if each.who == "app"]

    assert permissions["actions"] == []
    assert all("/entities/" in action for action in permissions["dataActions"])
    assert not [each for each in app if "pmproof" in each.scope]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_people_may_read_and_the_pipeline_may_deploy_code(environment: str) -> None:
    """Nobody but the app writes a ledger; the finance group and the pipeline are a choice."""
    held = {
        (
            re.sub(r".*?(\w+)/[^/]+$", r"\1", each["id"].partition("/providers/Microsoft.Auth")[0]),
            each["properties"]["roleDefinitionId"].rpartition("/")[2],
        )
        for each in resources(environment, "Authorization/roleAssignments")
        if not re.search(r"outputs\.(app|keeper)\.value", each["properties"]["principalId"])
    }
    read_ledger = ("tables", "76199698-9eea-4c19-bc75-cec21354c6b6")
    read_logs = ("workspaces", "43d0d8ad-25c7-4714-9337-8ba259a9fe05")
    open_workbook = ("workbooks", "b279062a-9be3-42a0-92ae-8b3cf002ec4d")
    deploy_code = ("sites", "de139f84-1756-47ae-9be6-808fbbe84772")
    read_plan = ("serverfarms", "acdd72a7-3385-48ef-bd42-f606fba81ae7")

    read = {
        each["id"].partition("/providers/Microsoft.Auth")[0].rpartition("/")[2]
        for each in resources(environment, "Authorization/roleAssignments")
        if "/tables/" in each["id"]
    }

    assert read == ({"ledger"} if environment == "prod" else set())
    given = {read_ledger, read_logs, open_workbook, deploy_code, read_plan}
    assert held == (given if environment == "prod" else set())
