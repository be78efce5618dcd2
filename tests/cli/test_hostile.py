"""Texts, servers and streams that mean harm; whatever comes, two lines and no traceback."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.cells import cell_len

from perminute_cli import terminal
from perminute_cli.commands.dial_out import CHECKS
from perminute_cli.connection import Connection, config_file, find, store_login
from perminute_cli.failures import Failure
from tests.cli.fakes import KEY, URL, Recorded, Terminal, problem

ARABIC = "مؤتمر " * 33
STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\b\u202egpj.exe\u2066"


def answering(document: object, status: int = 200) -> Terminal:
    return Terminal(httpx.MockTransport(lambda _: httpx.Response(status, json=document)))


def accounts(*names: str) -> dict[str, Any]:
    row = {"currency": "USD", "time_zone": "UTC", "rate_card": "default", "credit_limit": "0.00"}
    return {"items": [{**row, "id": f"a{n}", "name": name} for n, name in enumerate(names)]}


@pytest.mark.parametrize("columns", ["1", "20", "80", "140"])
def test_names_never_steer_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ran = answering(accounts(STEERING, ARABIC, "中" * 100, "e\u0301" * 50))("accounts")
    assert ran.code == 0
    for text in (ran.out, ran.err):
        assert not {"\x1b", "\x07", "\x9b", "\r", "\b", "\u202e", "\u2066"} & set(text)
    assert max(map(cell_len, ran.out.splitlines())) <= max(int(columns), 20)


def test_json_escapes_what_would_steer_and_keeps_the_value() -> None:
    ran = answering(accounts(STEERING))("accounts", "--json")
    assert not {"\x1b", "\x9b", "\u202e", "\u2066"} & set(ran.out)
    assert ran.json["items"][0]["name"] == STEERING


def test_colors_keep_the_columns_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "80")
    rows = [{"check": "balance", "outcome": each, "detail": "Enough."} for each in ("pass", "fail")]
    text, _ = terminal.table(rows, CHECKS)
    assert "\x1b[32mpass" in text
    title, _, *lines = re.sub("\x1b\\[[0-9]+m", "", text).splitlines()
    assert {line.index("Enough.") for line in lines} == {title.index("Detail")}
    monkeypatch.setenv("COLUMNS", "20")
    narrow = (terminal.text_column("Default account", "a", 1), terminal.money_column("B", "b"))
    text, _ = terminal.table([{"a": "x" * 30, "b": "1.00"}], narrow)
    lines = re.sub("\x1b\\[[0-9]+m", "", text).splitlines()
    assert max(map(cell_len, lines)) <= 20
    assert [line.split()[-1] for line in lines if line[19:].strip()] == ["B", "────", "1.00"]


def test_letters_from_right_to_left_are_isolated_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "40")
    columns = (terminal.text_column("Name", "name", 1), terminal.money_column("Amount", "amount"))
    text, _ = terminal.table([{"name": ARABIC.strip(), "amount": "1.00"}], columns)
    lines = [line for line in text.splitlines() if "م" in line]
    assert lines
    assert all(line.count("\u2068") == line.count("\u2069") == 1 for line in lines)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", b"<html>a login page</html>"),
        (200, "application/json", b"[1, 2]"),
        (200, "application/json", b'{"items": 3}'),
        (404, "text/html", b"<h1>Not found</h1>"),
        (302, "text/html", b""),
        (500, "text/plain", b"\x1b[31moops"),
        (502, "application/problem+json", b"{"),
        (401, "application/problem+json", b'{"detail": "No.", "errors": "x"}'),
    ],
)
def test_a_server_that_is_no_perminute_is_two_lines(status: int, kind: str, body: bytes) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-type": kind}, content=body)

    ran = Terminal(httpx.MockTransport(answer))("accounts")
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 2
    assert "\x1b" not in ran.err
    assert ran.out == ""


def test_an_address_that_no_one_serves_is_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    ran = Terminal(httpx.MockTransport(refuse))("accounts")
    assert ran.code == 1
    assert "can't be reached" in ran.err
    assert len(ran.err.splitlines()) == 2


def test_an_expired_key_states_login() -> None:
    server = Recorded(
        {"list_accounts": lambda _: problem(401, "not_authenticated", "Out of date.")}
    )
    ran = Terminal(httpx.MockTransport(server))("accounts")
    assert ran.code == 1
    assert "perminute login" in ran.err


def test_a_busy_server_is_waited_for_as_it_says() -> None:
    answers = [429, 503, 200]

    def answer(_: httpx.Request) -> httpx.Response:
        status = answers.pop(0)
        if status == 200:
            return httpx.Response(200, json=accounts("one"))
        busy = problem(status, "rate_limited", "Wait.")
        busy.headers["retry-after"] = "7"
        return busy

    perminute = Terminal(httpx.MockTransport(answer))
    assert perminute("accounts").code == 0
    assert perminute.slept == [7.0, 7.0]


@pytest.mark.parametrize(
    "url",
    ["", "calls.example.net", "ftp://x", "http://", "https://u:p@x", "http://calls.example.net",
     "https://x/?key=1", "http://[::1", "https://x:99999", "javascript:alert(1)"],
)  # fmt: skip
def test_no_key_is_sent_to_what_is_no_address_of_a_server(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERMINUTE_URL")
    with pytest.raises(Failure):
        find(url, KEY)


def test_a_stored_key_goes_to_its_own_server_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERMINUTE_KEY")
    store_login("https://calls.example.net", KEY)
    assert config_file().stat().st_mode & 0o777 == 0o600
    with pytest.raises(Failure, match="no key for"):
        find("https://other.example.net", None)
    assert find("https://calls.example.net/", None).key == KEY
    assert KEY not in repr(Connection(URL, KEY, "given"))


def test_login_reads_the_key_from_standard_input_and_never_prints_it() -> None:
    perminute = Terminal(httpx.MockTransport(Recorded()))
    ran = perminute("login", "--url", URL, stdin=f"{KEY}\n")
    assert ran.code == 0, ran.err
    assert KEY not in ran.out + ran.err
    assert json.loads(config_file().read_text())["key"] == KEY
    assert perminute("logout").out == "The login is removed.\n"
    assert not config_file().exists()


def test_login_takes_the_url_of_the_environment() -> None:
    store_login("https://calls.example.net", KEY)
    ran = Terminal(httpx.MockTransport(Recorded()))("login", stdin=f"{KEY}\n")
    assert ran.code == 0, ran.err
    assert json.loads(config_file().read_text())["url"] == URL


def test_a_key_that_is_refused_is_not_stored() -> None:
    server = Recorded({"get_caller": lambda _: problem(401, "not_authenticated", "No.")})
    ran = Terminal(httpx.MockTransport(server))("login", "--url", URL, stdin=f"{KEY}\n")
    assert ran.code == 1
    assert not config_file().exists()


@pytest.mark.parametrize("stdin", ["", "\n", "two words\n", "ключ\n"])
def test_what_is_no_key_is_a_usage_error(stdin: str) -> None:
    ran = Terminal(httpx.MockTransport(Recorded()))("login", "--url", URL, stdin=stdin)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 2


def test_ten_thousand_parked_legs_are_listed_in_part_and_swept_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = {"leg": "b~1", "bridge": "b", "reason": "rate_missing", "detail": "No rate.",
            "received_at": "2026-11-23T10:00:00Z", "original": {"to": "+442079460123"},
            "attempts": 1, "status": "open"}  # fmt: skip

    def page(request: httpx.Request) -> httpx.Response:
        if "summary" in request.url.params:
            return httpx.Response(
                200, json={"total": 10_000, "by_reason": {"rate_missing": 10_000}}
            )
        start = int(request.url.params.get("cursor", "0"))
        size = int(request.url.params["limit"])
        items = [{**item, "id": f"p{n}"} for n in range(start, min(start + size, 10_000))]
        more = {"next": str(start + size)} if start + size < 10_000 else {}
        return httpx.Response(200, json={"items": items, **more})

    def sweep(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        start = int(body.get("cursor", "0")) + body["limit"]
        more = {"next": str(start)} if start < 10_000 else {}
        return httpx.Response(200, json={"open": 0, "replayed": body["limit"], "items": [], **more})

    server = Recorded({"list_parked_legs": page, "replay_parked_legs": sweep})
    perminute = Terminal(httpx.MockTransport(server))
    listed = perminute("parked")
    assert listed.code == 0
    assert len(listed.out.splitlines()) == 102
    assert "The first 100 rows" in listed.err
    assert len(server.requests) == 1
    assert len(perminute("parked", "list", "--json").json["items"]) == 10_000
    swept = perminute("parked", "replay", "--reason", "rate_missing", "--yes")
    assert "10,000 open parked legs" in swept.err
    assert swept.out == "10,000 replayed\n"
    monkeypatch.setenv("PERMINUTE_ACCOUNT", "contoso")
    assert ", account contoso" in perminute("parked", "replay", "--all", "--yes").err
    assert json.loads(server.sent("replay_parked_legs")[-1].content)["account"] == "contoso"
    perminute("parked")
    assert server.requests[-1][1].url.params["account"] == "contoso"
    assert perminute("parked", "replay", "--yes").code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("usage", "--account", "contoso", "--group-by", "region"),
        ("statement", "--account", "contoso", "--month", "2026-11"),
        ("accounts", "show", "contoso"),
        ("status",),
    ],
    ids=" ".join,
)
def test_a_file_gets_all_that_is_printed(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    perminute = Terminal(httpx.MockTransport(Recorded()))
    printed = perminute(*command)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    written = perminute(*command, "--output", str(tmp_path / "link"))
    assert (written.code, written.out) == (printed.code, "")
    assert (tmp_path / "target").read_text() == printed.out
    assert (tmp_path / "link").is_symlink()
    assert perminute(*command, "--output", "/dev/null").code == printed.code
    assert Path("/dev/null").is_char_device()


def test_a_folder_that_is_missing_is_named_by_the_stated_path(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "file"
    ran = Terminal(httpx.MockTransport(Recorded()))("accounts", "--json", "--output", str(path))
    assert (ran.code, ran.err.splitlines()[0]) == (1, f"Error: No such file or directory {path}.")


def test_characters_that_two_chunks_share_are_shown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = "name,amount\r\nZoë \x1b[2J,1.00\r\n".encode()

    class Bytes(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from (content[at : at + 1] for at in range(len(content)))

    server = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-type": "text/csv"}, stream=Bytes())
    )
    monkeypatch.setattr("perminute_cli.app.is_terminal", lambda _: True)
    ran = Terminal(server)("accounts", "--csv")
    assert ran.out == "name,amount\nZoë \\x1b[2J,1.00\n"


def test_a_limit_above_a_page_cuts_the_csv() -> None:
    rows = "".join(f'{n},"two\n""lines"""\r\n' for n in range(3000))
    answers = [problem(429, "rate_limited", "Wait."), None]

    def answer(request: httpx.Request) -> httpx.Response:
        assert "limit" not in request.url.params
        busy = answers.pop(0)
        csv = httpx.Response(200, headers={"content-type": "text/csv"}, text=f"id,name\r\n{rows}")
        return busy or csv

    ran = Terminal(httpx.MockTransport(answer))("accounts", "--csv", "--limit", "2000")
    assert ran.code == 0, ran.err
    assert ran.out.count("\r\n") == 2001
    assert ran.out.endswith('1999,"two\n""lines"""\r\n')


def test_options_that_exclude_each_other_are_a_usage_error() -> None:
    perminute = Terminal(httpx.MockTransport(Recorded()))
    for command in (
        ("accounts", "--json", "--csv"),
        ("accounts", "--all", "--limit", "3"),
        ("cards", "list", "default", "--csv"),
        ("parked", "list", "--summary", "--csv"),
        ("calls", "--account", "contoso", "--conference", "3001", "--csv"),
    ):
        ran = perminute(*command)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 2), command


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "legs.csv"
    out.write_text("before")

    def answer(_: httpx.Request) -> httpx.Response:
        return problem(422, "result_too_large", "More than 100,000 rows.")

    perminute = Terminal(httpx.MockTransport(answer))
    command = ("legs", "--account", "contoso", "--csv", "--output", str(out))
    assert perminute(*command).code == 1
    assert out.read_text() == "before"
    assert list(tmp_path.glob(".legs*")) == []
    missing = perminute(*command[:-1], str(tmp_path / "nowhere" / "legs.csv"))
    assert missing.code == 1
    assert len(missing.err.splitlines()) == 2
