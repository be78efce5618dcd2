"""The local Functions host starts only what Azure would serve, and only the configured side."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.parts import LOOPBACK, free_port
from tests.integration.hosting import running_host, write_app

PAGE = """
@app.function_name("page")
@app.route(route="page", methods=["GET"])
async def page(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("page")
"""
TIMER = """
@app.function_name("watch")
@app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
async def watch(timer: func.TimerRequest) -> None:
    note(ran=True)
"""
QUEUE = """
@app.function_name("work")
@app.service_bus_queue_trigger(
    arg_name="messages", queue_name="q", connection="TheBus",
    cardinality=func.Cardinality.MANY{more},
)
async def work(messages{annotation}) -> None:
    pass
"""
LIST = ": typing.List[func.ServiceBusMessage]"


def _start(app: Path, port: int = 0, role: str = "all") -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "local.host", "--app", str(app), "--role", role),
        *("--port", str(port or free_port()), "--data", str(app / "timers")),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("", "no functions found"),
        ("import nothing_of_that_name\n" + PAGE, "nothing_of_that_name"),
        (PAGE + PAGE.replace("async def page", "async def again"), "unique function name"),
        (QUEUE.format(more="", annotation=": list[func.ServiceBusMessage]"), "annotation"),
        (QUEUE.format(more="", annotation=LIST), "BINARY"),
        (QUEUE.format(more=", data_type=func.DataType.BINARY", annotation=LIST), "TheBus"),
        (
            PAGE.replace("methods", "auth_level=func.AuthLevel.FUNCTION, methods"),
            "no function keys",
        ),
        (TIMER.replace("* * * * * *", "%NOT_SET_ANYWHERE%"), "NOT_SET_ANYWHERE"),
        (TIMER.replace("* * * * * *", "every day"), "six fields"),
    ],
)
def test_an_app_that_can_not_be_served_ends_the_host_with_a_sentence(
    tmp_path: Path, code: str, sentence: str
) -> None:
    """In Azure such an app shows no functions, or fails at its first call: better to stop here."""
    ended = _start(write_app(tmp_path, code))

    assert ended.returncode == 1
    assert "the host can't start: " in ended.stderr
    assert sentence in ended.stderr


def test_a_folder_without_an_app_ends_the_host(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')

    assert "no functions found" in _start(tmp_path).stderr


def test_a_host_json_that_is_wrong_ends_the_host(tmp_path: Path) -> None:
    app = write_app(tmp_path, PAGE, {"functionTimeout": "five minutes"})

    assert "'five minutes'" in _start(app).stderr


def test_a_port_that_is_taken_ends_the_host(tmp_path: Path) -> None:
    with socket.socket() as owner:
        owner.bind((LOOPBACK, 0))
        owner.listen()
        ended = _start(write_app(tmp_path, PAGE), owner.getsockname()[1])

    assert ended.returncode == 1


def test_the_http_side_runs_no_timers(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", PAGE + TIMER)
    with running_host(tmp_path, app, "http") as host:
        assert host.request("GET", "/api/page").body == b"page"
        assert host.notes() == []


def test_the_background_side_opens_no_port(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", PAGE + TIMER)
    with running_host(tmp_path, app, "background") as host, pytest.raises(ConnectionRefusedError):
        host.request("GET", "/api/page")


def test_a_setting_of_the_environment_wins_over_host_json(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", PAGE, {"extensions": {"http": {"routePrefix": "one"}}})
    settings = {"AzureFunctionsJobHost__extensions__http__routePrefix": "two"}
    with running_host(tmp_path, app, "http", settings) as host:
        assert host.request("GET", "/two/page").status == 200
        assert host.request("GET", "/one/page").status == 404
