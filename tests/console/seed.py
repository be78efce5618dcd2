"""An account with something to see, played over the wire: legs of two months, calls in progress,
parked legs, corrections, alerts. The same seed plays the same legs."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tests.support.client import Admin, SigningBridge, every

ACCOUNT, OTHER = "contoso", "fabrikam"
ORGANIZERS = ("ken@contoso.example", "maria@contoso.example", "aiko@contoso.example")
CONFERENCES = ("3001", "3002", "3003")
NUMBERS = (
    "+442079460123",
    "+442079460456",
    "+493012345678",
    "+4915112345678",
    "+12025550143",
    "+81312345678",
    "+33170180042",
    "+61291234567",
    "+551132345678",
)
WITHOUT_RATE = "+996312123456"  # the demo's card has no rate for Kyrgyzstan
SCRIPT = "<img src=x onerror=alert(1)>"
RIGHT_TO_LEFT = "\u05d0\u05dc\u05d5" * 66 + "\u05d0\u05d1"  # 200 characters
BATCH = 100
PARKED = 60
"""Parked legs of the other account: three pages with the others."""


def play(admin: Admin, bridge: SigningBridge, legs: int = 240) -> tuple[int, int]:
    """Post everything there is to see. Returns how many legs will be charged, and how many parked
    in all accounts."""
    path = f"accounts/{ACCOUNT}"
    for number, organizer in enumerate(ORGANIZERS):
        _changed(
            admin, f"{path}/organizers/{quote(organizer)}", {"cost_center": f"cc-{number % 2}"}
        )
    _made(admin, f"{path}/organizers/{quote(RIGHT_TO_LEFT)}", {})
    _made(admin, f"{path}/conferences/{quote(SCRIPT, safe='')}", {"organizer": RIGHT_TO_LEFT})
    for key, body in (
        ("one", {"amount": "1500.00", "reference": "invoice 2077"}),
        ("two", {"amount": "25.00", "kind": "granted", "reference": "goodwill"}),
    ):
        answer = admin.request("POST", f"{path}/top-ups", body, idempotency_key=f"seen-{key}")
        assert answer.status == 201, answer
    played = _legs(legs)
    for start in range(0, len(played), BATCH):
        every([bridge.ended(played[start : start + BATCH])], 202)
    parked = [
        leg(100_000 + number, datetime.now(UTC) - timedelta(hours=2), 60, to=WITHOUT_RATE)
        | {"account": OTHER, "conference_id": "4001"}
        for number in range(PARKED)
    ]
    every([bridge.ended(parked)], 202)
    for number in range(3):
        question = {"to": NUMBERS[number], "conference_id": CONFERENCES[number % 2 * 2]}
        every([bridge.authorise({**question, "requested_seconds": 900})], 200)
    without_rate = sum(each["to"] == WITHOUT_RATE for each in played)
    return legs - without_rate, PARKED + without_rate


def leg(number: int, answered: datetime, seconds: int, **fields: Any) -> dict[str, Any]:
    """A leg as a bridge posts it."""
    return {
        "leg_id": f"seen-{number}",
        "conference_id": CONFERENCES[0],
        "kind": "dial_out",
        "from": "+33170180042",
        "to": NUMBERS[0],
        "started_at": _text(answered - timedelta(seconds=9)),
        "answered_at": _text(answered),
        "ended_at": _text(answered + timedelta(seconds=seconds)),
        "talk_seconds": seconds,
        **fields,
    }


def _legs(count: int) -> list[dict[str, Any]]:
    chance = random.Random(16)
    now = datetime.now(UTC).replace(microsecond=0)
    found = []
    for number in range(count):
        answered = now - timedelta(days=chance.uniform(0.2, 58), seconds=chance.randrange(3600))
        fields: dict[str, Any] = {
            "conference_id": chance.choices(CONFERENCES, (5, 3, 2))[0],
            "to": chance.choices(NUMBERS, (9, 6, 7, 5, 8, 3, 4, 2, 1))[0],
        }
        if number % 17 == 5:
            fields["to"] = WITHOUT_RATE
        elif number % 40 == 7:
            fields["conference_id"] = SCRIPT
        elif number % 23 == 9:
            fields |= {"answered_at": None, "talk_seconds": 0}
        found.append(leg(number, answered, chance.randrange(20, 3000), **fields))
        if fields.get("answered_at", "") is None:
            found[-1]["ended_at"] = found[-1]["started_at"]
    return found


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _made(admin: Admin, path: str, body: object) -> None:
    answer = admin.request("PUT", path, body)
    assert answer.status in {201, 428}, (path, answer)


def _changed(admin: Admin, path: str, body: object) -> None:
    answer = admin.request("PATCH", path, body)
    assert answer.status == 200, (path, answer)
