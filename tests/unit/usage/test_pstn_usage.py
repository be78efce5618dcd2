"""Reports in Microsoft's formats: columns, masked numbers, fees apart, reversed legs with 0."""

import csv
import io
from datetime import timedelta

import pytest

from shared.contracts.ledger.pstn_usage import PSTN_USAGE_COLUMNS
from shared.domain.common.kinds import LegKind
from shared.domain.numbers.masking import mask_number
from tests.support.charging_app import CARD, LONDON, MAY, PARIS, ChargingApp, card, rate
from tests.support.product import START

PATH = "/api/v1/accounts/contoso/reports/pstn-usage"
MASKED = {
    "BE": 3,
    "CH": 4,
    "DE": 3,
    "DK": 3,
    "ES": 3,
    "FI": 3,
    "FR": 4,
    "IT": 3,
    "NL": 3,
    "NO": 3,
    "SE": 3,
}


@pytest.mark.parametrize(("country", "hidden"), [*MASKED.items(), ("GB", 0), ("US", 0), (None, 0)])
def test_the_last_digits_are_hidden_by_the_rule_of_the_organisations_country(
    country: str | None, hidden: int
) -> None:
    assert mask_number(LONDON, country) == LONDON[: len(LONDON) - hidden] + "*" * hidden
    assert mask_number("", country) == ""
    assert mask_number("+1", country) == ("+*" if hidden else "+1")


@pytest.fixture
def charging() -> ChargingApp:
    app = ChargingApp()
    app.settle()
    return app


def rows(charging: ChargingApp, query: str = "") -> list[dict[str, str]]:
    answer = charging.get(PATH + query)
    assert answer.status == 200, answer.body
    reader = csv.DictReader(io.StringIO(answer.body.decode()))
    found = list(reader)
    assert tuple(reader.fieldnames or ()) == PSTN_USAGE_COLUMNS
    return found


def locate(charging: ChargingApp, country: str) -> None:
    account = charging.get("/api/v1/accounts/contoso")
    answer = charging.call(
        "PATCH",
        "/api/v1/accounts/contoso",
        {"usage_location": country},
        headers={
            "if-match": account.etag,
            "content-type": "application/merge-patch+json",
        },
    )
    assert answer.status == 200, answer.body


def test_a_dial_out_is_masked_and_its_connection_fee_stands_apart(charging: ChargingApp) -> None:
    fee = rate("44", "0.10", "United Kingdom", connection_fee="0.05")
    charging.put(f"{CARD}/{MAY}?backdate=true", card(fee))
    locate(charging, "DE")
    leg = charging.leg(organizer="ken@contoso.com", conference_id="3001")

    (row,) = rows(charging)

    assert {name: row[name] for name in row if name != "UsageId"} == {
        "Call ID": leg.partition("~")[2],
        "Conference ID": "3001",
        "User Location": "DE",
        "AAD ObjectId": "",
        "UPN": "ken@contoso.com",
        "User Display Name": "",
        "Caller ID": "+442079460***",
        "Call Type": "conf_out",
        "Number Type": "",
        "Domestic/International": "International",
        "Destination Dialed": "United Kingdom",
        "Destination Number": "+442079460***",
        "Start Time": "2026-11-23T10:00:00Z",
        "End Time": "2026-11-23T10:01:00Z",
        "Duration Seconds": "60",
        "Connection Fee": "0.05",
        "Charge": "0.10",
        "Currency": "USD",
        "Capability": "MCOPSTNPP",
    }
    assert rows(charging)[0]["UsageId"] == row["UsageId"]


def test_only_answered_legs_are_listed_and_reversed_ones_cost_nothing(
    charging: ChargingApp,
) -> None:
    charging.leg(answered_at=None, talk_seconds=0)
    leg = charging.leg()
    charging.post(f"/api/v1/accounts/contoso/legs/{leg}/reversal", {"reason": "a test"})
    assert [(row["Charge"], row["Connection Fee"]) for row in rows(charging)] == [("0.00", "0.00")]


def test_the_span_is_that_of_the_answers(charging: ChargingApp) -> None:
    charging.leg()
    charging.clock.advance(3600)
    later = charging.leg()
    since = (START + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    assert [row["Call ID"] for row in rows(charging, f"?from={since}")] == [later.partition("~")[2]]
    assert rows(charging, "?month=2026-10") == []


def test_rows_of_graph_hide_the_outside_party_of_either_direction(charging: ChargingApp) -> None:
    charging.put(
        f"{CARD}/{MAY}?backdate=true",
        card(rate("44", "0.10", "United Kingdom"), rate("33", "0.02", "France", kind="dial_in")),
    )
    charging.put("/api/v1/accounts/contoso/service-numbers/%2B33170000000", {"kind": "toll"})
    locate(charging, "FR")
    charging.leg()
    charging.leg(kind=LegKind.DIAL_IN, from_number=LONDON, to=PARIS)

    found = charging.get(f"{PATH}?format=graph").json["value"]

    assert [(each["callType"], each["callerNumber"], each["calleeNumber"]) for each in found] == [
        ("conf_out", PARIS, "+44207946****"),
        ("conf_in", "+44207946****", PARIS),
    ]
    assert {each["tenantCountryCode"] for each in found} == {"FR"}
