"""No keys, nothing public, TLS, locks, zones, and no secret in any property or output."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.infra.bicep import (
    ENVIRONMENTS,
    ROOT,
    resources,
    snapshot,
)

SECRET = re.compile(
    r"AccountKey|SharedAccess(Key|Signature)|listKeys|listAccountSas|listSecrets|"
    r"InstrumentationKey=|whsec_|-----BEGIN|[?&]sig=|password\s*=",
    re.IGNORECASE,
)


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner)
    else:
        yield str(value)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_storage_has_no_keys_and_nothing_public(environment: str) -> None:
    for account in resources(environment, "Storage/storageAccounts"):
        properties = account["properties"]
        assert properties["allowSharedKeyAccess"] is False
        assert properties["allowBlobPublicAccess"] is False
        assert properties["allowCrossTenantReplication"] is False
        assert properties["minimumTlsVersion"] == "TLS1_2"
        assert properties["supportsHttpsTrafficOnly"] is True
        assert properties["encryption"]["requireInfrastructureEncryption"] is True
    for container in resources(environment, "Storage/storageAccounts/blobServices/containers"):
        assert container["properties"]["publicAccess"] == "None"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_else_lets_anybody_in_by_a_key(environment: str) -> None:
    (namespace,) = resources(environment, "ServiceBus/namespaces")
    (insights,) = resources(environment, "Insights/components")
    (workspace,) = resources(environment, "OperationalInsights/workspaces")
    (vault,) = resources(environment, "KeyVault/vaults")
    policies = resources(environment, "Web/sites/basicPublishingCredentialsPolicies")

    assert namespace["properties"]["disableLocalAuth"] is True
    assert namespace["properties"]["minimumTlsVersion"] == "1.2"
    assert insights["properties"]["DisableLocalAuth"] is True
    assert workspace["properties"]["features"]["disableLocalAuth"] is True
    assert vault["properties"]["enableRbacAuthorization"] is True
    # Can't be turned off again: a trial must be able to go.
    assert vault["properties"].get("enablePurgeProtection") is (environment == "prod" or None)
    assert [policy["properties"] for policy in policies] == [{"allow": False}] * 2


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_app_speaks_https_only(environment: str) -> None:
    (site,) = resources(environment, "Web/sites")

    assert site["properties"]["httpsOnly"] is True
    assert site["properties"]["siteConfig"]["minTlsVersion"] == "1.2"
    assert site["properties"]["functionAppConfig"]["siteUpdateStrategy"] == {
        "type": "RollingUpdate" if environment == "prod" else "Recreate"
    }


def test_a_private_deployment_has_no_public_store() -> None:
    for kind in ("Storage/storageAccounts", "KeyVault/vaults", "ServiceBus/namespaces"):
        for store in resources("prod", kind):
            assert store["properties"]["publicNetworkAccess"] == "Disabled", store["name"]
            endpoints = [
                each
                for each in resources("prod", "Network/privateEndpoints")
                if each["name"].startswith(store["name"] + "-")
            ]
            assert len(endpoints) == 1, store["name"]
    (site,) = resources("prod", "Web/sites")
    assert "appSubnetId" in site["properties"]["virtualNetworkSubnetId"]


@pytest.mark.parametrize("environment", ["dev", "main"])
def test_without_the_parameter_there_is_no_network(environment: str) -> None:
    assert [e for e in snapshot(environment) if e["type"].startswith("Microsoft.Network/")] == []


def test_ledger_and_proof_are_locked_and_live_apart() -> None:
    """Ledgers in three zones and a second region, proof in another account in another region."""
    accounts = {each["name"]: each for each in resources("prod", "Storage/storageAccounts")}
    locked = {each["id"].split("/")[8] for each in resources("prod", "Authorization/locks")}
    levels = {each["properties"]["level"] for each in resources("prod", "Authorization/locks")}
    ledgers = sorted(name for name in accounts if name.startswith("pmledger"))
    (proof,) = (name for name in accounts if name.startswith("pmproof"))
    (host,) = (name for name in accounts if name.startswith("pmhost"))

    assert len(ledgers) == 3
    assert (locked, levels) == ({*ledgers, proof}, {"CanNotDelete"})
    assert {accounts[name]["sku"]["name"] for name in ledgers} == {"Standard_GZRS"}
    assert {accounts[name]["sku"]["name"] for name in (proof, host)} == {"Standard_ZRS"}
    assert accounts[proof]["location"] != accounts[ledgers[0]]["location"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_copy_is_in_three_zones(environment: str) -> None:
    accounts = resources(environment, "Storage/storageAccounts")
    (plan,) = resources(environment, "Web/serverfarms")
    (site,) = resources(environment, "Web/sites")
    ready = site["properties"]["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"]

    assert all(each["sku"]["name"].endswith("ZRS") for each in accounts)
    assert plan["properties"]["zoneRedundant"] is (environment == "prod")
    if plan["properties"]["zoneRedundant"]:
        assert all(group["instanceCount"] >= 2 for group in ready)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_proof_can_not_be_changed_and_legs_are_kept_35_days(environment: str) -> None:
    kind = "Storage/storageAccounts/blobServices/containers/immutabilityPolicies"
    days = {
        each["name"].split("/")[2]: each["properties"]["immutabilityPeriodSinceCreationInDays"]
        for each in resources(environment, kind)
    }
    (policy,) = resources(environment, "Storage/storageAccounts/managementPolicies")
    (rule,) = policy["properties"]["policy"]["rules"]

    assert days["accepted-legs"] == 35
    assert days["anchors"] >= 1
    assert rule["definition"]["filters"]["prefixMatch"] == ["accepted-legs/"]
    assert rule["definition"]["actions"]["baseBlob"]["delete"] == {
        "daysAfterCreationGreaterThan": 35
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_who_touched_what_is_logged(environment: str) -> None:
    """Writes and deletions of ledgers and proof, the bus, the vault: kept in the workspace."""
    trails = resources(environment, "Insights/diagnosticSettings")
    watched = {trail["id"].split("/providers/")[1].split("/")[0] for trail in trails}
    stores = [trail for trail in trails if "/Microsoft.Storage/" in trail["id"]]
    accounts = {each["name"] for each in resources(environment, "Storage/storageAccounts")}

    assert watched == {"Microsoft.Storage", "Microsoft.ServiceBus", "Microsoft.KeyVault"}
    assert {trail["id"].split("/storageAccounts/")[1].split("/")[0] for trail in stores} == {
        name for name in accounts if not name.startswith("pmhost")
    }
    for trail in stores:
        logs = {log["category"]: log["enabled"] for log in trail["properties"]["logs"]}
        assert logs["StorageWrite"]
        assert logs["StorageDelete"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_resource_that_costs_is_tagged(environment: str) -> None:
    untagged = [
        each["name"]
        for each in snapshot(environment)
        if "location" in each and not {"costCenter", "owner"} <= set(each.get("tags", {}))
    ]

    assert untagged == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_property_holds_a_secret(environment: str) -> None:
    """Application Insights' connection string is an address: keys are switched off."""
    reported = [
        value
        for each in snapshot(environment)
        for value in _values(each.get("properties", {}))
        if SECRET.search(value)
    ]
    (config,) = resources(environment, "Web/sites/config")
    referring = {
        name
        for name, value in config["properties"].items()
        if "@Microsoft.KeyVault(SecretUri=" in value
    }

    assert reported == []
    assert referring == {
        name for name in config["properties"] if re.fullmatch(r"PERMINUTE_\w+_KEY", name, re.ASCII)
    }


def test_azd_finds_the_template_its_parameters_and_its_environment() -> None:
    """It searches for the module's own parameter file, sets two variables, and knows the resource
    group by its tag."""
    project = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
    infra = ROOT / project["infra"]["path"]
    parameters = (infra / f"{project['infra']['module']}.bicepparam").read_text("utf-8")
    (group,) = resources("main", "Resources/resourceGroups")

    assert project["infra"]["provider"] == "bicep"
    assert (infra / f"{project['infra']['module']}.bicep").exists()
    assert "readEnvironmentVariable('AZURE_ENV_NAME'" in parameters
    assert "readEnvironmentVariable('AZURE_LOCATION'" in parameters
    assert group["tags"]["azd-env-name"] == group["name"].removeprefix("perminute-")
