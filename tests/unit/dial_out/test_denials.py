"""Denied calls are listed afterwards, and no answer waits for it."""

import csv
import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.common import limits
from shared.domain.common.errors import StoreUnavailable
from tests.support.calls import LONDON, TOLL, Calls
from tests.support.product import Product

BASE = "/api/v1/accounts/contoso/denials"
INVALID = "+442079460"


@pytest.fixture
def calls() -> Iterator[Calls]:
    with Product() as app:
        made = Calls(app, top_up="1.00")
        made.organizer("ann", policy="DialoutCPCandPSTNDisabled")
        yield made


def listed(calls: Calls, query: str = "") -> list[dict[str, Any]]:
    answer = calls.app.get(f"{BASE}{query}")
    assert answer.status == 200, answer.body
    return list(answer.json["items"])


def deny(calls: Calls, to: str = LONDON, organizer: str = "ann", **more: Any) -> None:
    assert calls.authorise(to, organizer_id=organizer, **more)["decision"] == "deny"
    calls.app.clock.advance(60)


def test_a_denied_dial_out_is_listed_with_what_was_answered(calls: Calls) -> None:
    at = calls.app.clock.now()
    answer = calls.authorise(organizer_id="ann", conference_id="3001")

    assert listed(calls) == [
        {
            "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "bridge": "pbx",
            "direction": "dial_out",
            "to": LONDON,
            "region": "GB",
            "reason": answer["reason"],
            "message": answer["message"],
            "organizer": "ann",
            "conference": "3001",
        }
    ]


def test_a_denied_caller_is_listed(calls: Calls) -> None:
    calls.app.post(
        "/api/v1/accounts/contoso/adjustments",
        {"amount": "-1.00", "reason": "Spent"},
        headers={"idempotency-key": "spent"},
    )
    assert calls.come_in()["decision"] == "deny"

    [denied] = listed(calls)
    assert (denied["direction"], denied["to"], denied["region"]) == ("dial_in", TOLL, "DE")
    assert denied["reason"] == "credit_exhausted"


def test_a_repetition_is_one_denial_and_a_dry_run_or_an_allowed_call_none(calls: Calls) -> None:
    for _ in range(3):
        calls.authorise(organizer_id="ann", key="once")
    calls.authorise(organizer_id="ann", dry_run=True)
    assert calls.authorise()["decision"] == "allow"

    assert len(listed(calls)) == 1


def test_a_text_that_is_no_number_is_kept_as_it_was_sent(calls: Calls) -> None:
    deny(calls, "=HYPERLINK(1)" + "x" * 500, organizer="ken")

    [denied] = listed(calls)
    assert denied["to"].startswith("=HYPERLINK(1)")
    assert len(denied["to"]) == limits.NUMBER_CHARS_MAX
    text = calls.app.get(f"{BASE}?format=csv").body.decode()
    assert next(csv.DictReader(io.StringIO(text)))["to"].startswith("'=HYPERLINK")


def test_filters_groups_and_pages_agree(calls: Calls) -> None:
    begin = calls.app.clock.now()
    for _ in range(3):
        deny(calls)
    calls.app.clock.advance(days=1)
    deny(calls, INVALID, organizer="ken")

    every = listed(calls)
    paged: list[dict[str, Any]] = []
    following = ""
    while True:
        page = calls.app.get(f"{BASE}?limit=1{following}").json
        paged += page["items"]
        if "next" not in page:
            break
        following = f"&cursor={page['next']}"

    assert paged == every
    assert [each["reason"] for each in every] == ["number_invalid", *["policy_disabled"] * 3]
    assert len(listed(calls, "?reason=policy_disabled")) == 3
    assert len(listed(calls, "?organizer=ken")) == 1
    assert listed(calls, "?reason=no_such_reason") == []
    assert len(listed(calls, f"?to={begin + timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}")) == 1
    assert len(listed(calls, f"?from={begin + timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}")) == 3
    grouped = {
        group: calls.app.get(f"{BASE}?group_by={group}").json
        for group in ("reason", "organizer", "region", "day")
    }
    assert {each["total"] for each in grouped.values()} == {4}
    assert grouped["reason"]["items"] == [
        {"reason": "policy_disabled", "denials": 3},
        {"reason": "number_invalid", "denials": 1},
    ]
    assert grouped["region"]["items"] == [
        {"region": "GB", "denials": 3},
        {"region": None, "denials": 1},
    ]
    assert [each["denials"] for each in grouped["day"]["items"]] == [3, 1]
    assert calls.app.get(f"{BASE}?group_by=day&limit=1").code == "query_invalid"
    lines = calls.app.get(f"{BASE}?group_by=reason&format=csv").body.decode().splitlines()
    assert lines[:2] == ["reason,denials", "policy_disabled,3"]


def test_denials_of_ninety_days_are_kept(calls: Calls) -> None:
    deny(calls)
    calls.app.clock.advance(days=limits.DENIALS_KEPT_DAYS - 1)
    deny(calls)
    calls.app.run(calls.app.container.denials.flush())
    calls.app.clock.advance(days=2)

    assert len(listed(calls)) == 1
    calls.app.run(calls.app.container.audit_ledgers())
    rows = calls.app.run(calls.app.tables.query("notices", "contoso", first="denial|"))
    assert len([row for row in rows if row.key.startswith("denial|")]) == 1


@pytest.mark.parametrize("person", [{"organizer": "ann"}, {"number": LONDON}], ids=str)
def test_an_erased_person_is_in_no_denial(calls: Calls, person: dict[str, str]) -> None:
    deny(calls)
    deny(calls, INVALID, organizer="ken")

    answer = calls.app.post("/api/v1/accounts/contoso/erasures", person)

    assert answer.json["erased"]["denials"] == 1
    assert len(listed(calls)) == 2
    stored = str(calls.app.run(calls.app.tables.query("notices", "contoso")))
    assert next(iter(person.values())) not in stored


def test_while_storage_refuses_the_list_the_answer_is_given(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And what is given up is counted in the log."""
    monkeypatch.setattr(limits, "DENIALS_LINGER_SECONDS", 0.0)
    transact = calls.app.tables.transact

    async def refuse(table: str, *more: Any) -> Any:
        if table == "notices":
            raise StoreUnavailable("Away.")
        return await transact(table, *more)

    monkeypatch.setattr(calls.app.tables, "transact", refuse)
    deny(calls)
    with caplog.at_level(logging.WARNING, "perminute"):
        calls.app.run(calls.app.container.denials.flush())

    events = [json.loads(record.message) for record in caplog.records]
    assert [each["denials"] for each in events if each["event"] == "denials_lost"] == [1]


def test_what_waits_is_bounded(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DENIALS_WAITING_MAX", 2)
    monkeypatch.setattr(limits, "DENIALS_LINGER_SECONDS", 3600)
    for _ in range(4):
        deny(calls)

    assert len(listed(calls)) == 2
