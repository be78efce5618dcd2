"""The adapters of docs/examples that act on calls, with the vendor played by the test."""

import base64
import hashlib
import hmac
import json
import socketserver
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.client import basic
from tests.unit.examples.conftest import Vendor

type Example = Callable[[str], ModuleType]
CALL = {"authorization": "au_1.contoso", "leg_id": "7", "conference": "3001"}
SID = "CA" + "0" * 32
KEY = base64.b64encode(b"an access key").decode()


class Switch(socketserver.ThreadingTCPServer):
    """A text protocol: `talk` is given each connection's reader and writer."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, talk: Callable[[Any, Any], None]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                talk(self.rfile, self.wfile)

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class EventSocket:
    """FreeSWITCH's side of the event socket with one channel."""

    def __init__(self, answered_at: float = 0.0) -> None:
        self.channels = {"9f2c-1": answered_at}
        self.commands: list[str] = []

    def talk(self, reader: Any, writer: Any) -> None:
        writer.write(b"Content-Type: auth/request\n\n")
        for raw in reader:
            line = raw.decode().strip()
            if line.startswith("auth "):
                text = "+OK accepted" if line == "auth ClueCon" else "-ERR invalid"
                writer.write(f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode())
            elif line:
                self.commands.append(line)
                answer = self._api(line.removeprefix("api ").split()).encode()
                # An unrelated event comes between
                writer.write(b"Content-Type: text/disconnect-notice\nContent-Length: 2\n\nhi")
                length = f"Content-Length: {len(answer)}\n\n".encode()
                writer.write(b"Content-Type: api/response\n" + length + answer)

    def _api(self, words: list[str]) -> str:
        uuid = words[-2] if words[0] in {"uuid_kill", "sched_hangup"} else words[-1]
        if words[0] == "sched_hangup":
            uuid = words[2]
        if uuid not in self.channels:
            return "-ERR No such channel!\n"
        if words[0] == "uuid_kill":
            del self.channels[uuid]
        if words[0] == "uuid_dump":
            microseconds = round(self.channels[uuid] * 1_000_000)
            return f"Event-Name: CHANNEL_DATA\nCaller-Channel-Answered-Time: {microseconds}\n"
        return "+OK\n"


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[Any, Any], None]], str]]:
    """Serves a text protocol; gives its address."""
    running: list[tuple[Switch, threading.Thread]] = []

    def serve(talk: Callable[[Any, Any], None]) -> str:
        switch = Switch(talk)
        thread = threading.Thread(target=switch.serve_forever, args=(0.01,))
        thread.start()
        running.append((switch, thread))
        return switch.address

    yield serve
    for switch, thread in running:
        switch.shutdown()
        switch.server_close()
        thread.join()


def test_freeswitch_hangs_up_and_moves_the_end(example: Example, served: Any) -> None:
    switch = EventSocket(time.time() - 100)
    calls = example("freeswitch_control").FreeSwitchCalls(served(switch.talk), "ClueCon")
    call = CALL | {"leg_id": "9f2c-1"}
    assert 99 < calls.elapsed(call) < 130
    assert calls.set_end(call, 800.4) is True
    assert calls.end(call) is True
    assert calls.end(call) is False
    assert calls.elapsed(call) is None
    assert calls.set_end(call, 5) is False
    assert switch.commands[:4] == [
        "api uuid_dump 9f2c-1",
        "api sched_del 9f2c-1",
        "api sched_hangup +800 9f2c-1 allotted_timeout",
        "api uuid_kill 9f2c-1 ALLOTTED_TIMEOUT",
    ]


def test_freeswitch_raises_while_a_call_rings_and_for_a_wrong_password(
    example: Example, served: Any
) -> None:
    address = served(EventSocket().talk)
    module = example("freeswitch_control")
    with pytest.raises(OSError, match="not answered"):
        module.FreeSwitchCalls(address, "ClueCon").elapsed(CALL | {"leg_id": "9f2c-1"})
    with pytest.raises(OSError, match="password"):
        module.FreeSwitchCalls(address, "wrong").end(CALL | {"leg_id": "9f2c-1"})


@pytest.mark.parametrize("leg_id", [None, "", "7 \n\napi shutdown", "a b"])
def test_a_leg_id_that_is_no_uuid_is_no_command(example: Example, leg_id: str | None) -> None:
    calls = example("freeswitch_control").FreeSwitchCalls("127.0.0.1:9", "x")
    assert calls.end(CALL | {"leg_id": leg_id}) is False
    assert calls.elapsed(CALL | {"leg_id": leg_id}) is None


class Manager:
    """Asterisk's side of the manager interface with a channel that dialled another."""

    def __init__(self, answered_at: str) -> None:
        self.channels = {"ast1-7.1": "Local/+44@out-0;2"}
        self.variables = {
            ("Local/+44@out-0;2", "DIALEDPEERNAME"): "PJSIP/trunk-1" if answered_at else "",
            ("PJSIP/trunk-1", "PERMINUTE_ANSWERED_AT"): answered_at,
        }
        self.actions: list[dict[str, str]] = []

    def talk(self, reader: Any, writer: Any) -> None:
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        fields: dict[str, str] = {}
        for raw in reader:
            line = raw.decode().rstrip("\r\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            writer.write(b"Event: FullyBooted\r\nStatus: Fully Booted\r\n\r\n")
            for message in self._act(fields):
                head = {"ActionID": fields["ActionID"]} | message
                text = "".join(f"{name}: {value}\r\n" for name, value in head.items())
                writer.write(f"{text}\r\n".encode())
            fields = {}

    def _act(self, fields: dict[str, str]) -> list[dict[str, str]]:
        self.actions.append(fields)
        action, channel = fields["Action"], fields.get("Channel", "")
        if action == "CoreShowChannels":
            rows = [
                {"Event": "CoreShowChannel", "Channel": name, "Uniqueid": uniqueid}
                for uniqueid, name in self.channels.items()
            ]
            start = {"Response": "Success", "EventList": "start"}
            return [start, *rows, {"Event": "CoreShowChannelsComplete", "EventList": "Complete"}]
        if action == "Getvar":
            value = self.variables.get((channel, fields["Variable"]), "")
            return [{"Response": "Success", "Variable": fields["Variable"], "Value": value}]
        if action == "Hangup":
            self.channels.clear()
        if action == "Login" and fields["Secret"] != "secret":
            return [{"Response": "Error", "Message": "Authentication failed"}]
        return [{"Response": "Success"}]


def test_asterisk_hangs_up_and_moves_the_end(example: Example, served: Any) -> None:
    manager = Manager(f"{time.time() - 100:.6f}")
    calls = example("asterisk_control").AsteriskCalls(served(manager.talk), "perminute", "secret")
    call = CALL | {"leg_id": "ast1-7.1"}
    assert 99 < calls.elapsed(call) < 130
    assert calls.set_end(call, 800.25) is True
    moved = manager.actions[-1]
    assert (moved["Action"], moved["Channel"]) == ("AbsoluteTimeout", "PJSIP/trunk-1")
    assert moved["Timeout"] == "800.250"
    assert calls.end(call) is True
    assert calls.end(call) is False
    assert calls.elapsed(call) is None
    assert calls.set_end(call, 5) is False


def test_asterisk_raises_while_a_call_rings_and_for_a_wrong_secret(
    example: Example, served: Any
) -> None:
    address = served(Manager("").talk)
    module = example("asterisk_control")
    with pytest.raises(OSError, match="not answered"):
        module.AsteriskCalls(address, "perminute", "secret").elapsed(CALL | {"leg_id": "ast1-7.1"})
    with pytest.raises(OSError, match="Authentication"):
        module.AsteriskCalls(address, "perminute", "wrong").end(CALL)


def test_twilio_completes_the_call_of_a_participant(example: Example, vendor: Vendor) -> None:
    conferences = {"conferences": [{"sid": "CF1"}, {"sid": "CF2"}]}
    vendor.answers = [
        (200, json.dumps(conferences).encode()),
        (404, b"{}"),
        (200, json.dumps({"call_sid": SID}).encode()),
        (200, b"{}"),
    ]
    calls = example("twilio_control").TwilioCalls("AC1", "SK1", "secret", vendor.url)
    assert calls.end(CALL) is True
    paths = [(method, urlsplit(path).path) for method, path, _, _ in vendor.requests]
    base = "/2010-04-01/Accounts/AC1"
    assert paths == [
        ("GET", f"{base}/Conferences.json"),
        ("GET", f"{base}/Conferences/CF1/Participants/au_1.contoso.json"),
        ("GET", f"{base}/Conferences/CF2/Participants/au_1.contoso.json"),
        ("POST", f"{base}/Calls/{SID}.json"),
    ]
    query = parse_qs(urlsplit(vendor.requests[0][1]).query)
    assert query == {"FriendlyName": ["3001"], "Status": ["in-progress"]}
    _, _, fields, body = vendor.requests[-1]
    assert body == b"Status=completed"
    assert fields["authorization"] == basic("SK1", "secret")["authorization"]
    assert fields["content-type"] == "application/x-www-form-urlencoded"


def test_twilio_completes_a_call_whose_sid_is_the_leg_id(example: Example, vendor: Vendor) -> None:
    calls = example("twilio_control").TwilioCalls("AC1", "SK1", "secret", vendor.url)
    assert calls.end(CALL | {"leg_id": SID}) is True
    assert len(vendor.requests) == 1
    vendor.answers = [(404, b"{}")]
    assert calls.end(CALL | {"leg_id": SID}) is False
    assert calls.end(CALL) is False
    assert calls.end(CALL | {"conference": None}) is False


def test_livekit_removes_the_participant(example: Example, vendor: Vendor) -> None:
    calls = example("livekit_control").LiveKitCalls(vendor.url, "APIkey", "secret")
    assert calls.end(CALL) is True
    ((method, path, fields, body),) = vendor.requests
    assert (method, path) == ("POST", "/twirp/livekit.RoomService/RemoveParticipant")
    assert json.loads(body) == {"room": "3001", "identity": "au_1.contoso"}
    head, claims, signature = fields["authorization"].removeprefix("Bearer ").split(".")
    digest = hmac.new(b"secret", f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert signature == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    claimed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert claimed["iss"] == "APIkey"
    assert claimed["video"] == {"roomAdmin": True, "room": "3001"}
    assert claimed["nbf"] < time.time() < claimed["exp"]
    vendor.answers = [(404, b'{"code": "not_found"}')]
    assert calls.end(CALL) is False


class Grants:
    """Perminute, which allows everything."""

    def __init__(self) -> None:
        self.released: list[str] = []

    def dial_out(self, to: str, **question: Any) -> dict[str, Any]:
        destination = {"number": "+442079460123"}
        return {"decision": "allow", "authorization": "au_1.contoso", "destination": destination}

    def release(self, authorization: str) -> None:
        self.released.append(authorization)


def test_acs_dials_with_the_authorization_and_removes_the_participant(
    example: Example, vendor: Vendor, tmp_path: Path
) -> None:
    module = example("acs_call")
    acs, known = module.Acs(vendor.url, KEY), module.Calls(tmp_path)
    calls = example("acs_control").AcsCalls(acs, known)
    words = {"caller": "+33170180042", "conference": "3001"}
    module.add_participant(acs, known, Grants(), "conn/1", "+4402079460123", **words)
    assert 0 <= calls.elapsed(CALL) < 60
    assert calls.set_end(CALL, 5) is True
    assert calls.end(CALL) is True
    assert calls.end(CALL) is False
    assert calls.elapsed(CALL) is None
    added, removed = vendor.requests
    assert added[1] == "/calling/callConnections/conn%2F1/participants:add?api-version=2023-10-15"
    number = {"kind": "phoneNumber", "phoneNumber": {"value": "+442079460123"}}
    assert json.loads(added[3]) == {
        "participantToAdd": number,
        "sourceCallerIdNumber": {"value": "+33170180042"},
        "invitationTimeoutInSeconds": 90,
        "operationContext": "au_1.contoso",
    }
    assert removed[1].startswith("/calling/callConnections/conn%2F1/participants:remove?")
    assert json.loads(removed[3])["participantToRemove"] == number
    for method, path, fields, body in vendor.requests:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        text = f"{method}\n{path}\n{fields['x-ms-date']};{fields['host']};{digest}"
        key = base64.b64decode(KEY)
        signature = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest())
        assert fields["authorization"].endswith(f"&Signature={signature.decode()}")
        assert fields["x-ms-content-sha256"] == digest


@pytest.mark.parametrize("status", [404, 400, 500])
def test_acs_gives_back_what_a_failed_dial_holds(
    example: Example, vendor: Vendor, tmp_path: Path, status: int
) -> None:
    module, grants = example("acs_call"), Grants()
    vendor.answers = [(status, b"{}")]
    acs, known = module.Acs(vendor.url, KEY), module.Calls(tmp_path)
    words = {"caller": "+33170180042", "conference": "3001"}
    with pytest.raises(OSError, match=r"ended|HTTP Error"):
        module.add_participant(acs, known, grants, "conn", "+442079460123", **words)
    assert grants.released == ["au_1.contoso"]
    assert list(tmp_path.iterdir()) == []


def test_a_vendor_that_fails_raises_and_is_tried_again(example: Example, vendor: Vendor) -> None:
    calls = example("livekit_control").LiveKitCalls(vendor.url, "APIkey", "secret")
    vendor.answers = [(500, b""), (429, b""), (200, b"no JSON")]
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError):
            calls.end(CALL)
    with pytest.raises(OSError, match="no JSON"):
        calls.end(CALL)
