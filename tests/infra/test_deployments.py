"""A second deployment of the same file changes nothing, one after the lock of the anchors leaves
their policy alone, and names are checked before anything is deployed."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep import (
    COMPILER_SECONDS_MAX,
    INFRA,
    NO_COMPILER,
    SNAPSHOT,
    TEST_SECONDS_MAX,
    VARIABLES,
    compiler,
)

pytestmark = [
    pytest.mark.extended,
    pytest.mark.skipif(compiler() is None, reason=NO_COMPILER),
    pytest.mark.timeout(TEST_SECONDS_MAX),
]


def _bicep(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [compiler() or "bicep", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            **VARIABLES,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=COMPILER_SECONDS_MAX,
        check=False,
    )


def _deployed(tmp_path: Path, environment: str, **variables: str) -> dict[str, Any]:
    """The resources by their ids."""
    folder = tmp_path / "infra"
    shutil.copytree(INFRA, folder)
    parameters = f"{environment}.bicepparam"
    done = _bicep(folder, "snapshot", parameters, "--mode", "overwrite", *SNAPSHOT, **variables)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / f"{environment}.snapshot.json").read_text("utf-8"))
    return {each["id"]: each for each in found["predictedResources"]}


def _golden(environment: str) -> dict[str, Any]:
    found = json.loads((INFRA / f"{environment}.snapshot.json").read_text("utf-8"))
    return {each["id"]: each for each in found["predictedResources"]}


def test_a_second_deployment_is_the_same(tmp_path: Path) -> None:
    assert _deployed(tmp_path, "prod") == _golden("prod")


def test_a_deployment_after_the_lock_differs_in_the_policy_alone(tmp_path: Path) -> None:
    """Azure refuses every write of a locked policy; what is left out of a template stays."""
    first = _golden("prod")
    later = _deployed(tmp_path, "prod", PERMINUTE_ANCHORS_LOCKED="true")
    (gone,) = set(first) - set(later)

    assert gone.endswith("/containers/anchors/immutabilityPolicies/default")
    assert later == {name: each for name, each in first.items() if name != gone}


def test_the_one_who_runs_azd_may_put_secrets_in(tmp_path: Path) -> None:
    person = "00000000-0000-0000-0000-00000000000a"
    deployed = _deployed(tmp_path, "main", AZURE_PRINCIPAL_ID=person)
    (added,) = (each for name, each in deployed.items() if name not in _golden("main"))

    assert added["properties"]["principalId"] == person
    assert added["properties"]["principalType"] == "User"
    assert added["properties"]["roleDefinitionId"].endswith("b86a8fe4-44ce-4948-aee5-eccb2c155cd7")


def test_an_environment_that_keeps_its_data_is_locked(tmp_path: Path) -> None:
    deployed = _deployed(tmp_path, "main", PERMINUTE_LOCK_DATA="true").values()
    kinds = [each["type"] for each in deployed]
    (vault,) = (each for each in deployed if each["type"] == "Microsoft.KeyVault/vaults")

    assert kinds.count("Microsoft.Authorization/locks") == 2
    assert vault["properties"]["enablePurgeProtection"] is True


@pytest.mark.parametrize(
    ("environment", "variables", "reported"),
    [
        ("main", {"AZURE_ENV_NAME": "a_b"}, "2 to 12 of a-z"),
        ("main", {"AZURE_ENV_NAME": "Try"}, "2 to 12 of a-z"),
        ("main", {"AZURE_ENV_NAME": "much-too-long-a-name"}, "2 to 12 of a-z"),
        ("main", {"PERMINUTE_ALERT_EMAILS": "nobody"}, "e-mail addresses"),
        ("prod", {"PERMINUTE_ALERT_EMAILS": ""}, "e-mail addresses"),
    ],
)
def test_a_wrong_name_ends_before_anything_is_deployed(
    environment: str, variables: dict[str, str], reported: str
) -> None:
    done = _bicep(INFRA, "build-params", f"{environment}.bicepparam", "--stdout", **variables)

    assert done.returncode == 1
    assert reported in done.stderr
