#!/usr/bin/env python3
"""Azure Communication Services: acts on `call.warning` and `call.end` through Call Automation.

    python3 acs_control.py

`call.end` removes the participant. ACS bounds no call by itself, so an extension needs nothing but
Perminute's grant, which moves `call.end`. The environment names the bridge (see perminute.py), the
address to listen on and its secret (see control.py), and ACS_ENDPOINT, ACS_ACCESS_KEY and
ACS_CALLS, the folder that acs_call.py writes to. Python 3.9 or later.
"""

import os
import time
from typing import Any
from urllib.parse import quote

from acs_call import Acs, Calls, phone_number


class AcsCalls:
    """The actions of control.py on calls of ACS."""

    def __init__(self, acs: Acs, calls: Calls) -> None:
        self._acs = acs
        self._calls = calls

    @classmethod
    def from_environment(cls) -> "AcsCalls":
        """From ACS_ENDPOINT, ACS_ACCESS_KEY and ACS_CALLS."""
        acs = Acs(os.environ["ACS_ENDPOINT"], os.environ["ACS_ACCESS_KEY"])
        return cls(acs, Calls(os.environ["ACS_CALLS"]))

    def end(self, call: "dict[str, Any]") -> bool:
        """Remove the participant. False where there is none any more."""
        found = self._calls.get(call["authorization"])
        if found is None:
            return False
        connection, number, _ = found
        body = {
            "participantToRemove": phone_number(number),
            "operationContext": call["authorization"],
        }
        path = f"/calling/callConnections/{quote(connection, safe='')}/participants:remove"
        is_there = self._acs.post(path, body) is not None
        self._calls.forget(call["authorization"])
        return is_there

    def elapsed(self, call: "dict[str, Any]") -> "float | None":
        """Seconds since the call was dialled: Perminute counts from there where no answer was
        reported. None where there is no such call."""
        found = self._calls.get(call["authorization"])
        return None if found is None else max(0.0, time.time() - found[2])

    def set_end(self, call: "dict[str, Any]", seconds: float) -> bool:
        """Nothing is to be moved here."""
        return self._calls.get(call["authorization"]) is not None


if __name__ == "__main__":
    from control import serve

    serve(AcsCalls.from_environment())
