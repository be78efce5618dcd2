"""No line of the log names a person: every record of a played scenario is searched."""

import json
import logging
from collections.abc import Iterator

import pytest

from shared.domain.common import limits
from tests.support.calls import Calls
from tests.support.product import Product

PERSONS = {
    "ken@contoso.com": "ken@contoso",
    "+442079460123": "2079460",
    "+33170000042": "3170000",
    "33170000099": "3170000",
}


@pytest.fixture
def calls() -> Iterator[Calls]:
    made = Calls(Product())
    yield made
    made.app.close()


def test_no_record_of_a_scenario_names_a_person(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    """Directory, dial-outs that are allowed and denied, legs that are charged and parked, a wrong
    path, refused requests, an erasure."""
    caplog.set_level(logging.DEBUG, "perminute")
    app = calls.app
    account = "/api/v1/accounts/contoso"
    app.put(f"{account}/organizers/ken%40contoso.com", {})
    app.put(f"{account}/conferences/33170000099", {"organizer": "ken@contoso.com"})
    app.put(f"{account}/service-numbers/%2B33170000042", {"kind": "toll"})
    for target in ("organizers/ken%40contoso.com", "service-numbers/%2B33170000042"):
        app.get(f"{account}/{target}", key="pm_0123456789abcdef_secretsecretsecret")
    calls.charged()
    for question in (
        {"to": "+442079460123", "organizer_id": "ken@contoso.com"},
        {"to": "+33170000042", "conference_id": "33170000099"},
        {"to": "00 33 1 70 00 00 42", "organizer_id": "ken@contoso.com"},
    ):
        calls.authorise(**question)
    app.post(f"{account}/erasures", {"organizer": "ken@contoso.com"})

    records = [record.getMessage() for record in caplog.records]
    assert len(records) >= 10
    named = {json.loads(line).get("organizer") for line in records if '"organizer"' in line}
    assert "person-7502db21660e" in named
    for line in records:
        for trace in PERSONS.values():
            assert trace not in line.replace(" ", "").replace("%40", "@").lower(), line


def test_refused_requests_have_a_bounded_number_of_lines(
    calls: Calls, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left out is counted."""
    monkeypatch.setattr(limits, "REFUSALS_LOGGED_PER_MINUTE", 5)
    caplog.set_level(logging.INFO, "perminute")
    refusals = calls.app.container.refusals
    refusals._turn()
    for number in range(20):
        path = f"/api/v1/bridges/nobody-{number}/dial-outs"
        answer = calls.app.call("POST", path, {}, key=None)
        assert answer.status == 401
    assert len(caplog.records) == 10

    refusals.minute -= 1
    calls.app.call("POST", "/api/v1/bridges/nobody/dial-outs", {}, key=None)

    lines = [json.loads(record.getMessage()) for record in caplog.records[10:]]
    assert [line["event"] for line in lines] == [
        "refusals_left_out",
        "not_authenticated",
        "http_request",
    ]
    assert lines[0]["requests"] == 15
    assert (lines[1]["bridge"], lines[1]["path"]) == (
        "nobody",
        "/api/v1/bridges/nobody/dial-outs",
    )
