"""The supervisor of the laptop stack: starts all, starts again what dies, leaves nothing behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.parts import LOOPBACK, StackError, free_port
from local.stack import ROOT, Stack, _kept_keys
from tests.integration.hosting import Host, eventually, write_app

APP = """
@app.function_name("bridge")
@app.route(route="v1/bridges/{bridge}", methods=["GET", "PUT"])
async def bridge(req: func.HttpRequest) -> func.HttpResponse:
    made = os.path.exists(os.environ["NOTES"])
    if req.method == "GET":
        return func.HttpResponse("", status_code=200 if made else 404)
    path, authorization = dict(req.route_params), req.headers["authorization"]
    note(bridge=req.get_json(), path=path, authorization=authorization)
    return func.HttpResponse("", status_code=201)

@app.function_name("settings")
@app.route(route="settings", methods=["GET"])
async def settings(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(dict(os.environ)))

@app.function_name("timer")
@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def timer(timer: func.TimerRequest) -> None:
    path = os.environ["NOTES"] + ".timer"
    with open(path + ".new", "w") as file:
        json.dump(dict(os.environ), file)
    os.replace(path + ".new", path)
"""
PARTS = ("http", "background", "bus", "azurite")
START_AGAIN_SECONDS_MAX = 3.0  # until it is started; when it serves depends on the machine's load


def _stack(folder: Path, **more: Any) -> Stack:
    app = write_app(folder / "app", APP)
    return Stack(folder / "data", app=app, settings={"NOTES": str(folder / "notes")}, **more)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return not _is_zombie(pid)
    return False


def _is_zombie(pid: int) -> bool:
    completed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return completed.stdout.startswith("Z")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with _stack(folder) as stack:
        yield stack


def _settings(stack: Stack) -> dict[str, str]:
    port = int(stack.base_url.rpartition(":")[2])
    host = Host(None, port, Path())  # type: ignore[arg-type]
    return host.request("GET", "/api/settings").json()


def test_everything_is_on_loopback_and_described(stack: Stack) -> None:
    reported = stack.describe()

    assert reported["base_url"].startswith(f"http://{LOOPBACK}:")
    assert reported["azurite_table_url"].startswith(f"http://{LOOPBACK}:")
    assert set(reported["processes"]) == set(PARTS)
    assert all(map(_is_alive, reported["processes"].values()))
    assert reported["bridge"]["name"] == "local"
    assert reported["bridge"]["secret"].startswith("whsec_")


def test_each_part_leads_a_process_group_of_its_own(stack: Stack) -> None:
    """Ctrl-C in a terminal reaches the supervisor alone."""
    assert all(os.getpgid(pid) == pid for pid in stack.pids.values())


def test_the_bridge_is_made_once_with_the_secret_that_is_shown(stack: Stack, folder: Path) -> None:
    (note,) = [json.loads(line) for line in (folder / "notes").read_text().splitlines()]

    assert note["path"] == {"bridge": "local"}
    assert note["authorization"] == f"Bearer {stack.admin_key}"
    assert note["bridge"] == {
        "dialect": "perminute",
        "auth": {"scheme": "standard-webhooks", "secrets": [stack.bridge_secret]},
        "accounts": ["*"],
    }


def test_batches_are_stopped_before_their_lock_ends_and_requests_are_not(
    stack: Stack, folder: Path
) -> None:
    timeout = "AzureFunctionsJobHost__functionTimeout"

    seen = eventually((folder / "notes.timer").exists) and (folder / "notes.timer").read_text()
    assert json.loads(seen)[timeout] == "00:00:25"
    assert timeout not in _settings(stack)


def test_functions_get_settings_that_reach_the_real_services(stack: Stack) -> None:
    settings = _settings(stack)

    with TableServiceClient.from_connection_string(settings["TABLES_CONNECTION_STRING"]) as tables:
        assert tables.create_table_if_not_exists("reached").table_name == "reached"
    with (
        ServiceBusClient.from_connection_string(settings["ServiceBus"]) as client,
        client.get_topic_sender(settings["CREDIT_EVENTS_TOPIC"]) as sender,
    ):
        sender.send_messages(ServiceBusMessage(b"reached"))
    assert settings["PERMINUTE_BOOTSTRAP_ADMIN_KEY"] == stack.admin_key
    assert settings["CALL_ENDED_LOCK_SECONDS"] == "30"


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_is_killed_serves_again_on_the_same_addresses(stack: Stack, name: str) -> None:
    before, changes = stack.describe(), []
    stack.on_change = lambda: changes.append(stack.describe())
    os.kill(stack.pids[name], signal.SIGKILL)

    eventually(lambda: stack.pids[name] != before["processes"][name], START_AGAIN_SECONDS_MAX)
    eventually(lambda: changes)
    stack.on_change = None
    after = stack.describe()

    assert {key: after[key] for key in after if key != "processes"} == {
        key: before[key] for key in before if key != "processes"
    }
    changed = {part for part in PARTS if after["processes"][part] != before["processes"][part]}
    assert changed == {name}
    assert changes[-1] == after
    _settings(stack)


def test_a_restart_on_request_returns_when_the_part_serves(stack: Stack) -> None:
    old = stack.pids["http"]
    stack.restart("http")

    assert stack.pids["http"] != old
    assert not _is_alive(old)
    _settings(stack)


def test_a_folder_serves_one_stack_at_a_time(stack: Stack, folder: Path) -> None:
    with pytest.raises(StackError, match="in use"):
        _stack(folder).start()
    assert all(map(_is_alive, stack.pids.values()))


@pytest.mark.extended
def test_the_next_run_finds_keys_rows_and_messages_again(tmp_path: Path) -> None:
    with _stack(tmp_path) as first:
        settings = _settings(first)
        with TableServiceClient.from_connection_string(
            settings["TABLES_CONNECTION_STRING"]
        ) as tables:
            table = tables.create_table("kept")
            table.create_entity({"PartitionKey": "p", "RowKey": "r"})
        with (
            ServiceBusClient.from_connection_string(settings["ServiceBus"]) as client,
            client.get_queue_sender("call-ended") as sender,
        ):
            sender.send_messages(ServiceBusMessage(b"kept"))
        pids = list(first.pids.values())
    assert not any(map(_is_alive, pids))

    with _stack(tmp_path) as second:
        settings = _settings(second)
        with TableServiceClient.from_connection_string(
            settings["TABLES_CONNECTION_STRING"]
        ) as tables:
            rows = list(tables.get_table_client("kept").list_entities())
        with (
            ServiceBusClient.from_connection_string(settings["ServiceBus"]) as client,
            client.get_queue_receiver("call-ended", max_wait_time=5) as receiver,
        ):
            bodies = [b"".join(m.body) for m in receiver.receive_messages(1, max_wait_time=5)]

    assert [row["RowKey"] for row in rows] == ["r"]
    assert bodies == [b"kept"]
    assert (second.admin_key, second.bridge_secret) == (first.admin_key, first.bridge_secret)
    pids = list(second.pids.values())
    assert not any(map(_is_alive, pids))


def test_a_folder_of_an_older_version_gets_the_keys_that_it_lacks(tmp_path: Path) -> None:
    """And keeps those that it has: what they sealed, hashed and signed stays good."""
    path = tmp_path / "secrets.json"
    old = {"admin_key": "a", "chain_key": "c", "bridge_secret": "b"}
    path.write_text(json.dumps(old))

    kept = _kept_keys(path)

    assert kept.items() > old.items()
    assert kept.keys() - old.keys() == {"proof_key", "secrets_key"}
    assert _kept_keys(path) == kept == json.loads(path.read_text())


@pytest.mark.extended
def test_a_start_that_fails_states_why_and_leaves_nothing(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "raise ValueError('this app is broken')")
    stack = Stack(tmp_path / "data", app=app)

    with pytest.raises(StackError, match="this app is broken"):
        stack.start()
    assert not any(map(_is_alive, stack.pids.values()))


def _command(folder: Path) -> tuple[str, dict[str, str]]:
    """Python code that does what `make run` does for an app of ours, and its environment."""
    write_app(folder / "app", APP)
    code = (
        "import sys; from pathlib import Path; from local.run import main; "
        f"sys.exit(main(Path('{folder}/run.json'), Path('{folder}/app')))"
    )
    environment = dict(os.environ, PORT="0", SEED="none", DATA=f"{folder}/data")
    return code, environment | {"NOTES": f"{folder}/notes", "PYTHONPATH": str(ROOT)}


def _run_command(folder: Path, **variables: str) -> subprocess.Popen[str]:
    code, environment = _command(folder)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run_json(folder: Path, other_than: dict[str, Any] | None = None) -> dict[str, Any]:
    """What run.json says as soon as it is there, and not what it said before."""

    def probe() -> dict[str, Any] | None:
        with contextlib.suppress(FileNotFoundError):
            reported = json.loads((folder / "run.json").read_text())
            return reported if reported != other_than else None
        return None

    reported = eventually(probe, 60)
    assert reported is not None
    return reported


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.extended)]
)
def test_make_run_serves_until_a_signal_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    with _run_command(tmp_path) as command:
        reported = _run_json(tmp_path)
        os.kill(reported["processes"]["background"], signal.SIGKILL)
        followed = _run_json(tmp_path, other_than=reported)
        assert followed["supervisor"] == reported["supervisor"] == command.pid
        os.kill(followed["supervisor"], number)

        assert command.wait(60) == 0
    assert not any(map(_is_alive, followed["processes"].values()))
    assert not (tmp_path / "run.json").exists()


@pytest.mark.extended
def test_parts_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    """No orphan keeps a port or a folder, so the next start finds both free."""
    with _run_command(tmp_path) as command:
        reported = _run_json(tmp_path)
        command.kill()
    eventually(lambda: not any(map(_is_alive, reported["processes"].values())))

    with _run_command(tmp_path) as command:
        _run_json(tmp_path, other_than=reported)
        command.terminate()
        assert command.wait(60) == 0


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [({"PORT": "http"}, "PORT is"), ({"SEED": "no"}, "SEED is"), ({"PORT": "TAKEN"}, "is in use")],
)
def test_make_run_refuses_what_it_can_not_do_with_a_sentence(
    tmp_path: Path, stack: Stack, variables: dict[str, str], sentence: str
) -> None:
    taken = stack.base_url.rpartition(":")[2]
    variables = {name: value.replace("TAKEN", taken) for name, value in variables.items()}
    with _run_command(tmp_path, **variables) as command:
        reported, _ = command.communicate(timeout=60)

    assert command.returncode == 1
    assert sentence in reported
    assert "Traceback" not in reported


@pytest.mark.extended
def test_a_second_make_run_that_is_refused_leaves_the_file_of_the_first(
    tmp_path: Path, stack: Stack
) -> None:
    """Port taken, DATA in use, a bad SEED, a bad PORT: run.json still names the stack that runs."""
    run_json = tmp_path / "run.json"
    text = json.dumps(stack.describe())
    run_json.write_text(text)
    taken = stack.base_url.rpartition(":")[2]
    for variables in (
        {"PORT": taken},
        {"DATA": str(stack.data)},
        {"SEED": "no"},
        {"PORT": "http"},
        {"PORT": "65536"},
    ):
        with _run_command(tmp_path, **variables) as command:
            reported, _ = command.communicate(timeout=60)

        assert command.returncode == 1, (variables, reported)
        assert run_json.read_text() == text, variables


def test_a_file_that_a_killed_stack_left_goes_away_at_the_next_start(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    reported = {"base_url": f"http://127.0.0.1:{free_port()}", "processes": {"http": gone.pid}}
    (tmp_path / "run.json").write_text(json.dumps(reported))
    (tmp_path / "run.env").write_text("export BASE=gone\n")
    data = tmp_path / "data"
    data.write_text("a file where the folder belongs")
    with _run_command(tmp_path) as command:
        command.communicate(timeout=60)

    assert command.returncode == 1
    assert not (tmp_path / "run.json").exists()
    assert not (tmp_path / "run.env").exists()


@pytest.mark.extended
def test_an_interrupt_that_reaches_make_alone_ends_the_stack(tmp_path: Path) -> None:
    """`kill -INT` and `timeout -s INT` signal make and not what it runs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    code, environment = _command(tmp_path)
    (tmp_path / "Makefile").write_text(f'run:\n\t@exec {sys.executable} -c "{code}"\n')
    with subprocess.Popen(["make", "-C", str(tmp_path), "run"], env=environment) as make:
        pids = _run_json(tmp_path)["processes"].values()
        make.send_signal(signal.SIGINT)
        make.wait(60)

    assert not any(map(_is_alive, pids))
