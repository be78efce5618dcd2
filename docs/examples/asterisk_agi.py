#!/usr/bin/env python3
"""Asterisk: an AGI script that authorizes a dial-out and reports the end of each leg.

The dial plan that calls it is in docs/bridges/asterisk.md:

    AGI(asterisk_agi.py,ask,NUMBER)   sets PERMINUTE_DECISION, _REASON, _AUTHORIZATION, _NUMBER and
                                      _SECONDS
    AGI(asterisk_agi.py,ended)        in a hangup handler: puts the channel's record into the spool
    asterisk_agi.py answered AU TIME  as a command: puts the time of an answer into the spool

It reads the channel variables PERMINUTE_TO (the number of the leg), PERMINUTE_CONFERENCE,
PERMINUTE_ANSWERED_AT and PERMINUTE_ENDED_AT (seconds since 1970; the first of a dial-out is shared
by the channel that was dialled), and, if set, PERMINUTE_ACCOUNT and PERMINUTE_REQUESTED_SECONDS.
The environment of Asterisk names the bridge (see perminute.py) and
PERMINUTE_SPOOL, the folder that `spool.py` posts from. Python 3.9 or later.
"""

import os
import signal
import sys
import time
from typing import Any

from perminute import Perminute, answered_of, release_of
from spool import Spool


class HungUp(Exception):
    """Asterisk no longer answers: the channel is gone."""


def main(arguments: "list[str]") -> int:
    """`ask NUMBER` or `ended`, as Asterisk calls the script, or `answered AUTHORIZATION TIME`."""
    # A caller who hangs up during the request must not end the script before the answer is
    # there: the hold could not be released.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    spool = Spool(os.environ["PERMINUTE_SPOOL"])
    if arguments[0] == "answered":
        spool.put(*answered_of(arguments[1], float(arguments[2])))
        return 0
    while sys.stdin.readline().strip():
        pass  # the variables of the AGI session
    if arguments[0] == "ask":
        ask(arguments[1], spool)
    elif get("PERMINUTE_DECISION") != "deny":
        ended(spool)  # what is denied was never dialled
    return 0


def ask(number: str, spool: Spool) -> None:
    """Request the dial-out, and set the variables of the answer. Release the hold if the caller has
    left by then."""
    question: dict[str, Any] = {"leg_id": get("UNIQUEID"), "conference_id": _conference()}
    if account := get("PERMINUTE_ACCOUNT"):
        question["account"] = account
    if caller := get("CALLERID(num)"):
        question["from"] = caller
    if seconds := get("PERMINUTE_REQUESTED_SECONDS"):
        question["requested_seconds"] = int(seconds)
    question = {name: value for name, value in question.items() if value is not None}
    answer: dict[str, Any] = {"decision": "deny", "reason": "refused"}
    try:
        answer = Perminute.from_environment().dial_out(number, **question)
    except OSError as error:
        print(f"asterisk_agi.py: {error}", file=sys.stderr)
    if "key" in answer:
        spool.put("dial-outs", {"to": number, **question}, answer["key"])
    authorization = answer.get("authorization", "")
    try:
        set_variable("PERMINUTE_AUTHORIZATION", authorization)
        set_variable("PERMINUTE_REASON", answer.get("reason", ""))
        set_variable("PERMINUTE_NUMBER", answer.get("destination", {}).get("number", number))
        set_variable("PERMINUTE_SECONDS", str(answer.get("granted_seconds", 0)))
        set_variable("PERMINUTE_DECISION", answer["decision"])
    except (HungUp, OSError):
        if authorization:
            spool.put(*release_of(authorization))


def ended(spool: Spool) -> None:
    """Put the leg's record into the spool and, for an unanswered leg, the release of its hold: a
    cause such as 34 (no circuit) keeps the hold for another attempt, and this channel makes
    none."""
    found = record()
    try:
        spool.put("call-ended", found)
    except OSError as error:  # a full disk
        print(f"asterisk_agi.py: not spooled: {error}", file=sys.stderr)
        Perminute.from_environment().ended(found)
        return
    if "answer" not in found and "authorization" in found:
        spool.put(*release_of(found["authorization"]))


def record() -> "dict[str, Any]":
    """The call detail record of the channel, dialect `asterisk`.

    The times are the stamps of the dial plan. Asterisk's own records differ: a member of a
    conference may have several, of which CDR() reads the last.
    """
    answered = _number("PERMINUTE_ANSWERED_AT") or _number("SHARED(PERMINUTE_ANSWERED_AT)")
    ended = max(_number("PERMINUTE_ENDED_AT") or time.time(), answered)
    disposition = get("CDR(disposition)") or ""
    if answered:
        disposition = "ANSWERED"
    elif disposition in ("", "ANSWERED"):
        disposition = "NO ANSWER"
    found = {
        "uniqueid": get("UNIQUEID"),
        "channel": get("CHANNEL"),
        "dcontext": get("CDR(dcontext)"),
        "src": get("CALLERID(num)"),
        "dst": get("PERMINUTE_NUMBER") or get("PERMINUTE_TO"),
        "start": min(_number("CDR(start,u)") or ended, answered or ended),
        "answer": answered or None,
        "end": ended,
        "billsec": int(ended - answered) if answered else 0,
        "disposition": disposition,
        "conference": _conference(),
        "account": get("PERMINUTE_ACCOUNT"),
        "authorization": get("PERMINUTE_AUTHORIZATION"),
        "hangupcause": get("HANGUPCAUSE"),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _conference() -> "str | None":
    return get("PERMINUTE_CONFERENCE")


def _number(name: str) -> float:
    """A time in seconds; 0 where there is none."""
    try:
        return float(get(name) or 0)
    except ValueError:
        return 0.0


def set_variable(name: str, value: str) -> None:
    """Set a channel variable. Raises HungUp and OSError where the channel is gone."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    _command(f'SET VARIABLE {name} "{escaped}"')


def get(name: str) -> "str | None":
    """`200 result=1 (the value)`, or `200 result=0` where there is none."""
    answer = _command(f'GET FULL VARIABLE "${{{name}}}"')
    if "result=1" not in answer:
        return None
    value = answer.partition("(")[2]
    return value[:-1] if value.endswith(")") else value


def _command(text: str) -> str:
    print(text, flush=True)
    answer = sys.stdin.readline()
    if not answer or answer.startswith(("511", "HANGUP")):
        raise HungUp
    return answer.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
