"""The settings, names and numbers of infra/ are those of the code, its bindings and its docs."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest

from shared.domain.common import limits
from shared.settings import Settings
from tests.infra.bicep import ENVIRONMENTS, ROOT, resources

PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
MANIFEST: dict[str, list[dict[str, str]]] = json.loads(
    (ROOT / "tests" / "golden" / "binding_manifest.json").read_text("utf-8")
)
BINDINGS = [binding for bindings in MANIFEST.values() for binding in bindings]
# What the Functions host reads, and the code does not.
HOST_SETTINGS = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsDisableHomepage",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "ServiceBus__clientId",
    "ServiceBus__credential",
}
TELEMETRY_MODE = "AzureFunctionsJobHost__telemetryMode"
BOOTSTRAP = "PERMINUTE_BOOTSTRAP_ADMIN_KEY"
# Set where a deployment wants it: the first administrator, another telemetry, a mail server's word.
OPTIONAL = {BOOTSTRAP, TELEMETRY_MODE, "SMTP_PASSWORD"}


# What settings need to make sense; everything else may be missing.
NEEDED = {
    "ARCHIVE_ENDPOINT": "https://archive.example.test",
    "CALL_ENDED_LOCK_SECONDS": "300",
    "CALL_ENDED_QUEUE": "queue",
    "CREDIT_EVENTS_TOPIC": "topic",
    "PERMINUTE_CHAIN_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "PERMINUTE_ARCHIVE_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "SMTP_FROM": "perminute@example.test",
    "SMTP_HOST": "mail.example.test",
    "ServiceBus__fullyQualifiedNamespace": "bus.example.test",
    "TABLES_ENDPOINT": "https://tables.example.test",
}


class RecordingEnvironment(Mapping[str, str]):
    """An environment with the least, which records the names that are read."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return NEEDED[name]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _documented() -> dict[str, str]:
    """What docs/configuration.md says of each setting's value in Azure."""
    return {
        name: row.group(2)
        for row in re.finditer(r"^\| (`[^|]*`) \|[^|]*\|[^|]*\|([^|]*)\|$", PAGE, re.M)
        for name in re.findall(r"`(\w+)`", row.group(1))
    }


def _read_by_the_code() -> set[str]:
    """The names that `Settings` reads and bindings use, without what is for laptops only."""
    environment = RecordingEnvironment()
    Settings.from_environment(environment)
    named = {name for value in _texts() for name in re.findall("%([^%]+)%", value)}
    documented = _documented()
    return {
        name for name in environment.names | named if documented.get(name, "").strip() != "not set"
    }


def _texts() -> list[str]:
    return [value for binding in BINDINGS for value in binding.values() if isinstance(value, str)]


def _settings(environment: str) -> dict[str, str]:
    (config,) = resources(environment, "Web/sites/config")
    found: dict[str, str] = config["properties"]
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_setting_that_is_read_is_set_and_none_else(environment: str) -> None:
    assert set(_settings(environment)) - OPTIONAL == (
        HOST_SETTINGS | _read_by_the_code() - OPTIONAL
    )


def test_the_bootstrap_administrator_and_open_telemetry_are_a_choice() -> None:
    """On in dev, off in prod, by a parameter each."""
    assert {BOOTSTRAP, TELEMETRY_MODE} <= set(_settings("dev"))
    assert not {BOOTSTRAP, TELEMETRY_MODE} & set(_settings("prod"))
    assert _settings("dev")[TELEMETRY_MODE] == "OpenTelemetry"


def test_the_environment_is_read_in_one_place() -> None:
    """A setting that is read elsewhere would be missing here."""
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("functions", "shared")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text("utf-8"))
    ]

    assert readers == ["shared/settings.py"]


def test_every_setting_is_explained() -> None:
    environment = RecordingEnvironment()
    Settings.from_environment(environment)

    assert sorted((environment.names | _read_by_the_code()) - set(_documented())) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_queue_and_topic_are_those_of_the_settings(environment: str) -> None:
    settings = _settings(environment)
    (queue,) = resources(environment, "ServiceBus/namespaces/queues")
    (topic,) = resources(environment, "ServiceBus/namespaces/topics")
    triggers = [each for each in BINDINGS if each["type"] == "serviceBusTrigger"]

    queues = {each["queueName"] for each in triggers if "queueName" in each}
    assert queues == {"%CALL_ENDED_QUEUE%"}
    received = {
        f"{topic['name']}/{each['subscriptionName']}"
        for each in triggers
        if each.get("topicName") == "%CREDIT_EVENTS_TOPIC%"
    }
    kept = resources(environment, "ServiceBus/namespaces/topics/subscriptions")
    assert received <= {each["name"] for each in kept}
    assert queue["name"].endswith("/" + settings["CALL_ENDED_QUEUE"])
    assert topic["name"].endswith("/" + settings["CREDIT_EVENTS_TOPIC"])
    assert {f"{each['connection']}__fullyQualifiedNamespace" for each in triggers} <= set(settings)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_lock_setting_is_that_of_the_queue(environment: str) -> None:
    """A batch works for half the lock, and functions are stopped before the lock ends."""
    (queue,) = resources(environment, "ServiceBus/namespaces/queues")
    lock_seconds = int(_settings(environment)["CALL_ENDED_LOCK_SECONDS"])
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))

    timeout_seconds = timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    least = re.search(
        r"@minValue\((\d+)\)\n@maxValue\(300\)\nparam lockSeconds",
        (ROOT / "infra" / "modules" / "call-ended-queue.bicep").read_text("utf-8"),
    )

    assert queue["properties"]["lockDuration"] == f"PT{lock_seconds}S"
    assert least
    assert timeout_seconds < int(least[1]) <= lock_seconds
    assert host["extensions"]["serviceBus"]["maxMessageBatchSize"] == limits.CALL_ENDED_BATCH_MAX


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_events_for_webhooks_are_locked_for_as_long_as_a_function_may_work(
    environment: str,
) -> None:
    kept = resources(environment, "ServiceBus/namespaces/topics/subscriptions")
    (webhooks,) = (each for each in kept if each["name"].endswith("/webhooks"))

    assert webhooks["properties"] == {
        "lockDuration": "PT5M",
        "maxDeliveryCount": 50,
        "deadLetteringOnMessageExpiration": True,
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_queue_keeps_what_it_takes(environment: str) -> None:
    """Repeated ids are dropped for an hour; what is too old or fails too often is kept aside."""
    (queue,) = resources(environment, "ServiceBus/namespaces/queues")

    assert queue["properties"] | {"lockDuration": ""} == {
        "lockDuration": "",
        "maxDeliveryCount": 50,
        "requiresDuplicateDetection": True,
        "duplicateDetectionHistoryTimeWindow": "PT1H",
        "defaultMessageTimeToLive": "P14D",
        "deadLetteringOnMessageExpiration": True,
        "requiresSession": False,
        "maxSizeInMegabytes": 5120,
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_timers_have_schedules_of_six_fields(environment: str) -> None:
    named = {each["schedule"].strip("%") for each in BINDINGS if each["type"] == "timerTrigger"}
    settings = _settings(environment)

    assert {name for name in settings if name.endswith("_SCHEDULE")} == named
    assert all(len(settings[name].split()) == 6 for name in named)


def _tables_in_code() -> set[str]:
    """What adapters call `TABLE` or `…_TABLE`."""
    return {
        node.value.value
        for path in (ROOT / "shared" / "adapters").rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and any(isinstance(name, ast.Name) and name.id.endswith("TABLE") for name in node.targets)
    }


def test_no_store_is_given_a_table_without_a_name_in_the_code() -> None:
    """It would be missing in Azure: what is not called `…TABLE` is not searched below."""
    texts = (path.read_text("utf-8") for path in (ROOT / "shared").rglob("*.py"))
    given = [
        ast.unparse(call)
        for text in texts
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call)
        and re.search(r"^Table(?!Missing)\w+$|\.(transact|scan|query)$", ast.unparse(call.func))
        and any(
            isinstance(each, ast.Constant) and isinstance(each.value, str) for each in call.args
        )
        and not ast.unparse(call.func).startswith(("call.", "self._call."))
    ]

    assert given == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_tables_of_the_code_are_made_and_none_else(environment: str) -> None:
    """The app may not make a table: docs/adr/0021."""
    made = resources(environment, "Storage/storageAccounts/tableServices/tables")
    shards: dict[str, set[str]] = {}
    for table in made:
        account, _, name = table["name"].split("/")
        shards.setdefault(account, set()).add(name)
    first, *others = (shards[account] for account in sorted(shards))

    assert first == _tables_in_code()
    assert all(tables == {"ledger", "holds"} for tables in others)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_scale_is_what_the_docs_name(environment: str) -> None:
    (site,) = resources(environment, "Web/sites")
    config = site["properties"]["functionAppConfig"]
    scale = config["scaleAndConcurrency"]
    concurrency = scale["triggers"]["http"]["perInstanceConcurrency"]

    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert (ROOT / ".python-version").read_text().strip() == "3.13"
    assert f"| `httpConcurrency` | {concurrency} |" in PAGE
    assert f"| `instanceMemoryMB` | {scale['instanceMemoryMB']:,} |" in PAGE
    assert concurrency <= limits.TABLE_CONNECTIONS_MAX
    groups = {each["name"] for each in scale["alwaysReady"]}
    assert groups <= {"http", *(f"function:{name}" for name in MANIFEST)}


def test_host_json_and_the_docs_name_the_same_numbers() -> None:
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    service_bus = host["extensions"]["serviceBus"]

    assert f"| `functionTimeout` | {host['functionTimeout']} |" in PAGE
    assert f"| `maxMessageBatchSize` | {service_bus['maxMessageBatchSize']} |" in PAGE
    assert f"| `prefetchCount` | {service_bus['prefetchCount']} |" in PAGE
