#!/usr/bin/env python3
"""Asterisk: an AGI script that asks before a dial-out and tells how the leg ended.

    [outbound]
    exten => _+X.,1,AGI(asterisk_agi.py,ask,${EXTEN},${CONFERENCE})
     same => n,GotoIf($["${PERMINUTE_DECISION}" != "allow"]?denied)
     same => n,Set(CHANNEL(hangup_handler_push)=perminute-ended,s,1)
     same => n,Dial(PJSIP/${PERMINUTE_NUMBER}@trunk,90,L(${PERMINUTE_MS}))
     same => n,Hangup()
     same => n(denied),Playback(call-denied)

    [perminute-ended]
    exten => s,1,AGI(asterisk_agi.py,ended,${EXTEN},${CONFERENCE})
     same => n,Return()

`L(ms)` ends the call at the granted seconds: enforced by Asterisk. It can't be moved while the call
goes on; `AbsoluteTimeout` of the manager interface can, for calls that are extended. `cdr.conf`
needs `endbeforehexten=yes`, so that a hangup handler sees the end of the call. The variables
PERMINUTE_URL, PERMINUTE_BRIDGE, PERMINUTE_USER and PERMINUTE_SECRET are the script's environment.
"""

import os
import sys
from datetime import UTC, datetime

from perminute import Perminute

MILLISECONDS = 1000


def main(arguments: list[str]) -> int:
    """`ask NUMBER CONFERENCE` or `ended NUMBER CONFERENCE`, as Asterisk calls it."""
    _read_environment()
    what, number, conference = arguments
    perminute = Perminute(
        os.environ["PERMINUTE_URL"],
        os.environ["PERMINUTE_BRIDGE"],
        os.environ["PERMINUTE_USER"],
        os.environ["PERMINUTE_SECRET"],
    )
    if what == "ask":
        _ask(perminute, number, conference)
    else:
        _ended(perminute, conference)
    return 0


def _ask(perminute: Perminute, number: str, conference: str) -> None:
    answer = perminute.dial_out(number, conference_id=conference, leg_id=_get("UNIQUEID"))
    _set("PERMINUTE_DECISION", answer["decision"])
    _set("PERMINUTE_REASON", answer.get("reason", ""))
    if answer["decision"] == "allow":
        _set("PERMINUTE_AUTHORIZATION", answer.get("authorization", ""))
        _set("PERMINUTE_NUMBER", answer.get("destination", {}).get("number", number))
        _set("PERMINUTE_MS", str(answer["granted_seconds"] * MILLISECONDS))


def _ended(perminute: Perminute, conference: str) -> None:
    """Asterisk counts whole seconds since 1970 in CDR(…,u); 0 where nobody answered."""
    answered = float(_get("CDR(answer,u)") or 0)
    leg = {
        "leg_id": _get("UNIQUEID"),
        "conference_id": conference,
        "kind": "dial_out",
        "from": _get("CALLERID(num)") or None,
        "to": _get("PERMINUTE_NUMBER"),
        "started_at": _time(_get("CDR(start,u)")),
        "answered_at": _time(str(answered)) if answered else None,
        "ended_at": _time(_get("CDR(end,u)")),
        "talk_seconds": int(_get("CDR(billsec)") or 0),
        "authorization": _get("PERMINUTE_AUTHORIZATION") or None,
    }
    perminute.ended({name: value for name, value in leg.items() if value is not None or answered})


def _time(seconds: str) -> str:
    moment = datetime.fromtimestamp(int(float(seconds)), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_environment() -> None:
    while sys.stdin.readline().strip():
        pass


def _command(text: str) -> str:
    print(text, flush=True)
    return sys.stdin.readline().strip()


def _set(name: str, value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    _command(f'SET VARIABLE {name} "{escaped}"')


def _get(name: str) -> str:
    """`200 result=1 (the value)`, or `200 result=0` where there is none."""
    answer = _command(f'GET FULL VARIABLE "${{{name}}}"')
    return answer.partition("(")[2].removesuffix(")") if "result=1" in answer else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
