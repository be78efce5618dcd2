"""`docs/events` has a JSON Schema for every type of event, and every event that goes out follows
its own: no field that isn't described, none described that never comes."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.contracts.credits.event_schemas import event_schema
from shared.domain.common.counts import french_amount
from shared.domain.common.kinds import LegKind
from shared.domain.credits.alerts import EVENT_TYPES
from shared.domain.credits.mail_texts import written
from shared.usecases.delivery.deliver_events import MAILED
from tests.docs.events import text as page_of_events
from tests.support.calls import Calls
from tests.support.credits_app import ACCOUNT, AUTO, CreditsApp

FOLDER = Path(__file__).parents[3] / "docs" / "events"
type Json = dict[str, Any]


def strict(kind: str) -> Json:
    """The schema as it lies in the folder, but with no field that it does not name."""
    schema: Json = json.loads((FOLDER / f"{kind}.json").read_text("utf-8"))
    schema["additionalProperties"] = False
    schema["properties"]["data"]["additionalProperties"] = False
    return schema


def low(app: CreditsApp) -> None:
    """Every way to state a threshold, the forecast of one that forecasts, and reminders."""
    rules = [
        {"name": "low", "below": "700.00"},
        {"name": "fifth", "below_percent": 70},
        {"name": "soon", "days_left": 3},
    ]
    app.open(balance="1000.00", alerts=rules)
    for _ in range(24 * 12):
        app.clock.moment += timedelta(hours=1)
        app.spend("3.00")
    app.tick_until(app.clock.now() + timedelta(days=4), timedelta(hours=12))
    (soon, *_) = [each for each in app.of_type("credits.low") if each["data"]["alert"] == "soon"]
    assert soon["data"]["threshold_hours"] == 72
    assert 60 <= soon["data"]["runs_out"]["hours_left"] <= 72
    early, late = soon["data"]["runs_out"]["between"]
    assert early <= soon["data"]["runs_out"]["at"] <= late


def spent(app: CreditsApp) -> None:
    app.open(balance="5.00")
    app.spend("6.00")
    app.tick_until(app.clock.now() + timedelta(days=2), timedelta(hours=12))


def expiring(app: CreditsApp) -> None:
    app.open(balance=None)
    app.top_up("5.00", expires_at="2027-01-31T00:00:00Z")
    app.tick(days=60)


def recharged(app: CreditsApp) -> None:
    """Declined, paid, and then held back by the month's ceiling for days."""
    app.open(balance="21.00", auto_recharge={**AUTO, "max_per_month": 1})
    app.spend("2.00")
    app.answer("contoso~1", "declined")
    app.tick(hours=2)
    app.answer("contoso~2", "succeeded")
    app.spend("60.00")
    app.tick_until(app.clock.now() + timedelta(days=4), timedelta(hours=12))


def unanswered(app: CreditsApp) -> None:
    """Requested in vain for days, then answered with another amount."""
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.tick_until(app.clock.now() + timedelta(days=3), timedelta(hours=1))
    assert app.answer("contoso~1", "succeeded", "1.00").status == 422


def hard(app: CreditsApp) -> None:
    app.open(balance="21.00", auto_recharge=AUTO)
    app.spend("2.00")
    app.answer("contoso~1", "declined", hard=True)


def called(app: CreditsApp) -> None:
    """A pool that is used up, a region that is new, dial-out stopped, a leg without a rate."""
    calls = Calls(app, "100.00", subscription_licenses=1)
    calls.organizer("sub", license="subscription")
    warn = {"amount": "0.01", "mode": "warn"}
    calls.policy(velocity={"new_region": "notice"}, budgets={"day": warn, "meeting": warn})
    calls.authorise()
    for _ in range(2):
        calls.charged(organizer="sub", talk_seconds=3000, kind=LegKind.DIAL_OUT)
    assert calls.control("stop", {"reason": "a person"}).status == 200
    app.run(app.container.publish_events(ACCOUNT))
    app.tick_until(app.clock.now() + timedelta(days=2), timedelta(hours=12))
    app.run(app.container.charge_legs([calls.ended(to_number="+81312345678")], seconds=10))


def calling(app: CreditsApp) -> None:
    """Open calls that use up what is available within minutes, and charges that reach a step."""
    rules = [
        {"name": "five", "minutes_left": 5},
        {"name": "month", "spend": "0.05", "period": "month", "at_percent": [100]},
    ]
    calls = Calls(app, "0.40", alerts=rules)
    calls.authorise("+12125550123", leg_id="l1", requested_seconds=60)
    app.run(app.container.watch_calls(ACCOUNT, by_timer=False))
    calls.charged()
    app.run(app.container.watch_spend(ACCOUNT))


SCENES: list[Callable[[CreditsApp], None]] = [
    *(low, spent, expiring, recharged, unanswered, hard, called, calling),
]


def emitted(scene: Callable[[CreditsApp], None]) -> list[Json]:
    app = CreditsApp()
    try:
        scene(app)
        return app.events
    finally:
        app.close()


@pytest.fixture(scope="module")
def events() -> list[Json]:
    """What the product reported in all scenes."""
    return [event for scene in SCENES for event in emitted(scene)]


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_what_is_reported_follows_its_schema_and_makes_use_of_all_of_it(
    kind: str, events: list[Json]
) -> None:
    schema = strict(kind)
    validator = Draft202012Validator(schema)
    reported = [event for event in events if event["type"] == kind]

    faults = [error.message for event in reported for error in validator.iter_errors(event)]
    seen = {name for event in reported for name in event["data"]}

    assert faults == []
    assert seen == schema["properties"]["data"]["properties"].keys()


def test_no_type_is_reported_that_is_not_described(events: list[Json]) -> None:
    assert {event["type"] for event in events} == set(EVENT_TYPES)


def test_the_folder_is_as_the_command_writes_it() -> None:
    """`python -m shared.contracts.credits.event_schemas docs/events`."""
    files = {file.stem: json.loads(file.read_text("utf-8")) for file in FOLDER.glob("*.json")}
    assert files == {kind: event_schema(kind) for kind in EVENT_TYPES}


@pytest.mark.parametrize("kind", sorted(MAILED))
def test_what_is_mailed_has_words_in_english_and_in_french(kind: str, events: list[Json]) -> None:
    for event in [event for event in events if event["type"] == kind]:
        english, french = (written(language, "Contoso", event) for language in ("en", "fr"))

        balance = event["data"]["balance"]
        for (subject, text), amount in ((english, balance), (french, french_amount(balance))):
            assert subject.startswith(("Contoso", "Reminder", "Rappel"))
            assert "–" not in subject
            assert re.search(f"{amount}[ \N{NO-BREAK SPACE}]USD", text)
        assert not re.search(r"'| [:;!?%]|\dT\d|\d[.,]\d{3}\b", "".join(french))
        assert english[0] != french[0]
        assert not set(english[1].split("\n\n")) & set(french[1].split("\n\n"))


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_schema_is_one(kind: str) -> None:
    Draft202012Validator.check_schema(event_schema(kind))


def test_the_page_has_every_type_with_its_fields_and_an_example(events: list[Json]) -> None:
    """`python -m tests.docs.reference` writes it again."""
    assert (FOLDER / "README.md").read_text("utf-8") == page_of_events(events)
