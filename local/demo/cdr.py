"""A FreeSWITCH record as mod_json_cdr posts it, in its three encodings and with its oddities."""

import base64
import json
from datetime import datetime
from urllib.parse import quote

from local.demo.meeting import DemoLeg
from local.demo.wire import JSON_TYPE, Json

FORM_TYPE = "application/x-www-form-urlencoded"


def record_of(leg: DemoLeg, began_at: datetime, authorization: str | None) -> bytes:
    """The JSON text of a record: variables percent-encoded, and a bare `nan` that is no JSON."""
    started_at, answered_at, ended_at = leg.times(began_at)
    is_outbound = leg.kind == "dial_out"
    variables = {
        "direction": "outbound" if is_outbound else "inbound",
        "uuid": leg.id,
        "sip_from_user": leg.caller,
        "sip_to_user": leg.to,
        "conference_name": leg.conference,
        "perminute_authorization": authorization,
        "hangup_cause": "NORMAL_CLEARING",
        "start_uepoch": _microseconds(started_at),
        "answer_uepoch": _microseconds(answered_at),
        "end_uepoch": _microseconds(ended_at),
        "billsec": leg.talk_seconds or 0,
    }
    profile = {
        "ani": leg.caller,
        # FreeSWITCH puts the number that is called here when it calls
        "caller_id_number": leg.to if is_outbound else leg.caller,
        "destination_number": leg.to,
        "uuid": leg.id,
    }
    times = {
        "created_time": str(_microseconds(started_at)),
        "answered_time": str(_microseconds(answered_at)),
        "hangup_time": str(_microseconds(ended_at)),
    }
    record: Json = {
        "core-uuid": "3f6f1d5e-5f0b-4c53-a0d4-2f8d5f4b7a10",
        "channel_data": {"state": "CS_REPORTING", "direction": variables["direction"]},
        "callStats": {"audio": {"inbound": {"mos": float("nan")}}},
        "variables": {
            name: quote(str(value), safe="") for name, value in variables.items() if value
        },
        "callflow": [{"dialplan": "XML", "caller_profile": profile, "times": times}],
    }
    return json.dumps(record, separators=(",", ":")).replace("NaN", "nan").encode()


def posted(record: bytes, encoding: str) -> tuple[bytes, str]:
    """(body, content type) of a post: `raw`, `form` (`encode=true`) or `base64`."""
    if encoding == "form":
        return b"cdr=" + quote(record).encode(), FORM_TYPE
    if encoding == "base64":
        return b"cdr=" + base64.b64encode(record), FORM_TYPE
    return record, JSON_TYPE


def _microseconds(moment: datetime | None) -> int:
    return int(moment.timestamp()) * 1_000_000 if moment else 0
