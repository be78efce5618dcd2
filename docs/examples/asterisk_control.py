#!/usr/bin/env python3
"""Asterisk: acts on `call.warning` and `call.end` through the manager interface (AMI).

    python3 asterisk_control.py

The environment names the bridge (see perminute.py), the address to listen on and its secret (see
control.py), and ASTERISK_MANAGER (127.0.0.1:5038), ASTERISK_USER and ASTERISK_SECRET.

A call is the channel whose unique id is the leg's. Dial() of docs/bridges/asterisk.md bounds a call
by an absolute timeout of the channel that was dialled; `AbsoluteTimeout` moves it. Python 3.9 or
later.
"""

import os
import socket
import time
import uuid
from typing import Any

MANAGER_SECONDS_MAX = 5.0
NO_SUCH_CHANNEL = "No such channel"


class ManagerError(OSError):
    """The manager interface refused an action."""


class Manager:
    """One login to the manager interface: `with Manager(…) as manager: manager.action(…)`."""

    def __init__(self, address: str, user: str, secret: str) -> None:
        """Connects and logs in. Raises OSError."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), MANAGER_SECONDS_MAX)
        self._lines = self._socket.makefile("r", encoding="utf-8", errors="replace", newline="\r\n")
        self._lines.readline()  # the greeting
        self.action("Login", Username=user, Secret=secret, Events="off")

    def __enter__(self) -> "Manager":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def action(self, name: str, **fields: "str | list[str]") -> "list[dict[str, str]]":
        """The response and, of a list, its events. Raises ManagerError where the response is none
        of success."""
        action_id = uuid.uuid4().hex
        lines = [f"Action: {name}", f"ActionID: {action_id}"]
        for key, value in fields.items():
            values = value if isinstance(value, list) else [value]
            if any("\r" in each or "\n" in each for each in values):
                raise ValueError("a field has one line")
            lines += [f"{key}: {each}" for each in values]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        found = []
        while True:
            message = self._message()
            if message.get("ActionID") != action_id:
                continue
            if message.get("Response") == "Error":
                raise ManagerError(message.get("Message", "refused"))
            found.append(message)
            is_list = found[0].get("EventList", "").lower() == "start"
            if not is_list or message.get("EventList", "").lower() == "complete":
                return found

    def _message(self) -> "dict[str, str]":
        message: dict[str, str] = {}
        while line := self._lines.readline():
            if line == "\r\n":
                return message
            name, _, value = line.rstrip("\r\n").partition(":")
            message[name] = value.strip()
        raise OSError("The manager interface closed the connection.")

    def channel(self, leg_id: str) -> "str | None":
        """The name of the channel with that unique id, None where it has ended."""
        channels = self.action("CoreShowChannels")
        names = [each["Channel"] for each in channels if each.get("Uniqueid") == leg_id]
        return names[0] if names else None

    def variable(self, channel: str, name: str) -> str:
        """A channel variable or function, "" where it has no value or the channel has ended."""
        try:
            return self.action("Getvar", Channel=channel, Variable=name)[0].get("Value", "")
        except ManagerError:
            return ""


class AsteriskCalls:
    """The actions of control.py on calls of Asterisk."""

    def __init__(self, address: str, user: str, secret: str) -> None:
        self._login = (address, user, secret)

    @classmethod
    def from_environment(cls) -> "AsteriskCalls":
        """From ASTERISK_MANAGER, ASTERISK_USER and ASTERISK_SECRET."""
        address = os.environ.get("ASTERISK_MANAGER", "127.0.0.1:5038")
        return cls(address, os.environ["ASTERISK_USER"], os.environ["ASTERISK_SECRET"])

    def end(self, call: "dict[str, Any]") -> bool:
        """Hang up. False where there is no such call any more."""
        with Manager(*self._login) as manager:
            channel = manager.channel(call.get("leg_id") or "")
            if channel is None:
                return False
            try:
                manager.action("Hangup", Channel=channel, Cause="16")
            except ManagerError as error:
                if NO_SUCH_CHANNEL in str(error):
                    return False
                raise
        return True

    def elapsed(self, call: "dict[str, Any]") -> "float | None":
        """Seconds since the answer, None where there is no such call. Raises OSError while it
        rings."""
        with Manager(*self._login) as manager:
            if manager.channel(call.get("leg_id") or "") is None:
                return None
            dialled = self._dialled(manager, call)
            at = manager.variable(dialled, "PERMINUTE_ANSWERED_AT") if dialled else ""
        if not at:
            raise ManagerError("The call is not answered yet.")
        return time.time() - float(at)

    def set_end(self, call: "dict[str, Any]", seconds: float) -> bool:
        """The call ends so many seconds from now. False where there is no such call."""
        with Manager(*self._login) as manager:
            dialled = self._dialled(manager, call)
            if not dialled:
                return False
            manager.action("AbsoluteTimeout", Channel=dialled, Timeout=f"{max(0.1, seconds):.3f}")
        return True

    def _dialled(self, manager: Manager, call: "dict[str, Any]") -> str:
        channel = manager.channel(call.get("leg_id") or "")
        return manager.variable(channel, "DIALEDPEERNAME") if channel else ""


if __name__ == "__main__":
    from control import serve

    serve(AsteriskCalls.from_environment())
