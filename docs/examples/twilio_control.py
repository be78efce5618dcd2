#!/usr/bin/env python3
"""Twilio: acts on `call.end` through the REST API. `time_limit` of a call stays as it is, so that
`call.warning` changes nothing: register the bridge with `assumed_seconds`.

    python3 twilio_control.py

The environment names the bridge (see perminute.py), the address to listen on and its secret (see
control.py), and TWILIO_ACCOUNT_SID, TWILIO_API_KEY and TWILIO_API_SECRET (or the account's SID and
auth token). A call is found by its leg id where that is a CallSid, else in its conference by the
participant's label, which twilio_call.py sets to the authorization. Python 3.9 or later.
"""

import base64
import os
import re
from typing import Any
from urllib.parse import quote, urlencode

from vendor_api import request

CALL_SID = re.compile(r"CA[0-9a-f]{32}")


class TwilioCalls:
    """The actions of control.py on calls of Twilio."""

    def __init__(
        self, account: str, key: str, secret: str, base_url: str = "https://api.twilio.com"
    ) -> None:
        login = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self._headers = {"authorization": f"Basic {login}"}
        self._url = f"{base_url}/2010-04-01/Accounts/{quote(account, safe='')}"

    @classmethod
    def from_environment(cls) -> "TwilioCalls":
        """From the environment."""
        account = os.environ["TWILIO_ACCOUNT_SID"]
        key = os.environ.get("TWILIO_API_KEY", account)
        return cls(account, key, os.environ["TWILIO_API_SECRET"])

    def end(self, call: "dict[str, Any]") -> bool:
        """Hang up. False where there is no such call any more."""
        sid = str(call.get("leg_id") or "")
        if not CALL_SID.fullmatch(sid):
            sid = self._sid_of_participant(call)
        if not sid:
            return False
        form = urlencode({"Status": "completed"}).encode()
        headers = {**self._headers, "content-type": "application/x-www-form-urlencoded"}
        return request("POST", f"{self._url}/Calls/{sid}.json", form, headers) is not None

    def elapsed(self, call: "dict[str, Any]") -> None:
        """Twilio reports no time of an answer while a call goes on."""

    def set_end(self, call: "dict[str, Any]", seconds: float) -> bool:
        """Twilio ends a call by the `time_limit` that it began with."""
        return False

    def _sid_of_participant(self, call: "dict[str, Any]") -> str:
        name = call.get("conference")
        if not name:
            return ""
        query = urlencode({"FriendlyName": name, "Status": "in-progress"})
        found = request("GET", f"{self._url}/Conferences.json?{query}", headers=self._headers)
        label = quote(call["authorization"], safe="")
        for conference in (found or {}).get("conferences", []):
            path = f"{self._url}/Conferences/{conference['sid']}/Participants/{label}.json"
            participant = request("GET", path, headers=self._headers)
            if participant:
                return str(participant["call_sid"])
        return ""


if __name__ == "__main__":
    from control import serve

    serve(TwilioCalls.from_environment())
