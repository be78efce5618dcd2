"""The examples of docs/examples against the running stack, with stand-ins for the vendors' side."""

import asyncio
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from lupa.lua52 import LuaRuntime

from tests.e2e.deployment import LONDON, ROME, Deployment, london_price
from tests.e2e.test_dial_out import held
from tests.support.client import Http, basic, eventually, unique

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
SECRET = "an-examples-own-secret"
CALLBACK = "https://bridge.example/ended"


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports an example by its name, as a bridge that has copied the folder does."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    names = [path.stem for path in EXAMPLES.glob("*.py")]

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in names:
        sys.modules.pop(name, None)


class Room:
    """An account, its conference, and a bridge that logs in with a password."""

    def __init__(self, deployment: Deployment, **bridge: Any) -> None:
        self.deployment = deployment
        self.account = deployment.account()
        self.conference, self.bridge = unique("room"), unique("pbx")
        organizer = deployment.organizer(self.account)
        path = f"accounts/{self.account}/conferences/{self.conference}"
        deployment.admin.put(path, {"organizer": organizer})
        auth = {"scheme": "basic", "username": "pbx", "secrets": [SECRET]}
        settings = {"dialect": "perminute", "auth": auth, "accounts": [self.account]} | bridge
        deployment.admin.put(f"bridges/{self.bridge}", settings)
        self.url = f"{deployment.http.base_url}/api/v1"

    def client(self, examples: Any, **more: Any) -> Any:
        perminute = examples("perminute")
        return perminute.Perminute(self.url, self.bridge, "pbx", SECRET, **more)

    @property
    def held(self) -> Any:
        return held(self.deployment, self.account)[0]


class Twilio:
    """Keeps what a participant was made of; `fails` as the vendor would."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.made: list[dict[str, Any]] = []

    def conferences(self, conference: str) -> Any:
        return SimpleNamespace(participants=SimpleNamespace(create=self._create))

    def _create(self, **words: Any) -> None:
        if self.fails:
            raise RuntimeError("busy")
        self.made.append(words)


def test_twilio_dials_for_as_long_as_is_granted(deployment: Deployment, examples: Any) -> None:
    room = Room(deployment, assumed_seconds=3600)
    client, perminute = Twilio(), room.client(examples)
    add = examples("twilio_call").add_participant

    add(client, perminute, room.conference, LONDON, caller="+33170180042", callback=CALLBACK)
    denied = add(client, perminute, room.conference, ROME, caller="+33170180042", callback=CALLBACK)

    assert denied["reason"] == "rate_missing"
    (made,) = client.made
    assert (made["to"], made["time_limit"]) == (LONDON, 3600)
    assert made["label"].startswith("au_")
    assert room.held > 0


def test_twilio_gives_back_what_a_failed_dial_holds(deployment: Deployment, examples: Any) -> None:
    room = Room(deployment)
    add = examples("twilio_call").add_participant
    with pytest.raises(RuntimeError):
        add(
            Twilio(fails=True),
            room.client(examples),
            room.conference,
            LONDON,
            caller="+33170180042",
            callback=CALLBACK,
        )
    assert room.held == 0


def test_livekit_bounds_the_call(deployment: Deployment, examples: Any) -> None:
    room = Room(deployment, assumed_seconds=1800)
    made: list[Any] = []

    async def create(request: Any) -> None:
        made.append(request)

    livekit = SimpleNamespace(sip=SimpleNamespace(create_sip_participant=create))
    words = (SimpleNamespace, SimpleNamespace, room.client(examples), room.conference)
    add = examples("livekit_call").add_participant
    asyncio.run(add(livekit, *words, LONDON, trunk="ST_1"))
    denied = asyncio.run(add(livekit, *words, ROME, trunk="ST_1"))

    assert denied["decision"] == "deny"
    (request,) = made
    assert request.max_call_duration.seconds == 1800
    assert request.participant_attributes["perminute.authorization"].startswith("au_")


@pytest.mark.extended
def test_without_an_answer_a_bridge_does_as_its_on_outage_says(examples: Any) -> None:
    perminute = examples("perminute")
    unreachable = "http://127.0.0.1:9/api/v1"
    closed = perminute.Perminute(unreachable, "pbx", "pbx", SECRET).dial_out(LONDON)
    opened = perminute.Perminute(unreachable, "pbx", "pbx", SECRET, on_outage="allow").dial_out(
        LONDON
    )
    assert (closed["decision"], closed["reason"]) == ("deny", "unavailable")
    assert (opened["decision"], opened["final"]) == ("allow", True)


class Asterisk:
    """The switch's side of an AGI conversation: answers commands until the script ends."""

    def __init__(self, room: Room, spool: Path) -> None:
        self.variables = {"UNIQUEID": f"{time.time():.6f}", "CALLERID(num)": "+33170180042"}
        self.variables |= {"PERMINUTE_CONFERENCE": room.conference, "PERMINUTE_TO": LONDON}
        self.spool = spool
        self.environment = os.environ | {
            "PERMINUTE_URL": room.url,
            "PERMINUTE_BRIDGE": room.bridge,
            "PERMINUTE_USER": "pbx",
            "PERMINUTE_SECRET": SECRET,
            "PERMINUTE_SPOOL": str(spool),
        }

    def run(self, *arguments: str, hangs_up_at: str = "") -> None:
        """The script; Asterisk closes the conversation at a command that begins so."""
        script = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "asterisk_agi.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
        )
        assert script.stdin is not None
        assert script.stdout is not None
        script.stdin.write("agi_request: asterisk_agi.py\nagi_version: 20\n\n")
        script.stdin.flush()
        for line in script.stdout:
            if hangs_up_at and line.startswith(hangs_up_at):
                script.send_signal(signal.SIGHUP)
                break
            script.stdin.write(f"{self._answer(line.strip())}\n")
            script.stdin.flush()
        script.stdin.close()
        script.stdout.close()
        assert script.wait(10) == 0

    def post_spool(self) -> int:
        """One round of the spooler; its exit code."""
        words = [sys.executable, str(EXAMPLES / "spool.py"), "--once", str(self.spool)]
        return subprocess.run(words, env=self.environment, timeout=60, check=False).returncode

    def _answer(self, command: str) -> str:
        if found := re.fullmatch(r'SET VARIABLE (\w+) "(.*)"', command):
            self.variables[found[1]] = found[2]
            return "200 result=1"
        found = re.fullmatch(r'GET FULL VARIABLE "\$\{(.+)\}"', command)
        assert found, command
        value = self.variables.get(found[1])
        return "200 result=0" if value is None else f"200 result=1 ({value})"


def test_asterisk_authorises_dials_for_so_long_and_reports_how_it_ended(
    deployment: Deployment, tmp_path: Path
) -> None:
    room = Room(deployment, dialect="asterisk")
    asterisk = Asterisk(room, tmp_path)

    asterisk.run("ask", LONDON)

    assert asterisk.variables["PERMINUTE_DECISION"] == "allow"
    assert asterisk.variables["PERMINUTE_SECONDS"] == "900"
    assert room.held > 0
    end = time.time() - 5
    asterisk.variables |= {
        "CDR(start,u)": str(end - 190),
        "SHARED(PERMINUTE_ANSWERED_AT)": str(end - 183.5),
        "PERMINUTE_ENDED_AT": str(end),
        "CDR(dcontext)": "conference-dial-out",
    }
    asterisk.run("ended")
    assert asterisk.post_spool() == 0
    charge = deployment.leg(room.account, asterisk.variables["UNIQUEID"], room.bridge)
    assert charge["amount"] == str(london_price(183))
    assert eventually(lambda: room.held == 0)


@pytest.mark.parametrize("cause", ["17", "34", "0", ""])
def test_asterisk_frees_the_hold_of_a_dial_that_no_one_answered(
    deployment: Deployment, tmp_path: Path, cause: str
) -> None:
    """Whatever the cause says: the channel makes no other attempt."""
    room = Room(deployment, dialect="asterisk")
    asterisk = Asterisk(room, tmp_path)
    asterisk.run("ask", LONDON)
    asterisk.variables |= {"CDR(answer,u)": "0.000000", "CDR(end,u)": "0.000000"}
    asterisk.variables |= {"HANGUPCAUSE": cause, "PERMINUTE_ENDED_AT": str(time.time())}
    assert room.held > 0
    asterisk.run("ended")
    assert asterisk.post_spool() == 0
    assert eventually(lambda: room.held == 0)


def test_asterisk_releases_what_a_caller_who_is_gone_holds(
    deployment: Deployment, tmp_path: Path
) -> None:
    room = Room(deployment, dialect="asterisk")
    asterisk = Asterisk(room, tmp_path)
    asterisk.run("ask", LONDON, hangs_up_at="SET VARIABLE")
    assert room.held > 0
    assert asterisk.post_spool() == 0
    assert room.held == 0


def test_asterisk_gets_the_reason_of_a_denial(deployment: Deployment, tmp_path: Path) -> None:
    """And reports no leg: nothing was dialled."""
    room = Room(deployment, dialect="asterisk")
    asterisk = Asterisk(room, tmp_path)
    asterisk.run("ask", ROME)
    asterisk.run("ended")
    assert asterisk.variables["PERMINUTE_DECISION"] == "deny"
    assert asterisk.variables["PERMINUTE_REASON"] == "rate_missing"
    assert list(tmp_path.glob("*.json")) == []


class FreeSwitch:
    """The switch's side of a Lua script: its API, with requests that are really sent."""

    def __init__(self, room: Room, *, dials: str = "+OK", url: str = "") -> None:
        host = room.deployment.http.base_url.removeprefix("http://")
        login = f"http://pbx:{SECRET}@{host}/api/v1/bridges/{room.bridge}"
        self.room = room
        self.base_url = url or login
        self.dials = dials
        self.dialled: list[str] = []
        self.output = ""
        self.challenges = 0

    def run(self, to: str) -> None:
        lua = LuaRuntime()
        stand_in = {
            "getGlobalVariable": {
                "perminute_url": self.base_url,
                "perminute_caller_id": "+33170180042",
            }.get,
            "API": lambda: lua.table_from({"execute": self._execute}),
            "JSON": lambda: lua.table_from({"decode": lambda _, text: self._decode(lua, text)}),
            "consoleLog": self._log,
        }
        lua.globals().freeswitch = lua.table_from(stand_in)
        lua.globals().argv = lua.table_from([to, self.room.conference])
        lua.execute((EXAMPLES / "freeswitch.lua").read_text("utf-8"))

    def _execute(self, _: Any, command: str, argument: str = "") -> str:
        if command == "create_uuid":
            return str(uuid.uuid4())
        if command == "originate":
            self.dialled.append(argument)
            return self.dials
        assert command == "curl"
        return self._curl(argument)

    def _curl(self, argument: str) -> str:
        """As mod_curl takes it apart: at spaces, options of one value each; the body is decoded."""
        url, *options = argument.split(" ")
        assert options[0::2] == ["append_headers", "content-type", "timeout", "post"]
        header, content_type, _, body = options[1::2]
        login, _, address = url.removeprefix("http://").rpartition("@")
        host, _, path = address.partition("/")
        name, _, value = header.partition(":")
        headers = {name: value, "content-type": content_type}
        sent = unquote(body).encode()
        product = Http(f"http://{host}")
        try:
            # mod_curl proves itself only once a 401 offers a scheme that it knows (CURLAUTH_ANY)
            first = product.send("POST", f"/{path}", sent, headers)
            offered = re.split(r",\s*", first.headers.get("www-authenticate", ""))
            if first.status != 401 or not any(each.startswith("Basic ") for each in offered):
                return first.body.decode()
            self.challenges += 1
            headers |= basic(*login.split(":"))
            return product.send("POST", f"/{path}", sent, headers).body.decode()
        except OSError:
            return ""

    def _decode(self, lua: LuaRuntime, text: str) -> Any:
        return lua.table_from(json.loads(text), recursive=True) if text else None

    def _log(self, _: str, text: str) -> None:
        self.output += text


def test_freeswitch_dials_with_an_end_at_what_is_granted(deployment: Deployment) -> None:
    room = Room(deployment)
    switch = FreeSwitch(room)

    switch.run(LONDON)

    (dialled,) = switch.dialled
    (hold,) = deployment.admin.get(f"accounts/{room.account}/dial-out-policy/state")["open"]
    assert f"perminute_authorization={hold['authorization']}," in dialled
    assert (
        f"origination_uuid={hold['leg_id']},origination_caller_id_number=+33170180042," in dialled
    )
    assert switch.challenges == 1  # the 401 of the first request is no failure, and is needed
    assert "execute_on_answer='sched_hangup +900 allotted_timeout'" in dialled
    assert f"sofia/gateway/trunk/{LONDON} &conference({room.conference}@default)" in dialled
    assert room.held > 0


def test_freeswitch_gives_back_what_a_failed_dial_holds(deployment: Deployment) -> None:
    room = Room(deployment)
    switch = FreeSwitch(room, dials="-ERR USER_BUSY")
    switch.run(LONDON)
    assert len(switch.dialled) == 1
    assert room.held == 0


def test_freeswitch_does_not_dial_what_is_denied_or_what_no_one_answers(
    deployment: Deployment,
) -> None:
    room = Room(deployment)
    denied, alone = FreeSwitch(room), FreeSwitch(room, url="http://pbx:x@127.0.0.1:9/nobody")
    denied.run(ROME)
    alone.run(LONDON)
    assert denied.dialled == alone.dialled == []
    assert (denied.output, alone.output) == (
        "not dialled: rate_missing\n",
        "not dialled: unavailable\n",
    )
