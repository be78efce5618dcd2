"""Commands against recorded answers of the product."""

import json
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import click
import httpx
import pytest
from rich.cells import cell_len

from perminute_cli.main import root
from perminute_cli.parking import way_out
from shared.contracts.openapi.document import recorded
from shared.domain.legs.parking import WAYS_OUT, ParkReason
from tests.cli.fakes import Recorded, Terminal, problem

READS = (
    ("status",),
    ("accounts",),
    ("accounts", "show", "contoso"),
    ("usage", "--account", "contoso", "--group-by", "region,organizer"),
    ("legs", "--account", "contoso", "--month", "2026-11"),
    ("legs", "show", "studio~9f2c-1", "--account", "contoso"),
    ("statement", "--account", "contoso", "--month", "2026-11"),
    ("calls", "--account", "contoso"),
    ("calls", "--account", "contoso", "--conference", "3001"),
    ("denials", "--account", "contoso"),
    ("parked",),
    ("quote", "+442079460123", "--account", "contoso"),
    ("try", "+442079460123", "--account", "contoso"),
    ("cards",),
    ("cards", "list", "default"),
    ("cards", "lint", "default"),
    ("cards", "diff", "default", "--to-card", "default"),
    ("cards", "prices", "default"),
    ("bridges",),
    ("bridges", "show", "studio"),
    ("alerts", "--account", "contoso"),
    ("audit-log",),
    ("verify", "--account", "contoso"),
)


@pytest.fixture
def server() -> Recorded:
    return Recorded()


@pytest.fixture
def perminute(server: Recorded) -> Terminal:
    return Terminal(httpx.MockTransport(server))


@pytest.mark.parametrize("columns", [20, 80, 140])
@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(
    command: tuple[str, ...], columns: int, perminute: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    ran = perminute(*command)

    assert ran.code == 0, ran.err
    assert max(map(cell_len, ran.out.splitlines())) <= columns


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_json_is_what_the_api_answers(command: tuple[str, ...], perminute: Terminal) -> None:
    assert perminute(*command, "--json").json


def test_an_unknown_option_is_a_usage_error_of_two_lines(perminute: Terminal) -> None:
    ran = perminute("accounts", "--colour")

    assert ran.code == 2
    assert len(ran.err.splitlines()) == 2
    assert ran.out == ""


def test_a_problem_is_two_lines_with_the_request_id(server: Recorded, perminute: Terminal) -> None:
    server.stated["get_account"] = lambda _: problem(404, "account_unknown", "No account \x1b[31m.")

    ran = perminute("accounts", "show", "fabrikam")

    assert ran.code == 1
    what, to_do = ran.err.splitlines()
    assert what == "Error: No account \\x1b[31m. (404 account_unknown)"
    assert to_do.endswith("Request req-1.")


def test_money_stands_at_the_right(
    server: Recorded, perminute: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    counts = {"legs": 1, "answered_legs": 1, "talk_seconds": 183, "billed_seconds": 240}
    document = {
        "currency": "USD",
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z",
        "time_zone": "Europe/Paris",
        "items": [
            {**counts, "region": "GB", "amount": "0.098"},
            {**counts, "region": "FR", "amount": "1234.50"},
        ],
        "total": {**counts, "amount": "1234.598"},
    }
    server.stated["get_usage"] = lambda _: httpx.Response(200, json=document)

    lines = perminute("usage", "--account", "contoso", "--group-by", "region").out.splitlines()

    assert lines[0] == "contoso, 2026-11-01 01:00 CET to 2026-12-01 01:00 CET"
    assert lines[1].endswith("Amount USD")
    assert lines[3].endswith("     0.098")
    assert lines[4].endswith("   1234.50")
    assert lines[6].startswith("Total")
    assert len({len(line) for line in lines[1:]}) == 1


def test_months_and_dates_are_those_of_the_account(
    server: Recorded, perminute: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls(2026, 10, 31, 12, 30, tzinfo=UTC).astimezone(tz)

    monkeypatch.setattr("perminute_cli.app.datetime", Clock)
    account = recorded()["get_account"]["response"] | {"time_zone": "Pacific/Auckland"}
    server.stated["get_account"] = lambda _: httpx.Response(200, json=account)

    assert perminute("statement", "--account", "contoso").code == 0
    perminute("export", "--account", "contoso")
    perminute("top-up", "5", "--account", "contoso", "--expires-at", "2027-01-01", "--yes")

    (statement,), (export,) = server.sent("get_statement"), server.sent("get_month_file")
    assert statement.url.path.endswith("/statements/2026-11")
    assert export.url.path.endswith("/exports/2026-11")
    (top_up,) = server.sent("post_top_up")
    assert json.loads(top_up.content)["expires_at"] == "2026-12-31T11:00:00Z"


def test_a_comparison_as_csv_has_the_same_exit_status(
    server: Recorded, perminute: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "file.csv").write_text("leg\n")
    command = ("reconcile", "file.csv", "--mapping", "perminute", "--account", "contoso", "--csv")
    for rows, code in (("", 0), ('missing_here,"a\r\nb"\r\n', 1)):
        server.stated["post_reconciliation"] = lambda _, rows=rows: httpx.Response(  # type: ignore[misc]
            200, headers={"content-type": "text/csv"}, text=f"outcome,fields\r\n{rows}"
        )
        ran = perminute(*command)
        assert (ran.code, ran.out) == (code, f"outcome,fields\r\n{rows}")
        assert ("1 call differs." in ran.err) == bool(code)


def test_a_secret_that_is_made_is_shown_as_json_too(perminute: Terminal) -> None:
    create = ("bridges", "create", "studio", "--dialect", "perminute", "--account", "contoso")
    assert perminute(*create, "--yes", "--json").json["auth"]["secrets"][0].startswith("whsec_")


def test_a_leg_that_just_ended_is_awaited_as_long_as_is_stated(
    server: Recorded, perminute: Terminal
) -> None:
    server.stated["get_leg"] = lambda _: problem(404, "leg_unknown", "There is no such leg.")
    show = ("legs", "show", "studio~9f2c-1", "--account", "contoso")

    assert perminute(*show, "--wait", "2").code == 1
    assert sum(perminute.slept) == 2
    assert perminute(*show).code == 1
    assert sum(perminute.slept) == 2


def test_a_parked_leg_is_shown_with_the_command_that_charges_it(
    server: Recorded, perminute: Terminal
) -> None:
    parked = {"leg": "studio~1", "account": "contoso", "status": "parked", "reason": "rate_missing"}
    server.stated["get_leg"] = lambda _: httpx.Response(200, json=parked)

    ran = perminute("legs", "show", "studio~1", "--account", "contoso")

    assert "parked (rate_missing)" in ran.out
    assert ran.err.splitlines() == [
        "Correct the cause, then replay the leg.",
        "  perminute parked replay studio~1",
        "  perminute parked fix studio~1 --set to=NUMBER",
    ]


@pytest.mark.parametrize("reason", list(ParkReason))
def test_each_reason_of_a_parked_leg_leads_to_a_command_that_exists(reason: ParkReason) -> None:
    sentence, *commands = way_out(reason, "studio~1", WAYS_OUT[reason])
    assert sentence == WAYS_OUT[reason]
    assert commands
    context = click.Context(root)
    for command in commands:
        _, group, name, leg, *options = command.split()
        parent = root.get_command(context, group)
        assert isinstance(parent, click.Group)
        found = parent.commands[name]
        known = {option for each in found.params for option in each.opts}
        assert (leg, set(options[::2]) - known) == ("studio~1", set())


def test_a_place_without_a_pointer_is_not_repeated(server: Recorded, perminute: Terminal) -> None:
    errors = [{"pointer": "", "detail": "month must be a month"}]
    detail = "The query parameter month must be a month. Correct the query."
    server.stated["list_legs"] = lambda _: problem(422, "query_invalid", detail, errors=errors)

    ran = perminute("legs", "--account", "contoso", "--month", "2026-13")

    assert ran.err.splitlines()[0] == f"Error: {detail} (422 query_invalid)"


def test_several_places_of_a_problem_are_a_line_each_and_at_most_ten(
    server: Recorded, perminute: Terminal, tmp_path: Path
) -> None:
    errors = [{"pointer": f"/lines/{n}/price", "detail": "must be a number"} for n in range(2, 25)]
    server.stated["import_rate_card_version"] = lambda _: problem(
        422, "invalid", "The deck is not valid.", errors=errors
    )
    deck, mapping = tmp_path / "deck.csv", tmp_path / "mapping.json"
    deck.write_text("prefix,price\n44,x\n")
    mapping.write_text("{}")

    ran = perminute(
        *("cards", "import", "carrier", str(deck), "--mapping", str(mapping)),
        *("--from", "2027-01-01", "--dry-run"),
    )

    lines = ran.err.splitlines()
    assert lines[0] == "Error: The deck is not valid. (422 invalid)"
    assert lines[1:11] == [f"  line {n}, price: must be a number" for n in range(2, 12)]
    assert lines[11] == "  and 13 more"
    assert lines[12].startswith("To do: ")
    assert len(lines) == 13


def test_a_version_takes_effect_at_midnight_utc_of_a_date(
    server: Recorded, perminute: Terminal, tmp_path: Path
) -> None:
    card = tmp_path / "card.json"
    card.write_text("{}")

    perminute("cards", "put", "carrier", str(card), "--from", "2026-12-01", "--yes")

    paths = {request.url.path for name, request in server.requests if name.startswith("put_rate")}
    assert paths == {"/api/v1/rate-cards/carrier/versions/2026-12-01T00:00:00Z"}


def test_usage_names_the_command_that_lists_the_legs_without_a_group(
    server: Recorded, perminute: Terminal
) -> None:
    usage = recorded()["get_usage"]["response"]
    items = [{"kind": "dial_in", "organizer": None, **usage["total"]}]
    server.stated["get_usage"] = lambda _: httpx.Response(200, json={**usage, "items": items})

    ran = perminute("usage", "--account", "contoso", "--group-by", "kind,organizer")

    assert ran.out.splitlines()[3].split()[:2] == ["dial_in", "(none)"]
    assert ran.err == "(none): to list these legs, use perminute legs --without organizer\n"
    perminute("legs", "--account", "contoso", "--without", "organizer")
    sent = [request.url.params for name, request in server.requests if name == "list_legs"]
    assert {each["without"] for each in sent} == {"organizer"}


PROBLEMS: dict[str, tuple[dict[str, object], str]] = {
    "a stuck queue": ({"queue": {"messages": 7, "oldest_seconds": 900}}, "! Queue        7 legs"),
    "dead letters": (
        {"queue": {"messages": 0, "dead_letters": 3}}, "! Queue        0 legs; 3 dead letters",
    ),
    "an unknown queue": ({"queue": {"messages": None}}, "  Queue        unknown; 0 dead"),
    "a full inbox": ({"inbox": {"messages": 4, "oldest_seconds": 61}}, "! Inbox        4 legs"),
    "a stuck outbox": ({"outbox": {"oldest_seconds": 600}}, "! Outbox       events wait"),
    "parked legs": ({"parked": {"open": 2, "by_reason": {"conflict": 2}}}, "! Parked       2 legs"),
    "a stopped process": (
        {"timers": [{"name": "low_balance", "late": True}]}, "! Timers       late: low_balance",
    ),
    "a failing receiver": ({"webhooks": {"failing": 1}}, "! Webhooks     1 failing"),
    "a quiet bridge": (
        {"bridges": [{"bridge": "studio", "last_leg_at": "2026-01-01T00:00:00Z"}]},
        "1 bridge; no leg for 24 h: studio",
    ),
    "many quiet bridges": (
        {
            "bridges": [
                {"bridge": f"site-{at}", "last_leg_at": "2026-01-01T00:00:00Z"} for at in range(12)
            ]
        },
        "12 bridges; no leg for 24 h: site-0, site-1, site-2 and 9 more\n",
    ),
    "everything": (
        {"status": "failing", "reasons": [{"code": "storage", "detail": "No storage."}] * 30},
        "! Status       failing: No storage.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_status_is_ten_lines_and_marks_each_problem(
    name: str, server: Recorded, perminute: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    changes, expected = PROBLEMS[name]
    fine: dict[str, object] = {
        "status": "degraded", "reasons": [], "queue": {"messages": 0}, "inbox": {"messages": 0},
        "outbox": {}, "parked": {"open": 0, "by_reason": {}}, "timers": [],
        "webhooks": {"failing": 0}, "bridges": [], "last_charge_at": None, "version": "1",
    }  # fmt: skip
    server.stated["get_status"] = lambda _: httpx.Response(200, json={**fine, **changes})
    server.stated["list_alerts"] = lambda _: httpx.Response(
        200, json={"items": [{"type": "credits.low", "status": "open"}]}
    )

    ran = perminute("status")

    assert ran.code == 1
    assert expected in ran.out
    assert len(ran.out.splitlines()) == 10
    assert max(map(cell_len, ran.out.splitlines())) <= 80
    assert "! Alerts " in ran.out
    assert "contoso credits.low" in ran.out


def test_a_new_bridge_has_no_leg_yet_and_a_quiet_one_none_for_a_day(
    server: Recorded, perminute: Terminal
) -> None:
    posts = {"last_post_at": None, "last_leg_at": None, "legs_24h": 0, "parked_24h": 0}
    at = {"last_leg_at": "2026-11-20T10:00:00Z"}
    found = recorded()["get_status"]["response"] | {
        "bridges": [
            {"bridge": "new", **posts},
            {"bridge": "quiet", **posts, **at},
            {"bridge": "busy", **posts, **at, "legs_24h": 1},
        ]
    }
    server.stated["get_status"] = lambda _: httpx.Response(200, json=found)

    assert "3 bridges; no leg yet: new; no leg for 24 h: quiet\n" in perminute("status").out
