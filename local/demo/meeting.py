"""The script of the demo's meeting: who dials, who is dialled, and what that has to cost.

Every expected amount is a plain number, computed manually from the price list as its comment shows;
nothing of the product computes it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from local.demo.payments import DECLINED, PENDING, SUCCEEDED, PlannedAnswer
from local.demo.seed import (
    AIKO_MEETING,
    KEN_MEETING,
    MARIA_MEETING,
    SAM_MEETING,
    TOLL_BERLIN,
    TOLL_FREE,
    TOLL_PARIS,
)
from local.demo.wire import Json

LOCAL_BRIDGE, FREESWITCH_BRIDGE = "local", "fs1"
RING_SECONDS = 7
NO_RATE_PREFIX = "996"
BRIDGE_NUMBER = "+33170180042"  # what those who are dialled see


@dataclass(frozen=True, slots=True)
class Question:
    """A requested dial-out. `leg` is the leg of an allowed one; `expected` is the hold of an
    allowed one, else the reason of the denial; `summary` is its text.
    """

    conference: str
    to: str
    expected: str
    leg: str = ""
    summary: str = ""
    bridge: str = LOCAL_BRIDGE


# What is held pays for the 900 s that are granted at most.
ALLOWED = (
    # 0.05 + 15 minutes at 0.012
    Question(KEN_MEETING, "+442079460123", "0.23", leg="out-london"),
    # 900 s at 0.0085 a minute, to the second
    Question(AIKO_MEETING, "+12125550199", "0.1275", leg="out-newyork"),
    # 0.05 + 15 minutes at 0.012: Maria may dial her own country
    Question(MARIA_MEETING, "+33199005678", "0.23", leg="out-paris"),
    # 0.05 + 15 minutes at 0.045, a mobile
    Question(KEN_MEETING, "+4915112345678", "0.725", leg="out-berlin"),
    # 900 s at 0.14 a minute: one increment of 30 s, 145 of 6 s, none cut
    Question(KEN_MEETING, "+639171234567", "2.10", leg="fs-manila", bridge=FREESWITCH_BRIDGE),
    # 0.10 + 15 minutes at 0.29
    Question(KEN_MEETING, "+6793212345", "4.45", leg="fs-suva", bridge=FREESWITCH_BRIDGE),
)
# 0.23 + 0.1275 + 0.23 + 0.725 + 2.10 + 4.45
HELD_IN_ALL = "7.8625"
DENIED = (
    Question(KEN_MEETING, "+33899123456", "number_class_blocked", summary="premium number"),
    Question(
        MARIA_MEETING, "+442079460999", "policy_domestic_only", summary="outside home country"
    ),
    Question(KEN_MEETING, "112", "emergency_number", summary="emergency"),
    # Fabrikam has 0.05, the first minute costs 0.062
    Question(SAM_MEETING, "+442079460123", "credit_exhausted", summary="credit exhausted"),
)


@dataclass(frozen=True, slots=True)
class DemoLeg:
    """A leg of the meeting. `talk_seconds` None: unanswered. `expected` is what it must cost and
    `billed_seconds` for how long; `free` is the reason of a leg that costs nothing.

    `encoding` is one of mod_json_cdr's three; without it the leg is posted in dialect `perminute`.
    """

    id: str
    kind: str
    to: str | None
    talk_seconds: int | None
    expected: str
    billed_seconds: int
    conference: str = KEN_MEETING
    caller: str | None = BRIDGE_NUMBER
    begins_second: int = 0
    free: str = ""
    encoding: str = ""
    posts: int = 1

    @property
    def bridge(self) -> str:
        """The reporting bridge."""
        return FREESWITCH_BRIDGE if self.encoding else LOCAL_BRIDGE

    @property
    def key(self) -> str:
        """As the product names it."""
        return f"{self.bridge}~{self.id}"

    @property
    def is_parked(self) -> bool:
        """True if the rate card has no price for it at first."""
        return (self.to or "").startswith(f"+{NO_RATE_PREFIX}")

    def times(self, began_at: datetime) -> tuple[datetime, datetime | None, datetime]:
        """The times of start, answer and end, in a meeting that began at a time."""
        started_at = began_at + timedelta(seconds=self.begins_second)
        answered_at = started_at + timedelta(seconds=RING_SECONDS)
        if self.talk_seconds is None:
            return started_at, None, answered_at
        return started_at, answered_at, answered_at + timedelta(seconds=self.talk_seconds)


LEGS = (
    # 1,510 s at 0.0042 a minute, to the second after the first minute
    DemoLeg("in-paris", "dial_in", TOLL_PARIS, 1510, "0.1057", 1510, caller="+33199007001"),
    # 2,825 s are 48 minutes begun, at 0.029 for callers from the United States
    DemoLeg("in-boston", "dial_in", TOLL_FREE, 2825, "1.392", 2880, caller="+16175550142"),
    # 190 s are 4 minutes begun, at 0.11 for callers from Canada, and 0.01 for the connection
    DemoLeg("in-toronto", "dial_in", TOLL_FREE, 190, "0.45", 240, caller="+14165550142"),
    DemoLeg("in-softphone", "voip", None, 2950, "0.00", 0, caller=None, free="voip"),
    # 183 s are 4 minutes begun, at 0.012, and 0.05 for the connection
    DemoLeg(
        "out-london", "dial_out", "+442079460123", 183, "0.098", 240, begins_second=60, posts=3
    ),
    # 851 s at 0.0085 a minute are 0.12055833…, half up at the fourth decimal
    DemoLeg(
        *("out-newyork", "dial_out", "+12125550199", 851, "0.1206", 851),
        conference=AIKO_MEETING,
        begins_second=90,
    ),
    # 61 s are 2 minutes begun, at 0.012, and 0.05 for the connection
    DemoLeg(
        *("out-paris", "dial_out", "+33199005678", 61, "0.074", 120),
        conference=MARIA_MEETING,
        begins_second=120,
    ),
    DemoLeg(
        *("out-berlin", "dial_out", "+4915112345678", None, "0.00", 0),
        begins_second=150,
        free="unanswered",
    ),
    # 570 s are 10 minutes begun, at 0.29, and 0.10 for the connection, once there is a rate
    DemoLeg("out-bishkek", "dial_out", "+996312123456", 570, "3.00", 600, begins_second=180),
    # 1,800 s at 0.0042 a minute
    DemoLeg(
        *("fs-berlin", "dial_in", TOLL_BERLIN, 1800, "0.126", 1800),
        caller="+493023125999",
        encoding="raw",
    ),
    # 455 s are 30 s and 71 times 6 s begun, 456 s, at 0.14 a minute
    DemoLeg(
        *("fs-manila", "dial_out", "+639171234567", 455, "1.064", 456),
        begins_second=30,
        encoding="form",
    ),
    # 860 s are 15 minutes begun, at 0.29, and 0.10 for the connection
    DemoLeg(
        *("fs-suva", "dial_out", "+6793212345", 860, "4.45", 900),
        begins_second=45,
        encoding="base64",
    ),
)
# A call that rings when the account is suspended, so that it is given back.
RINGING, RINGING_FROM = "+442079460123", KEN_MEETING
TOP_UP = "5.00"
BALANCE_AT_FIRST = "100.00"
# Recharges of 10.00 below 90.00. All legs but the parked one leave 92.1197; its 3.00 leave 89.1197.
AUTO_RECHARGE = {"trigger": "90.00", "amount": "10.00", "max_per_day": 2}
BALANCE_AT_TRIGGER = "89.1197"
# What the payment provider says: no to the first recharge, yes to the second after a while.
PAYMENTS = (PlannedAnswer(DECLINED), PlannedAnswer(SUCCEEDED, after_seconds=1.0))
RECHARGES = (DECLINED, SUCCEEDED)
PAYMENT_ANSWERS = (DECLINED, PENDING, SUCCEEDED)
# What the account's own webhook asks for, and gets, in this order; the same is mailed.
EXPECTED_EVENTS = ("credits.low", "recharge.declined", "recharge.succeeded")
SUBJECTS = (
    "Contoso SA: credits are below 95.00 USD",
    "Contoso SA: a recharge was declined",
    "Contoso SA: recharged by 10.00 USD",
)
# 100.00, less 0.1057, 1.392, 0.45, 0.098, 0.1206, 0.074, 3.00, 0.126, 1.064 and 4.45, and 10.00
# and 5.00 more
BALANCE_AT_LAST = "104.1197"


def event_of(leg: DemoLeg, began_at: datetime, authorization: str | None) -> Json:
    """The leg as a bridge posts it in dialect `perminute`. It never names the account: the
    conference or the service number determines it. Dial-ins do not even state the kind."""
    started_at, answered_at, ended_at = leg.times(began_at)
    event: Json = {
        "leg_id": leg.id,
        "conference_id": leg.conference,
        "kind": None if leg.kind == "dial_in" else leg.kind,
        "from": leg.caller,
        "to": leg.to,
        "started_at": _text(started_at),
        "answered_at": _text(answered_at) if answered_at else None,
        "ended_at": _text(ended_at),
        "talk_seconds": leg.talk_seconds or 0,
        "authorization": authorization,
        "hangup_cause": "NORMAL_CLEARING" if answered_at else "NO_ANSWER",
    }
    return {name: value for name, value in event.items() if value or name == "answered_at"}


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
