"""A stand-in for FreeSWITCH and sipp, so that tests.bridges.freeswitch runs where neither is.

`python -m tests.bridges.stand_in freeswitch|sipp ARGUMENTS`. Calls are datagrams, and no speech.
The switch reads the configuration that FreeSWITCH would read, serves the commands of the event
socket that the adapter and the script use, does the work of freeswitch.lua, and posts records as
mod_json_cdr does. The phones have the behaviours of sipp/phones.xml.
"""

import base64
import contextlib
import itertools
import json
import re
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import quote

ANSWERS_AFTER_SECONDS = 0.3
TALKS_SECONDS = {"2": 8.5, "8": 20.5}
REFUSES = {"4": (486, "USER_BUSY"), "5": (603, "CALL_REJECTED"), "6": (404, "UNALLOCATED_NUMBER")}
RINGS = "3"


@dataclass
class Call:
    """A channel. `ends_at` is when the switch hangs up; `is_over` says that someone did."""

    number: str
    conference: str
    is_outbound: bool
    variables: dict[str, str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started_at: float = field(default_factory=time.time)
    answered_at: float = 0.0
    ends_at: float = float("inf")
    cause: str = "NORMAL_CLEARING"
    is_over: threading.Event = field(default_factory=threading.Event)


def log_message(file: Path, call_id: str, method: str, first_line: str) -> None:
    """A line of sipp's log of short messages."""
    row = ["-", "-", f"{time.time():.6f}", "S", call_id, f"CSeq:1 {method}", first_line]
    with file.open("a") as log:
        log.write("\t".join(row) + "\n")


def log_answer(file: Path, call_id: str, status: int) -> None:
    """The answer of a phone."""
    log_message(file, call_id, "INVITE", f"SIP/2.0 {status} Answer")


class Switch:
    """FreeSWITCH, as far as the scenarios see it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        document = ET.parse(folder / "freeswitch.xml").getroot()
        self._settings = {
            each.get("name", ""): each.get("value", "") for each in document.iter("param")
        }
        named = [each.get("data", "").partition("=") for each in document.iter("X-PRE-PROCESS")]
        self._globals = {name: value for name, _, value in named}
        self._calls: dict[str, Call] = {}

    def serve(self) -> None:
        """Serve callers and the event socket until the process is ended."""
        switch, password = self, self._settings["password"]

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"Content-Type: auth/request\n\n")
                while line := self.rfile.readline().decode().strip("\n"):
                    self.rfile.readline()
                    verb, _, command = line.partition(" ")
                    if verb == "auth":
                        reply = "+OK accepted" if command == password else "-ERR invalid"
                        text = f"Content-Type: command/reply\nReply-Text: {reply}\n\n"
                    else:
                        body = switch.command(command)
                        size = len(body.encode())
                        text = f"Content-Type: api/response\nContent-Length: {size}\n\n{body}"
                    self.wfile.write(text.encode())

        class Server(ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        threading.Thread(target=self._serve_callers, daemon=True).start()
        address = "127.0.0.1", int(self._settings["listen-port"])
        with Server(address, Handler) as server:
            server.serve_forever()

    def command(self, command: str) -> str:
        """What an API command prints."""
        name, _, rest = command.partition(" ")
        if name == "sofia":
            return "external RUNNING (0)\n"
        if name == "bgapi":
            words = rest.split()
            assert words[:2] == ["luarun", "freeswitch.lua"], command
            threading.Thread(target=self._dial, args=words[2:], daemon=True).start()
            return "+OK Job-UUID: 1\n"
        delay, _, target = rest.partition(" ") if name == "sched_hangup" else ("", "", rest)
        call = self._calls.get(target.split()[0])
        if call is None:
            return "-ERR No such channel!\n"
        if name == "uuid_kill":
            call.cause = target.split()[1]
            call.is_over.set()
        elif name == "uuid_dump":
            return f"Caller-Channel-Answered-Time: {int(call.answered_at * 1_000_000)}\n"
        elif name == "sched_hangup":
            call.ends_at = time.time() + int(delay)
        return "+OK\n"

    def _dial(self, number: str, conference: str, ring_seconds: str = "90") -> None:
        """What freeswitch.lua does, and the phone that it dials."""
        caller = self._globals["perminute_caller_id"]
        call = Call(number, conference, is_outbound=True, variables={})
        body = {"to": number, "conference_id": conference, "leg_id": call.id, "from": caller}
        answer = self._post("dial-outs", body, key=call.id)
        if answer is None or answer["decision"] != "allow":
            return
        call.variables = {"perminute_authorization": answer["authorization"]}
        self._calls[call.id] = call
        log, behaviour = self._folder / "phones.csv", number[-1]
        log_message(log, call.id, "INVITE", f"INVITE sip:{number}@127.0.0.1 SIP/2.0")
        time.sleep(ANSWERS_AFTER_SECONDS)
        if behaviour in REFUSES:
            status, call.cause = REFUSES[behaviour]
            log_answer(log, call.id, status)
        elif behaviour == RINGS:
            call.is_over.wait(float(ring_seconds))
            call.cause = "NO_ANSWER"
            log_answer(log, call.id, 487)
        else:
            log_answer(log, call.id, 200)
            call.answered_at = time.time()
            call.ends_at = call.answered_at + answer["granted_seconds"]
            self._talk(call, TALKS_SECONDS.get(behaviour, float("inf")))
            log_message(log, call.id, "BYE", f"BYE sip:{number}@127.0.0.1 SIP/2.0")
        self._end(call)
        if not call.answered_at:
            body = {"authorization": answer["authorization"], "release": True}
            place = quote(answer["authorization"], safe="")
            self._post(f"dial-outs/{place}/release", body, key=call.id)

    def _talk(self, call: Call, seconds: float) -> None:
        """Until the phone hangs up, the schedule ends the call, or someone does."""
        phone_ends_at = time.time() + seconds
        while (left := min(phone_ends_at, call.ends_at) - time.time()) > 0:
            if call.is_over.wait(min(left, 0.05)):
                return
        if call.ends_at <= time.time():
            call.cause = "ALLOTTED_TIMEOUT"

    def _serve_callers(self) -> None:
        """Each datagram is the number and the caller of a call, or the end of one."""
        callers: dict[str, Call] = {}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", int(self._settings["sip-port"])))
            while True:
                data, address = phone.recvfrom(4096)
                event = json.loads(data)
                if (call := callers.pop(event["call"], None)) is not None:
                    threading.Thread(target=self._end, args=(call,), daemon=True).start()
                    continue
                found = re.fullmatch(r"\+4989123450(\d\d)", event["number"])
                assert found is not None, event
                call = Call(event["number"], f"30{found[1]}", is_outbound=False, variables={})
                call.variables = {"caller": event["caller"]}
                call.answered_at = time.time()
                callers[event["call"]] = self._calls[call.id] = call
                phone.sendto(b"200", address)

    def _end(self, call: Call) -> None:
        """Post the record of a channel, else keep it in the error folder."""
        self._calls.pop(call.id, None)
        ended_at = time.time()
        caller = call.variables.pop("caller", self._globals["perminute_caller_id"])
        variables = {
            "uuid": call.id,
            "direction": "outbound" if call.is_outbound else "inbound",
            "conference_name": call.conference,
            "perminute_to": quote(call.number, safe=""),
            "hangup_cause": call.cause,
            "start_uepoch": str(int(call.started_at * 1_000_000)),
            "answer_uepoch": str(int(call.answered_at * 1_000_000)),
            "end_uepoch": str(int(ended_at * 1_000_000)),
            "billsec": str(int(ended_at) - int(call.answered_at) if call.answered_at else 0),
            **{name: quote(value, safe="") for name, value in call.variables.items()},
        }
        record = {
            "channel_data": {"direction": variables["direction"]},
            "variables": variables,
            "callflow": [{"caller_profile": {"ani": caller, "destination_number": call.number}}],
        }
        url = f"{self._settings['url']}?uuid={call.id}"
        if self._send(url, self._settings["cred"], record, {}) is None:
            file = Path(self._settings["err-log-dir"]) / f"{call.id}.cdr.json"
            file.write_text(json.dumps(record))

    def _post(self, path: str, body: dict[str, Any], *, key: str) -> dict[str, Any] | None:
        found = re.fullmatch(r"(\w+://)([^@]*)@(.*)", self._globals["perminute_url"])
        assert found is not None
        headers = {"idempotency-key": key}
        return self._send(f"{found[1]}{found[3]}/{path}", found[2], body, headers)

    def _send(
        self, url: str, login: str, body: dict[str, Any], headers: dict[str, str]
    ) -> dict[str, Any] | None:
        """As curl does with CURLAUTH_ANY: first without credentials. None where nothing came."""
        proof = "Basic " + base64.b64encode(login.encode()).decode()
        content = json.dumps(body).encode()
        for more in ({}, {"authorization": proof}):
            fields = {"content-type": "application/json", **headers, **more}
            request = urllib.request.Request(url, data=content, headers=fields)
            with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(request) as found:
                return dict(json.loads(found.read()))
        return None


def call(arguments: list[str]) -> None:
    """The caller of sipp/caller.xml: hangs up after `-d` milliseconds."""
    values = dict(itertools.pairwise(arguments))
    host, _, port = arguments[0].partition(":")
    log, name = Path(values["-shortmessage_file"]), str(uuid.uuid4())
    number, caller = values["-s"], values["caller"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(30)
        phone.connect((host, int(port)))
        log_message(log, name, "INVITE", f"INVITE sip:{number}@127.0.0.1 SIP/2.0")
        phone.send(json.dumps({"call": name, "number": number, "caller": caller}).encode())
        assert phone.recv(16) == b"200"
        log_answer(log, name, 200)
        time.sleep(int(values["-d"]) / 1_000)
        log_message(log, name, "BYE", f"BYE sip:{number}@127.0.0.1 SIP/2.0")
        phone.send(json.dumps({"call": name}).encode())


def main() -> None:
    """Be FreeSWITCH, a caller, or the phones, which the switch plays itself."""
    program, *arguments = sys.argv[1:]
    if program == "freeswitch":
        Switch(Path(arguments[arguments.index("-conf") + 1])).serve()
    elif "-key" in arguments:
        call(arguments)
    else:
        signal.pause()


if __name__ == "__main__":
    main()
