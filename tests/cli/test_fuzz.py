"""No command ends in a traceback, whatever its arguments are and whatever the server answers."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from perminute_cli.main import root
from tests.cli.fakes import Ran, Recorded, Terminal, problem

pytestmark = pytest.mark.extended
SEED = 16
ODD = (
    *("", " ", "-", "--", "0", "-1", "1e9", "9" * 20, "NaN", "2026-13-45", "2026-02-30"),
    *("yesterday", "2026-11-23T25:61:61Z", "0000-00", "\u0661\u0662", "\x1b[31m", "\x00"),
    *("a\nb", "\u202e", "../../etc/passwd", "%2e%2e", "a" * 3000, "{", "[]", "null"),
    *("\U0001f4a5", "nothing~nothing", "a=b=c", "+"),
)
FILE = "file.json"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write files under the names that they get: here, and nowhere else."""
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    Path(FILE).write_text("{}")


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    def below(group: click.Group, before: tuple[str, ...]) -> Iterator[Any]:
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            if isinstance(found, click.Group):
                yield from below(found, (*before, name))
            elif found is not None:
                yield (*before, name), found

    yield from below(root, ())


COMMANDS = dict(commands())


def arguments(
    command: click.Command, chance: random.Random, odd: float, *, yes: bool = True
) -> list[str]:
    """Values for the arguments and some options of a command; `odd` is the share of bad ones."""
    words: list[str] = []
    for each in command.params:
        is_option = isinstance(each, click.Option)
        if is_option and not each.required and chance.random() < 0.6:
            continue
        if is_option and each.name in {"key", "output", "url", "yes"}:
            continue
        if isinstance(each, click.Option) and (each.is_flag or each.count):
            words.append(each.opts[-1])
            continue
        value = chance.choice(ODD) if chance.random() < odd else _value(each, chance)
        words += [each.opts[-1], value] if is_option else [value]
    can_confirm = any(each.name == "yes" for each in command.params)
    return [*words, *(["--yes"] if yes and can_confirm else [])]


def _value(parameter: click.Parameter, chance: random.Random) -> str:
    if isinstance(parameter.type, click.Choice):
        return str(chance.choice(list(parameter.type.choices)))
    if isinstance(parameter.type, click.IntRange):
        return "1"
    if isinstance(parameter.type, click.Path):
        return FILE
    known = {
        "month": "2026-11",
        "since": "2026-11-01",
        "until": "2026-12-01",
        "amount": "12.50",
        "number": "+442079460123",
        "to": "+442079460123",
        "card": "default",
        "leg": "studio~9f2c-1",
    }
    return known.get(parameter.name or "", "contoso")


def in_two_lines(ran: Ran, command: object) -> None:
    assert "Traceback" not in ran.err, (command, ran.err)
    assert "The command line failed" not in ran.err, (command, ran.err)
    assert ran.code in {0, 1, 2}, (command, ran)
    if ran.code:
        assert ran.err, (command, ran)
    assert not {"\x1b", "\x00", "\u202e"} & set(ran.err), (command, ran.err)


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_odd_arguments_end_in_two_lines(name: tuple[str, ...]) -> None:
    chance = random.Random(f"{SEED}{name}")
    perminute = Terminal(httpx.MockTransport(Recorded()))
    for _ in range(6):
        stated = arguments(COMMANDS[name], chance, odd=0.5)
        in_two_lines(perminute(*name, *stated), (name, stated))


def _lost(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection reset")


def _down(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("Connection refused")


def _answer(content: bytes, kind: str = "application/json", status: int = 200) -> Any:
    return lambda _: httpx.Response(status, headers={"content-type": kind}, content=content)


def _refused(status: int, code: str) -> Any:
    return lambda _: problem(status, code, "No \x1b[31m\u202e.")


PROBLEM = "application/problem+json"
ANSWERS = {
    "down": _down,
    "lost": _lost,
    "cut": _answer(b'{"items": [{"id": "x'),
    "html": _answer(b"<html>a login page</html>", "text/html"),
    "html as JSON": _answer(b"<html>"),
    "empty": _answer(b""),
    "null": _answer(b"null"),
    "number": _answer(b"3"),
    "list": _answer(b"[1, [2], null]"),
    "object": _answer(b"{}"),
    "items": _answer(b'{"items": [1, null, "x"], "next": 3}'),
    "nulls": _answer(json.dumps({"items": [{}], "total": None, "status": None}).encode()),
    "latin": _answer(b'{"items": "\xe9"}'),
    "deep": _answer(b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "401": _refused(401, "not_authenticated"),
    "403": _refused(403, "role_missing"),
    "409": _refused(409, "too_many_lots"),
    "412": _refused(412, "etag_mismatch"),
    "422": _refused(422, "query_invalid"),
    "429": _refused(429, "rate_limited"),
    "500": _refused(500, "internal_error"),
    "503": _refused(503, "unavailable"),
    "problem of nulls": _answer(b'{"detail": null, "errors": null}', PROBLEM, 422),
    "problem as list": _answer(b"[]", PROBLEM, 422),
    "302": _answer(b"", "text/html", 302),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_answer_of_a_server_ends_in_a_traceback(answer: str) -> None:
    perminute = Terminal(httpx.MockTransport(ANSWERS[answer]))
    for name, command in COMMANDS.items():
        stated = arguments(command, random.Random(f"{SEED}{name}"), odd=0)
        in_two_lines(perminute(*name, *stated), (name, stated))
