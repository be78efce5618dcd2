"""Hangup causes of unanswered legs; some of them free the hold (docs/dial-out.md).

A cause of the called party, or of the whole attempt, ends the call: no later attempt is answered. A
cause about the route or about a race keeps the hold: the bridge may try another gateway, or another
leg of the same call was answered. An unknown cause keeps the hold too.
"""

import re

_Q850 = frozenset({1, 17, 18, 19, 21, 28})
_SIP = frozenset({404, 484, 486, 487, 600, 603, 604})
# FreeSWITCH numbers causes of its own from 500 on, among them 600, 603 and 604
_BARE = _Q850 | {404, 484, 486, 487}
_NAMES = frozenset(
    {
        # Q.850 1, 17, 18, 19, 21, 28
        *("UNALLOCATED", "UNALLOCATED_NUMBER", "UNASSIGNED_NUMBER"),
        *("UNALLOCATED_UNASSIGNED_NUMBER", "UNALLOCATED_OR_UNASSIGNED_NUMBER"),
        *("BUSY", "USER_BUSY", "SUBSCRIBER_BUSY"),
        *("NO_USER_RESPONSE", "NO_USER_RESPONDING"),
        *("NO_ANSWER", "NOANSWER", "NO_ANSWER_FROM_USER", "USER_ALERTING_NO_ANSWER"),
        *("NO_ANSWER_FROM_USER_USER_ALERTED", "ALERTING_NO_ANSWER"),
        *("CALL_REJECTED", "REJECTED", "USER_REJECTED"),
        *("INVALID_NUMBER_FORMAT", "ADDRESS_INCOMPLETE", "INVALID_NUMBER"),
        "INVALID_NUMBER_FORMAT_ADDRESS_INCOMPLETE",
        # The caller gave up
        *("ORIGINATOR_CANCEL", "CANCEL", "CANCELED", "CANCELLED", "REQUEST_TERMINATED"),
        # SIP's phrases
        *("BUSY_HERE", "BUSY_EVERYWHERE", "DECLINE", "DECLINED", "NOT_FOUND"),
        "DOES_NOT_EXIST_ANYWHERE",
    }
)
_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
_REASON = re.compile(r"(Q\.?850|SIP)\b.*?\bcause\s*=\s*([0-9]{1,3})\b.*", re.ASCII | re.I | re.S)
_PREFIXED = re.compile(r"(Q\.?850|SIP)[\s:;/-]*([0-9]{1,3})(?:\D.*)?", re.ASCII | re.I | re.S)
_LED = re.compile(r"([0-9]{1,3})[\s:;,/-]+\D.*", re.ASCII | re.S)
_AST = re.compile(r"(?:AST_CAUSE|SWITCH_CAUSE)_")


def frees_hold(cause: str | None) -> bool:
    """True if an unanswered leg with this cause frees its hold: a Q.850 or SIP number, or a name of
    FreeSWITCH, Asterisk or SIP, in any case. A missing cause frees the hold too."""
    text = (cause or "").strip()
    if not text:
        return True
    if _NUMBER.fullmatch(text):
        return int(text) in _BARE
    if match := _REASON.fullmatch(text) or _PREFIXED.fullmatch(text):
        causes = _SIP if match[1].upper() == "SIP" else _Q850
        return int(match[2]) in causes
    if match := _LED.fullmatch(text):
        return int(match[1]) in _BARE
    name = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
    return _AST.sub("", name, count=1) in _NAMES
