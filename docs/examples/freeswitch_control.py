#!/usr/bin/env python3
"""FreeSWITCH: acts on `call.warning` and `call.end` through the event socket (mod_event_socket).

    python3 freeswitch_control.py

The environment names the bridge (see perminute.py), the address to listen on and its secret (see
control.py), and FREESWITCH_SOCKET (127.0.0.1:8021) and FREESWITCH_PASSWORD. The leg's id is the
channel's uuid: freeswitch.lua states it in its request. Python 3.9 or later.
"""

import os
import re
import socket
import time
from typing import Any

SOCKET_SECONDS_MAX = 5.0
UUID = re.compile(r"[0-9A-Fa-f-]{1,64}")
GONE = ("-ERR No such channel", "-ERR No Such Channel")


class SocketError(OSError):
    """The event socket refused a command."""


class EventSocket:
    """One inbound connection: `with EventSocket(…) as switch: switch.api("status")`."""

    def __init__(self, address: str, password: str) -> None:
        """Connects and logs in. Raises OSError."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), SOCKET_SECONDS_MAX)
        self._file = self._socket.makefile("rb")
        self._message()  # auth/request
        if not self._send(f"auth {password}")[0].get("Reply-Text", "").startswith("+OK"):
            raise SocketError("The event socket refused the password.")

    def __enter__(self) -> "EventSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def api(self, command: str) -> str:
        """The output of an API command. Raises OSError where the connection breaks off."""
        return self._send(f"api {command}")[1]

    def _send(self, line: str) -> "tuple[dict[str, str], str]":
        if "\n" in line or "\r" in line:
            raise ValueError("a command has one line")
        self._socket.sendall(f"{line}\n\n".encode())
        while True:
            headers, body = self._message()
            if headers.get("Content-Type") in ("command/reply", "api/response"):
                return headers, body

    def _message(self) -> "tuple[dict[str, str], str]":
        headers: dict[str, str] = {}
        while True:
            line = self._file.readline().decode("utf-8", "replace")
            if not line:
                raise SocketError("The event socket closed the connection.")
            if line == "\n":
                if headers:
                    break
                continue
            name, _, value = line.rstrip("\n").partition(":")
            headers[name] = value.strip()
        length = int(headers.get("Content-Length", "0"))
        body = self._file.read(length)
        if len(body) < length:
            raise SocketError("The event socket closed the connection.")
        return headers, body.decode("utf-8", "replace")


class FreeSwitchCalls:
    """The actions of control.py on calls of FreeSWITCH."""

    def __init__(self, address: str, password: str) -> None:
        self._login = (address, password)

    @classmethod
    def from_environment(cls) -> "FreeSwitchCalls":
        """From FREESWITCH_SOCKET and FREESWITCH_PASSWORD."""
        address = os.environ.get("FREESWITCH_SOCKET", "127.0.0.1:8021")
        return cls(address, os.environ["FREESWITCH_PASSWORD"])

    def end(self, call: "dict[str, Any]") -> bool:
        """Hang up. False where there is no such call any more."""
        uuid = _uuid(call)
        if not uuid:
            return False
        with EventSocket(*self._login) as switch:
            return _done(switch.api(f"uuid_kill {uuid} ALLOTTED_TIMEOUT"))

    def elapsed(self, call: "dict[str, Any]") -> "float | None":
        """Seconds since the answer, None where there is no such call. Raises OSError while it
        rings."""
        uuid = _uuid(call)
        if not uuid:
            return None
        with EventSocket(*self._login) as switch:
            dump = switch.api(f"uuid_dump {uuid}")
        if not _done(dump):
            return None
        found = re.search(r"^Caller-Channel-Answered-Time: (\d+)", dump, re.MULTILINE)
        if found is None or int(found[1]) == 0:
            raise SocketError("The call is not answered yet.")
        return time.time() - int(found[1]) / 1_000_000

    def set_end(self, call: "dict[str, Any]", seconds: float) -> bool:
        """The call ends so many seconds from now. False where there is no such call."""
        uuid = _uuid(call)
        if not uuid:
            return False
        with EventSocket(*self._login) as switch:
            switch.api(f"sched_del {uuid}")
            hangup = f"sched_hangup +{max(1, round(seconds))} {uuid} allotted_timeout"
            return _done(switch.api(hangup))


def _uuid(call: "dict[str, Any]") -> str:
    uuid = str(call.get("leg_id") or "")
    return uuid if UUID.fullmatch(uuid) else ""


def _done(answer: str) -> bool:
    """Whether a command found its channel. Raises SocketError where it failed otherwise."""
    if answer.startswith(GONE):
        return False
    if answer.startswith("-ERR"):
        raise SocketError(answer.strip())
    return True


if __name__ == "__main__":
    from control import serve

    serve(FreeSwitchCalls.from_environment())
