"""`azd up` and `azd down`: azure.yaml follows azd's schema, and every hook is run against
stand-ins that record its calls."""

import base64
import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from jsonschema import Draft201909Validator

from tests.infra.bicep import ROOT
from tests.support.recording_az import FORBIDDEN, NO_SECRET, RecordingAz, Reply

HOOKS = ROOT / "infra" / "tools" / "azd"
# The parts that azure.yaml uses, closed; in CI also azd's own file at the commit named there.
SCHEMAS = [ROOT / "tests" / "infra" / "azd_schema.json"]
if "AZD_SCHEMA" in os.environ:
    SCHEMAS.append(Path(os.environ["AZD_SCHEMA"]))
PROJECT = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
OUTPUTS = {
    "AZURE_RESOURCE_GROUP": "perminute-try",
    "FUNCTION_APP_NAME": "perminute-try-api",
    "KEY_VAULT_NAME": "pmvault",
    "PROOF_STORAGE_NAME": "pmproof",
    "PERMINUTE_PAUSE_SECONDS": "0",
    "PERMINUTE_TRIES": "4",
}
RESOLVED = (r"^az rest --method get", [Reply()])
SITE = (r"^az functionapp show", [Reply("/subscriptions/0/site\n")])


@pytest.fixture
def az(tmp_path: Path) -> RecordingAz:
    return RecordingAz(tmp_path / "bin", [SITE, RESOLVED], OUTPUTS)


def _errors(schema: Path, project: Any) -> list[Any]:
    return list(Draft201909Validator(json.loads(schema.read_text("utf-8"))).iter_errors(project))


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
def test_the_project_follows_the_schema(schema: Path) -> None:
    assert _errors(schema, PROJECT) == []


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", "Perminute"),
        ("requiredVersions.az", ">= 2"),
        ("services.api.host", None),
        ("services.api.project", None),
        ("services.api.env", {"A": "b"}),
        ("services.api.remoteBuild", "no"),
        ("hooks.postprovisioned", {"run": "true"}),
        ("hooks.predeploy.shell", "bash"),
        ("hooks.predeploy.run", None),
        ("workflows.up.steps", []),
        ("workflows.down", {"steps": [{"azd": "down"}]}),
    ],
)
def test_a_project_that_azd_would_refuse_is_refused(schema: Path, place: str, value: Any) -> None:
    """A value of None takes the property away."""
    project = copy.deepcopy(PROJECT)
    *path, name = place.split(".")
    parent = project
    for part in path:
        parent = parent[part]
    parent[name] = value
    if value is None:
        del parent[name]

    assert _errors(schema, project) != []


def test_the_pipeline_fetches_the_schema_of_the_same_commit() -> None:
    commit = re.compile(r"azure-dev/(?:blob/)?([0-9a-f]{40})/")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")

    assert commit.findall(workflow) == commit.findall(SCHEMAS[0].read_text("utf-8"))


def test_the_package_is_deployed_as_it_is() -> None:
    (service,) = PROJECT["services"].values()
    steps = [step["azd"] for step in PROJECT["workflows"]["up"]["steps"]]

    assert service["remoteBuild"] is False
    assert service["resourceName"] == "${FUNCTION_APP_NAME}"
    assert steps == ["provision", "deploy api --from-package build/package/perminute.zip"]
    assert PROJECT["hooks"]["predeploy"]["run"] == "make package"


def test_every_hook_is_a_sound_script() -> None:
    named = {hook["run"] for hook in PROJECT["hooks"].values()} - {"make package"}

    assert {str(path.relative_to(ROOT)) for path in HOOKS.glob("*.sh")} == named
    for path in HOOKS.glob("*.sh"):
        assert path.stat().st_mode & 0o100, path
        assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
        assert "set -eu" in path.read_text("utf-8")


def test_secrets_are_made_once_the_role_has_arrived(az: RecordingAz) -> None:
    """403 for a while, then not found, then made: each of 32 bytes, without a newline."""
    az.replan([(r"secret show .*chain-key", [FORBIDDEN, FORBIDDEN, NO_SECRET]),
               (r"secret show", [NO_SECRET]), SITE, RESOLVED])  # fmt: skip
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 0, done.stderr
    made = {re.search(r"--name (\S+)", call)[1]: content for call, content in az.contents.items()}  # type: ignore[index]
    assert set(made) == {
        *("chain-key", "archive-key", "secrets-key", "proof-key", "bootstrap-admin-key")
    }
    assert all(len(base64.b64decode(value, validate=True)) == 32 for value in made.values())
    assert len(set(made.values())) == 5
    assert len(az.fitting(r"secret show .*chain-key")) == 3
    assert not any(value in done.stdout + done.stderr for value in made.values())
    refresh = "/subscriptions/0/site/config/configreferences/appsettings/refresh?api-version="
    assert len(az.fitting(re.escape(refresh))) == 1


def test_a_second_run_overwrites_nothing(az: RecordingAz) -> None:
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 0, done.stderr
    assert az.fitting("secret set") == []
    assert done.stdout.count("kept") == 5


def test_a_deleted_secret_is_recovered_not_made_again(az: RecordingAz) -> None:
    gone = Reply(err="ERROR: (Conflict) ObjectIsDeletedButRecoverable", code=1)
    az.replan([(r"secret show .*chain-key", [NO_SECRET]), (r"secret set", [gone]), SITE, RESOLVED])
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 0, done.stderr
    assert len(az.fitting(r"secret recover .*chain-key")) == 1


@pytest.mark.parametrize(
    "reported",
    [FORBIDDEN, Reply(err="ERROR: getaddrinfo failed", code=1)],
    ids=["refused", "away"],
)
def test_what_does_not_pass_stops_the_deployment(az: RecordingAz, reported: Reply) -> None:
    az.replan([(r"secret show", [reported])])
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 1
    assert "Key Vault Secrets Officer" in done.stderr
    assert az.fitting("secret set") == []


def test_a_reference_that_is_not_resolved_is_named(az: RecordingAz) -> None:
    az.replan([SITE, (r"^az rest --method get", [Reply("PERMINUTE_CHAIN_KEY\n")])])
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 1
    assert "PERMINUTE_CHAIN_KEY" in done.stderr


@pytest.fixture
def deployment() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """An app that is healthy at the second request, and makes keys."""
    requests: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(("GET", self.path, b""))
            self._reply(200 if len(requests) > 1 else 503, {"status": "ok"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            requests.append((self.headers["authorization"], self.path, body))
            self._reply(201, {"id": "1", "name": "x", "key": "pm_a-new-key"})

        def _reply(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", requests
    server.shutdown()
    server.server_close()


def test_the_first_administrator_is_made_once_and_never_printed(
    az: RecordingAz, deployment: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    url, requests = deployment
    az.replan([(r"secret show .*first-admin-key --query id", [NO_SECRET, Reply()]),
               (r"bootstrap-admin-key --query value", [Reply("the-bootstrap-key\n")])])  # fmt: skip
    first = az.run(HOOKS / "first_administrator.sh", PERMINUTE_URL=url)
    again = az.run(HOOKS / "first_administrator.sh", PERMINUTE_URL=url)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    (made,) = (each for each in requests if each[0] != "GET")
    assert made[:2] == ("Bearer the-bootstrap-key", "/api/v1/api-keys")
    assert json.loads(made[2])["roles"] == ["admin"]
    assert list(az.contents.values()) == ["pm_a-new-key"]
    assert az.fitting("^azd env set PERMINUTE_BOOTSTRAP_ADMIN false")
    for text in (first.stdout, again.stdout):
        assert f"console  {url}/console/" in text
        assert text.count("\n  perminute ") + text.count("\n  azd ") == 3
        assert "pm_a-new-key" not in text
        assert "the-bootstrap-key" not in text


def test_an_app_that_does_not_come_up_ends_with_the_runbook(az: RecordingAz) -> None:
    done = az.run(HOOKS / "first_administrator.sh", PERMINUTE_URL="http://127.0.0.1:9")

    assert done.returncode == 1
    assert "docs/operations.md#health" in done.stderr


UNLOCKED = (r"immutability-policy show", [Reply('Unlocked\n"an-etag"\n')])


def test_a_trial_states_what_goes_and_gives_its_containers_free(az: RecordingAz) -> None:
    az.replan([UNLOCKED])
    done = az.run(HOOKS / "before_down.sh")

    assert done.returncode == 0, done.stderr
    assert "every ledger" in done.stdout
    deleted = az.fitting("immutability-policy delete")
    assert [re.search(r"--container-name (\S+)", call)[1] for call in deleted] == [  # type: ignore[index]
        "anchors",
        "accepted-legs",
    ]
    assert all('--if-match "an-etag"' in call for call in deleted)


@pytest.mark.parametrize(
    ("plan", "variables"),
    [
        ([UNLOCKED], {"PERMINUTE_LOCK_DATA": "true"}),
        ([(r"lock list", [Reply("stays\n")]), UNLOCKED], {}),
        ([(r"immutability-policy show", [Reply('Locked\n"x"\n')])], {}),
    ],
    ids=["the parameter", "a lock", "a locked policy"],
)
def test_what_is_meant_to_stay_stays(
    az: RecordingAz, plan: list[tuple[str, list[Reply]]], variables: dict[str, str]
) -> None:
    az.replan(plan)
    done = az.run(HOOKS / "before_down.sh", **variables)

    assert done.returncode == 1
    assert "azd down is refused" in done.stderr
    assert az.fitting("delete") == []


@pytest.mark.extended
@pytest.mark.parametrize(
    ("script", "tool"),
    [
        *(("first_secrets", "az"), ("first_secrets", "openssl"), ("before_down", "az")),
        *(("first_administrator", "az"), ("first_administrator", "curl")),
    ],
)
def test_a_missing_tool_is_named_before_anything_is_called(
    az: RecordingAz, script: str, tool: str
) -> None:
    az.environment = {**OUTPUTS, "PERMINUTE_URL": "http://127.0.0.1:9"}
    done = az.run_without(tool, HOOKS / f"{script}.sh")

    assert done.returncode == 2
    assert done.stderr.startswith(f"{tool} is missing")
    assert az.calls == []


@pytest.mark.extended
def test_a_key_that_is_none_is_never_stored(az: RecordingAz, tmp_path: Path) -> None:
    """An openssl that fails prints nothing, and the pipe hides its exit code."""
    broken = az.folder / "openssl"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    az.replan([(r"secret show", [NO_SECRET]), SITE, RESOLVED])
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 1
    assert "no key of 32 bytes" in done.stderr
    assert az.fitting("secret set") == []


@pytest.mark.extended
def test_carriage_returns_and_warnings_are_no_part_of_an_id(az: RecordingAz) -> None:
    az.replan([(r"^az functionapp show", [Reply("WARNING: x\r\n/subscriptions/0/site\r\n")]),
               (r"^az rest --method get", [Reply("\r\n")])])  # fmt: skip
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 0, done.stderr
    (refreshed,) = az.fitting("--method post")
    assert "azure.com/subscriptions/0/site/config/" in refreshed


@pytest.mark.extended
def test_an_app_without_an_id_ends_the_script(az: RecordingAz) -> None:
    az.replan([(r"^az functionapp show", [Reply("nothing\n")])])
    done = az.run(HOOKS / "first_secrets.sh")

    assert done.returncode == 1
    assert "no id of perminute-try-api" in done.stderr
    assert az.fitting("^az rest") == []


@pytest.mark.extended
def test_paths_with_spaces_are_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "my tools"
    folder.mkdir()
    temporary = tmp_path / "my files"
    temporary.mkdir()
    copy_of = tmp_path / "my checkout"
    for name in ("shell.sh", "azd/first_secrets.sh"):
        target = copy_of / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((ROOT / "infra" / "tools" / name).read_text("utf-8"))
    az = RecordingAz(folder / "bin", [(r"secret show", [NO_SECRET]), SITE, RESOLVED], OUTPUTS)
    done = az.run("sh", copy_of / "azd" / "first_secrets.sh", TMPDIR=str(temporary))

    assert done.returncode == 0, done.stderr
    assert len(az.contents) == 5
    assert list(temporary.iterdir()) == []


@pytest.mark.extended
def test_a_first_administrator_whose_name_was_deleted_is_recovered_and_stored(
    az: RecordingAz, deployment: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    gone = Reply(err="ERROR: (Conflict) ObjectIsDeletedButRecoverable", code=1)
    waiting = Reply(err="ERROR: (Conflict) ObjectIsBeingRecovered", code=1)
    url, requests = deployment
    bootstrap = Reply("the-bootstrap-key\r\n")
    az.replan([(r"secret show .*first-admin-key --query id", [NO_SECRET]),
               (r"secret set", [gone, waiting, Reply()]),
               (r"bootstrap-admin-key --query value", [bootstrap])])  # fmt: skip
    done = az.run(HOOKS / "first_administrator.sh", PERMINUTE_URL=f"{url}/")

    assert done.returncode == 0, done.stderr
    assert len(az.fitting("secret recover")) == 1
    assert len([each for each in requests if each[0] == "Bearer the-bootstrap-key"]) == 1
    assert f"console  {url}/console/" in done.stdout


@pytest.mark.extended
def test_a_key_that_can_not_be_stored_is_reported(
    az: RecordingAz, deployment: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    url, _ = deployment
    az.replan([(r"secret show .*first-admin-key --query id", [NO_SECRET]),
               (r"secret set", [Reply(err="ERROR: getaddrinfo failed", code=1)]),
               (r"bootstrap-admin-key --query value", [Reply("the-bootstrap-key\n")])])  # fmt: skip
    done = az.run(HOOKS / "first_administrator.sh", PERMINUTE_URL=url)

    assert done.returncode == 1
    assert "was created but not stored" in done.stderr
    assert "pm_a-new-key" not in done.stdout + done.stderr


@pytest.mark.extended
def test_an_etag_with_a_carriage_return_is_sent_without_it(az: RecordingAz) -> None:
    az.replan([(r"immutability-policy show", [Reply('Unlocked\r\n"an-etag"\r\n')])])
    done = az.run(HOOKS / "before_down.sh")

    assert done.returncode == 0, done.stderr
    deleted = az.fitting("immutability-policy delete")
    assert all('--if-match "an-etag"' in call and "\r" not in call for call in deleted)
