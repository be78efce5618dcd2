"""What the processes of a run request, all of it from one seed.

A name says everything about a thing: `leg("seed", 7)` is the same leg in every process, so that two
processes that post it are a bridge that posts twice. Nothing here knows the product.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.client import Json

CARD = "faults"
CARD_SINCE = "2020-01-01T00:00:00Z"
ACCOUNTS = 10
LONDON, LONDON_MOBILE, PARIS, BERLIN, ROME = (
    "+442079460123",
    "+447400123456",
    "+33170180042",
    "+493023125001",  # free
    "+390669812345",  # without a rate
)


def _rate(prefix: str, fee: str, *slots: Json) -> Json:
    return {
        "kind": "dial_out",
        "prefix": prefix,
        "destination": f"to +{prefix}",
        "connection_fee": fee,
        "slots": list(slots),
    }


def _slot(price: str, increment_seconds: int, from_second: int = 0) -> Json:
    return {
        "from_second": from_second,
        "price": price,
        "unit_seconds": 60,
        "increment_seconds": increment_seconds,
    }


CARD_VERSION: Json = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [
        _rate("44", "0.05", _slot("0.06", 60)),
        _rate("447", "0.05", _slot("0.15", 1)),
        _rate("33", "0.02", _slot("0.09", 30), _slot("0.0407", 1, from_second=60)),
        _rate("49", "0", _slot("0", 60)),
    ],
}
ACCOUNT: Json = {
    "currency": "USD",
    "rate_card": CARD,
    "usage_location": "GB",
    "credit_limit": "0.50",
    "alerts": [{"name": "low", "below": "1.50"}, {"name": "fifth", "below_percent": 20}],
}
FIRST_TOP_UP = "3.00"


def account_names(run: str) -> list[str]:
    """The accounts of a run."""
    return [f"{run}-{number}" for number in range(ACCOUNTS)]


def leg(run: str, number: int, base: datetime, *, changed: bool = False) -> Json:
    """A call that ended; `changed`: the same id with other content."""
    chance = random.Random(f"{run} leg {number}")
    talk_seconds = chance.choice((0, 31, 59, 60, 61, 183, 185, 240, 601))
    is_answered = chance.random() < 0.9
    answered_at = base - timedelta(seconds=chance.randrange(3600) + 700)
    return ended_leg(
        f"{run}-leg-{number}",
        chance.choice((LONDON, LONDON_MOBILE, PARIS, PARIS, BERLIN, ROME)),
        answered_at,
        talk_seconds + changed if is_answered else None,
        account=chance.choice(account_names(run)),
    )


def question(run: str, number: int) -> tuple[str, Json]:
    """(key, body) of a dial-out question."""
    chance = random.Random(f"{run} question {number}")
    body = {
        "to": chance.choice((LONDON, LONDON, LONDON_MOBILE, PARIS, BERLIN, ROME)),
        "account": chance.choice(account_names(run)),
        "requested_seconds": chance.choice((60, 185, 300, 600)),
        "conference_id": f"{run}-room-{chance.randrange(5)}",
        "organizer_id": organizer(run),
    }
    if chance.random() < 0.5:
        body["leg_id"] = called_leg_id(run, number)
    return f"{run}-ask-{number}", body


def organizer(run: str) -> str:
    """Who dials; every account knows them."""
    return f"ken@{run}.example.com"


def called_leg_id(run: str, number: int) -> str:
    """The leg of a question that was allowed."""
    return f"{run}-call-{number}"


FATES = ("release", "end", "end", "extend and end", "extend", "stay")


def fate(run: str, number: int) -> str:
    """What becomes of a question that was allowed, whichever process requested it."""
    return random.Random(f"{run} fate {number}").choice(FATES)


def called(run: str, number: int, authorization: str, base: datetime) -> Json:
    """The leg of a question that was allowed; some outlast what was granted."""
    chance = random.Random(f"{run} call {number}")
    _, body = question(run, number)
    talk_seconds = round(body["requested_seconds"] * chance.choice((0.3, 0.9, 1.0, 1.4)))
    answered_at = base - timedelta(seconds=talk_seconds + chance.randrange(60))
    return ended_leg(
        called_leg_id(run, number),
        body["to"],
        answered_at,
        talk_seconds,
        account=body["account"],
        authorization=authorization,
        organizer_id=body["organizer_id"],
    )


def top_up(run: str, number: int) -> tuple[str, str, Json]:
    """(account, key, body) of a top-up, now and then a grant."""
    chance = random.Random(f"{run} top-up {number}")
    body = {"amount": chance.choice(("0.25", "0.60", "1.00", "2.37"))}
    if chance.random() < 0.25:
        body["kind"] = "granted"
    return chance.choice(account_names(run)), f"{run}-top-up-{number}", body


def adjustment(run: str, number: int) -> tuple[str, str, Json]:
    """(account, key, body) of a correction."""
    chance = random.Random(f"{run} adjustment {number}")
    body: Json = {"amount": chance.choice(("-0.11", "0.13", "-0.40")), "reason": "a gesture"}
    body["allow_overdraft"] = True
    return chance.choice(account_names(run)), f"{run}-adjustment-{number}", body


def ended_leg(
    leg_id: str, to: str, answered_at: datetime, talk_seconds: int | None, **names: Any
) -> Json:
    body: Json = {
        "leg_id": leg_id,
        "kind": "dial_out",
        "from": "+33170189999",
        "to": to,
        "started_at": _text(answered_at - timedelta(seconds=9)),
        "ended_at": _text(answered_at + timedelta(seconds=talk_seconds or 0)),
        **names,
    }
    if talk_seconds is not None:
        body |= {"answered_at": _text(answered_at), "talk_seconds": talk_seconds}
    return body


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
