"""The walk through parked legs on a terminal, on the product in this process."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from perminute_cli import terminal
from perminute_cli.commands import parked
from perminute_cli.failures import Failure
from shared.domain.legs.parking import ParkReason
from tests.cli.fakes import Ran, Recorded, Terminal, product_transport
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
        def status(self, text: str, **_: str) -> Status:
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


WHOLE = {"leg_id": "1", "kind": "dial_out", "to": LONDON, "ended_at": "2026-11-23T10:00:00Z"}
UNREADABLE = {"base64": base64.b64encode(b"Account=\xff&To=\x1b[31m").decode()}
WALKS: dict[str, tuple[dict[str, Any], str, tuple[str, ...], dict[str, Any] | None]] = {
    "unreadable": (UNREADABLE, "It is no JSON.", ("leg.json",), {"leg": WHOLE}),
    "incomplete": (
        {"leg_id": "1"}, "Missing: to, conference, account.", (LONDON, "3001", ""),
        {"leg": {"to": LONDON, "conference_id": "3001"}},
    ),
    "account_unknown": ({}, "No account.", ("", "contoso"), {"leg": {"account": "contoso"}}),
    "account_ambiguous": ({}, "Two.", ("", "contoso"), {"leg": {"account": "contoso"}}),
    "inconsistent": ({}, "Too long.", ("", "60"), {"leg": {"talk_seconds": 60}}),
    "kind_unknown": ({}, "No kind.", ("", "dial_in"), {"leg": {"kind": "dial_in"}}),
    "number_invalid": ({"to": "12"}, "No number.", ("", LONDON), {"leg": {"to": LONDON}}),
    "rate_missing": ({"to": TOKYO}, "No rate.", ("from", LONDON), {"leg": {"from": LONDON}}),
    "currency_mismatch": ({}, "EUR.", (), None),
    "settings_unreadable": ({}, "The row.", (), None),
    "conflict": ({}, "Charged before.", ("leg-2",), {"charge_as": "leg-2"}),
    "authorization_used": ({}, "Twice.", ("", "null"), {"leg": {"authorization": None}}),
}  # fmt: skip
"""By reason: the posted fields, the detail, the typed lines after `f`, the body of the replay."""


def test_every_reason_can_be_named_and_walked_through() -> None:
    reasons = {each.value for each in ParkReason}
    assert set(parked.REASONS) == reasons
    assert set(WALKS) == reasons


@pytest.mark.parametrize("reason", WALKS)
def test_a_leg_of_each_reason_is_shown_and_corrected(
    reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parked, "is_terminal", lambda _: True)
    (tmp_path / "leg.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(WHOLE).encode())
    original, detail, typed, body = WALKS[reason]
    item = {
        "id": "p1", "leg": "pbx~1", "bridge": "pbx", "account": "contoso", "reason": reason,
        "detail": detail, "received_at": "2026-11-23T10:00:00Z", "original": original,
        "attempts": 1, "status": "open",
    }  # fmt: skip

    def listed(request: httpx.Request) -> httpx.Response:
        counts = {"total": 1, "by_reason": {reason: 1}}
        is_summary = "summary" in request.url.params
        return httpx.Response(200, json=counts if is_summary else {"items": [item]})

    def replayed(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={**item, "status": "replayed"})

    server = Recorded({"list_parked_legs": listed, "replay_parked_leg": replayed})
    lines = "".join(f"{line}\n" for line in ("f", *typed, "s"))
    ran = Terminal(httpx.MockTransport(server))("parked", stdin=lines)

    assert ran.code == 0, ran.err
    assert f"{reason}: {detail}" in ran.out
    assert "\x1b" not in ran.out
    bodies = [json.loads(request.content) for request in server.sent("replay_parked_leg")]
    assert bodies == ([] if body is None else [body])
    if body is None:
        assert "a setting is wrong" in ran.err
    else:
        assert "Amount" in ran.out
    if reason == "unreadable":
        assert "Account=" in ran.out


def test_a_file_that_is_no_leg_is_refused() -> None:
    for name in ("missing.json", "."):
        with pytest.raises(Failure, match="is no leg"):
            parked._whole(Path(name))
