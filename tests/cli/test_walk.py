"""The walk through parked legs on a terminal, on the product in this process."""

from collections.abc import Iterator
from typing import Self

import pytest

from perminute_cli import terminal
from perminute_cli.commands import parked
from tests.cli.fakes import Ran, Terminal, product_transport
from tests.support.charging_app import LONDON, TOKYO, ChargingApp
from tests.support.product import ADMIN_KEY


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChargingApp]:
    monkeypatch.setenv("PERMINUTE_KEY", ADMIN_KEY)
    monkeypatch.setattr(parked, "is_terminal", lambda _: True)
    with ChargingApp() as made:
        made.settle("contoso")
        for seconds in (60, 120):
            made.parked(made.ended("contoso", TOKYO, talk_seconds=seconds))
        yield made


def walk(app: ChargingApp, *typed: str) -> Ran:
    lines = "".join(f"{line}\n" for line in typed)
    return Terminal(product_transport(app))("parked", stdin=lines)


def open_legs(app: ChargingApp) -> int:
    return int(app.get("/api/v1/parked-legs?summary=true&status=open").json["total"])


def test_a_leg_is_shown_corrected_replayed_and_its_charge_shown(app: ChargingApp) -> None:
    ran = walk(app, "f", "", LONDON, "q")
    assert ran.code == 0
    assert "rate_missing" in ran.out
    assert f"Field [to]: to, now {TOKYO}: " in ran.err
    assert "charged" in ran.out
    assert "Balance" in ran.out
    assert open_legs(app) == 1


def test_a_leg_is_dismissed_and_another_skipped(app: ChargingApp) -> None:
    ran = walk(app, "d", "A test call", "s")
    assert ran.code == 0
    assert open_legs(app) == 1


def test_what_can_not_be_charged_is_requested_again(app: ChargingApp) -> None:
    ran = walk(app, "r", "f", "to", "not a number", "x", "n")
    assert ran.code == 0
    assert ran.err.count("stays parked") == 2
    assert "Traceback" not in ran.err
    assert open_legs(app) == 2


def test_the_end_of_the_input_ends_the_walk(app: ChargingApp) -> None:
    assert walk(app).code == 0
    assert walk(app, "f").code == 0
    assert open_legs(app) == 2


def test_work_of_more_than_a_second_shows_progress_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []

    class Status:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, text: str) -> None:
            shown.append(text)

    class Console:
        def status(self, text: str) -> Status:
            shown.append(text)
            return Status()

    monkeypatch.setattr(terminal, "is_terminal", lambda _: True)
    monkeypatch.setattr(terminal, "PROGRESS_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(terminal, "error_console", Console)
    with terminal.progress("Reading") as report:
        report("7 rows")
        while "Reading: 7 rows" not in shown:
            pass
    assert shown
