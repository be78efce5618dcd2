"""A file of call records over HTTP: presets, mappings, refusals, JSON and CSV."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common.kinds import LegKind
from tests.support.charging_app import LONDON, PARIS, ChargingApp
from tests.support.product import START, Answer
from tests.unit.rate_cards.test_rate_card_import import form

PATH = "/api/v1/accounts/contoso/reconciliations"
TEAMS = (
    "UsageId,Call ID,Call Type,Caller ID,Start Time,End Time,Duration Seconds,Connection Fee,"
    "Charge,Currency"
)


@pytest.fixture
def charging() -> ChargingApp:
    app = ChargingApp()
    app.settle()
    return app


def send(
    charging: ChargingApp, mapping: object, *lines: str, query: str = "", **headers: str
) -> Answer:
    part = mapping.encode() if isinstance(mapping, str) else json.dumps(mapping).encode()
    body, content_type = form(mapping=part, file="\n".join(lines).encode())
    return charging.post(PATH + query, body, headers={"content-type": content_type, **headers})


def teams(
    leg_id: str, at: int = 0, *, to: str = LONDON, seconds: int = 60, charge: str = "0.10"
) -> str:
    start = START + timedelta(seconds=at)
    end = start + timedelta(seconds=seconds)
    usage = f"u-{leg_id}-{at}"
    return (
        f"{usage},{leg_id},conf_out,{to},{start.isoformat()},{end.isoformat()},{seconds},0.00,"
        f"{charge},USD"
    )


def test_an_export_of_the_same_calls_matches_and_nothing_is_stored(charging: ChargingApp) -> None:
    first, second = charging.leg(), charging.leg(to=PARIS)
    before = charging.get("/api/v1/accounts/contoso/entries").json

    answer = send(
        charging,
        "teams-pstn",
        TEAMS,
        teams(first.partition("~")[2]),
        teams("unknown-here", to=PARIS, charge="0.20"),
        teams("x", to=PARIS).replace("conf_out", "user_in"),
    )

    assert answer.status == 200, answer.body
    assert answer.json == {
        "currency": "USD",
        "matched": 2,
        "different": [],
        "missing_here": [],
        "missing_there": [],
        "outside": 0,
        "sums": {"theirs": "0.30", "ours": "0.30", "difference": "0.00"},
        "left_out": {"kind": 1},
    }
    assert second
    assert charging.get("/api/v1/accounts/contoso/entries").json == before


def test_planted_differences_are_found_and_no_others(charging: ChargingApp) -> None:
    """Missing on either side, doubled, other seconds, other price, masked, time shifted."""
    ids = []
    for number in range(8):
        charging.clock.advance(3600)
        ids.append(charging.leg(to=f"+4420794600{number:02}").partition("~")[2])
    rows = []
    for number, leg_id in enumerate(ids):
        at, to = 3600 * (number + 1), f"+4420794600{number:02}"
        rows.append(
            {
                0: teams(leg_id, at, to=to),
                1: "",
                2: teams(leg_id, at, to=to, seconds=90),
                3: teams(leg_id, at, to=to, charge="0.13"),
                4: teams("hidden", at, to=f"{to[:-3]}***"),
                5: teams("shifted", at + 3600, to=to),
                6: teams(leg_id, at, to=to) + "\n" + teams(leg_id, at, to=to),
                7: teams(leg_id, at, to=to),
            }[number]
        )
    rows.append(teams("theirs", 90_000, to="+442079460099"))

    found = send(charging, "teams-pstn", TEAMS, *filter(None, rows)).json

    assert found["matched"] == 4
    assert [each["fields"] for each in found["different"]] == [
        ["seconds"],
        ["amount"],
        ["answered_at"],
    ]
    assert [each.get("duplicate_of") for each in found["missing_here"]] == [6, None]
    assert [each["leg"] for each in found["missing_there"]] == [f"pbx~{ids[1]}"]


def test_a_missing_leg_can_be_posted_as_it_stands(charging: ChargingApp) -> None:
    found = send(charging, "teams-pstn", TEAMS, teams("lost")).json
    (missing,) = found["missing_here"]
    leg = {**missing["leg"], "account": "contoso"}
    posted = charging.post("/api/v1/bridges/pbx/call-ended", leg)
    assert posted.status in {202, 401}, posted.body
    assert (leg["leg_id"], leg["to"], leg["talk_seconds"]) == ("lost", LONDON, 60)


def test_a_reversed_leg_counts_with_nothing(charging: ChargingApp) -> None:
    leg = charging.leg()
    reversal = charging.post(f"/api/v1/accounts/contoso/legs/{leg}/reversal", {"reason": "a test"})
    assert reversal.status in {200, 201}, reversal.body
    found = send(charging, "teams-pstn", TEAMS, teams(leg.partition("~")[2])).json
    assert [each["fields"] for each in found["different"]] == [["amount"]]
    assert found["sums"] == {"theirs": "0.10", "ours": "0.00", "difference": "0.10"}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (
            "sid,direction,to,from,end_time,duration,price,price_unit",
            "CA1,outbound-api,{to},,{end},60,-0.10000,USD",
        ),
        (
            "Call Sid,Direction,To,From,End Time,Duration,Price",
            "CA1,Outgoing Dial,{to},,{end},60,-0.10",
        ),
    ],
)
def test_calls_of_twilio_are_read_in_both_formats(
    charging: ChargingApp, header: str, row: str
) -> None:
    charging.leg()
    end = (START + timedelta(seconds=60)).strftime("%Y-%m-%d %H:%M:%S UTC")
    found = send(charging, "twilio-calls", header, row.format(to=LONDON, end=end)).json
    assert (found["matched"], found["sums"]["theirs"]) == (1, "0.10")


def test_a_mapping_of_ones_own_reads_local_times_commas_and_clocks(charging: ChargingApp) -> None:
    charging.leg(kind=LegKind.DIAL_OUT)
    mapping = {
        "columns": {
            "number": "Rufnummer",
            "answered_at": "Beginn",
            "seconds": "Dauer",
            "amount": ["Betrag"],
        },
        "time_zone": "Europe/Berlin",
        "delimiter": ";",
        "decimal_comma": True,
        "country": "DE",
    }
    local = (START + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    found = send(
        charging, mapping, "Rufnummer;Beginn;Dauer;Betrag", f"00442079460000;{local};00:01:00;0,10"
    ).json
    assert (found["matched"], found["sums"]["difference"]) == (1, "0.00")


ONE = {"columns": {"number": "n", "answered_at": "t", "seconds": "s", "amount": ["a"]}}
REFUSED: list[tuple[Any, list[str], int, str]] = [
    ("no-preset", ["a"], 422, "teams-pstn, twilio-calls, perminute"),
    ("teams-pstn", ["UsageId,Call ID"], 422, "Call Type"),
    ("{", ["a"], 400, ""),
    ({"columns": {"seconds": "s"}}, ["s"], 422, "answered_at or ended_at"),
    ({"columns": {"seconds": "s", "ended_at": "e"}}, ["s"], 422, "id or number"),
    ({**ONE, "time_zone": "Moon"}, ["n,t,s,a"], 422, "time zone"),
    ({**ONE, "tolerance": {"seconds": 301}}, ["n,t,s,a"], 422, "300"),
    (ONE, ["n,t,s,a", f"{LONDON},02/03/2026,60,1"], 422, "02/03/2026"),
    (ONE, ["n,t,s,a", f"{LONDON},2026-11-23T10:00:00Z,1e2,1"], 422, "whole seconds"),
    (ONE, ["n,t,s,a", f"{LONDON},2026-11-23T10:00:00Z,60,1e2"], 422, "amount"),
    (ONE, ["n,t,s,a", f"{LONDON},2026-11-23,60,1"], 422, "must be a time"),
    (ONE, ["n,t,s,a", f"{LONDON},2026-W48-1,60,1"], 422, "must be a time"),
    (ONE, ["n,t,s,a", f"{LONDON},0001-01-01T00:00:00Z,60,1"], 422, "1970 and 9998"),
    (ONE, ["n,t,s,a", f"{LONDON},9999-12-31T23:59:59Z,60,1"], 422, "1970 and 9998"),
    (
        {**ONE, "time_zone": "Europe/Berlin"},
        ["n,t,s,a", f"{LONDON},2026-03-29T02:30:00,60,1"],
        422,
        "is no time in Europe/Berlin",
    ),
    (ONE, ["n;t;s;a"], 422, "delimiter can be ';'"),
    ({**ONE, "time_zone": "localtime"}, ["n,t,s,a"], 422, "time zone"),
    ({**ONE, "country": "XX"}, ["n,t,s,a"], 422, "country"),
    ({**ONE, "tolerance": {"amount": "-1"}}, ["n,t,s,a"], 422, "negative"),
    ({**ONE, "kinds": {"A": "dial_in", "a ": "dial_out"}}, ["n,t,s,a"], 422, "twice"),
    ({"columns": {**ONE["columns"], "amount": ["a", "a"]}}, ["n,t,s,a"], 422, "twice"),
]


@pytest.mark.parametrize(("mapping", "lines", "status", "words"), REFUSED)
def test_a_file_that_has_no_one_reading_is_refused_with_what_is_wrong(
    charging: ChargingApp, mapping: Any, lines: list[str], status: int, words: str
) -> None:
    answer = send(charging, mapping, *lines)
    assert answer.status == status, answer.body
    assert words in json.dumps(answer.json)


@pytest.mark.parametrize(
    ("delimiter", "encoding"),
    [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-16"), (";", "utf-16")],
)
def test_a_preset_reads_what_spreadsheet_programs_save(
    charging: ChargingApp, delimiter: str, encoding: str
) -> None:
    leg = charging.leg().partition("~")[2]
    text = "\r\n".join((TEAMS, teams(leg), "")).replace(",", delimiter)
    body, content_type = form(mapping=b"teams-pstn", file=text.encode(encoding))
    answer = charging.post(PATH, body, headers={"content-type": content_type})
    assert answer.json.get("matched") == 1, answer.body


def test_a_leg_that_can_not_be_posted_is_not_offered(charging: ChargingApp) -> None:
    lines = (
        teams("x" * 201),
        teams("long", seconds=90_000),
        teams("masked", to="+44207***0000"),
    )
    items = send(charging, "teams-pstn", TEAMS, *lines).json["missing_here"]
    assert [each["leg"] and each["leg"]["leg_id"] for each in items] == [
        "record-1",
        None,
        None,
    ]


def test_amounts_of_two_currencies_are_refused(charging: ChargingApp) -> None:
    answer = send(charging, "teams-pstn", TEAMS, teams("a"), teams("b", 60).replace("USD", "EUR"))
    assert (answer.status, "EUR and USD" in answer.json["detail"]) == (422, True)


def test_as_csv_it_has_a_row_for_all_that_is_different_or_missing(charging: ChargingApp) -> None:
    charging.leg(to=PARIS)
    answer = send(charging, "teams-pstn", TEAMS, teams("=1+1"), accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [(row["outcome"], row["their_id"], row["our_leg"]) for row in rows] == [
        ("missing_here", "'=1+1", ""),
        ("missing_there", "", "pbx~leg-1"),
    ]
