"""The examples of docs/examples against the running stack, with stand-ins for the vendors' side."""

import asyncio
import importlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.test_dial_out import held
from tests.e2e.world import LONDON, ROME, World, london_price
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

    def __init__(self, world: World, **bridge: Any) -> None:
        self.world = world
        self.account = world.account()
        self.conference, self.bridge = unique("room"), unique("pbx")
        organizer = world.organizer(self.account)
        path = f"accounts/{self.account}/conferences/{self.conference}"
        world.admin.put(path, {"organizer": organizer})
        auth = {"scheme": "basic", "username": "pbx", "secrets": [SECRET]}
        settings = {"dialect": "perminute", "auth": auth, "accounts": [self.account]} | bridge
        world.admin.put(f"bridges/{self.bridge}", settings)
        self.url = f"{world.http.base_url}/api/v1"

    def client(self, examples: Any, **more: Any) -> Any:
        perminute = examples("perminute")
        return perminute.Perminute(self.url, self.bridge, "pbx", SECRET, **more)

    @property
    def held(self) -> Any:
        return held(self.world, self.account)[0]


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


def test_twilio_dials_for_as_long_as_is_granted(world: World, examples: Any) -> None:
    room = Room(world, assumed_seconds=3600)
    client, perminute = Twilio(), room.client(examples)
    add = examples("twilio_call").add_participant

    add(client, perminute, room.conference, LONDON, caller="+33170180042", callback=CALLBACK)
    denied = add(client, perminute, room.conference, ROME, caller="+33170180042", callback=CALLBACK)

    assert denied["reason"] == "rate_missing"
    (made,) = client.made
    assert (made["to"], made["time_limit"]) == (LONDON, 3600)
    assert made["label"].startswith("au_")
    assert room.held > 0


def test_twilio_gives_back_what_a_failed_dial_holds(world: World, examples: Any) -> None:
    room = Room(world)
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


def test_livekit_bounds_the_call(world: World, examples: Any) -> None:
    room = Room(world, assumed_seconds=1800)
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


def test_without_an_answer_a_bridge_does_as_its_on_outage_says(examples: Any) -> None:
    perminute = examples("perminute")
    nobody = "http://127.0.0.1:9/api/v1"
    closed = perminute.Perminute(nobody, "pbx", "pbx", SECRET).dial_out(LONDON)
    opened = perminute.Perminute(nobody, "pbx", "pbx", SECRET, on_outage="allow").dial_out(LONDON)
    assert (closed["decision"], closed["reason"]) == ("deny", "unavailable")
    assert (opened["decision"], opened["final"]) == ("allow", True)


class Asterisk:
    """The switch's side of an AGI conversation: answers commands until the script ends."""

    def __init__(self, room: Room) -> None:
        self.variables = {"UNIQUEID": f"{time.time():.6f}", "CALLERID(num)": "+33170180042"}
        self.environment = os.environ | {
            "PERMINUTE_URL": room.url,
            "PERMINUTE_BRIDGE": room.bridge,
            "PERMINUTE_USER": "pbx",
            "PERMINUTE_SECRET": SECRET,
        }

    def run(self, *arguments: str) -> None:
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
            script.stdin.write(f"{self._answer(line.strip())}\n")
            script.stdin.flush()
        script.stdin.close()
        assert script.wait(10) == 0

    def _answer(self, command: str) -> str:
        if found := re.fullmatch(r'SET VARIABLE (\w+) "(.*)"', command):
            self.variables[found[1]] = found[2]
            return "200 result=1"
        found = re.fullmatch(r'GET FULL VARIABLE "\$\{(.+)\}"', command)
        assert found, command
        value = self.variables.get(found[1])
        return "200 result=0" if value is None else f"200 result=1 ({value})"


def test_asterisk_asks_dials_for_so_long_and_tells_how_it_ended(world: World) -> None:
    room = Room(world)
    asterisk = Asterisk(room)

    asterisk.run("ask", LONDON, room.conference)

    assert asterisk.variables["PERMINUTE_DECISION"] == "allow"
    assert asterisk.variables["PERMINUTE_MS"] == "900000"
    assert room.held > 0
    end = int(time.time()) - 5
    asterisk.variables |= {
        "CDR(start,u)": str(end - 190),
        "CDR(answer,u)": str(end - 183),
        "CDR(end,u)": str(end),
        "CDR(billsec)": "183",
    }
    asterisk.run("ended", LONDON, room.conference)
    charge = world.leg(room.account, asterisk.variables["UNIQUEID"], room.bridge)
    assert charge["amount"] == str(london_price(183))
    assert eventually(lambda: room.held == 0)


def test_asterisk_is_told_why_not(world: World) -> None:
    room = Room(world)
    asterisk = Asterisk(room)
    asterisk.run("ask", ROME, room.conference)
    assert asterisk.variables["PERMINUTE_DECISION"] == "deny"
    assert asterisk.variables["PERMINUTE_REASON"] == "rate_missing"


def test_what_the_freeswitch_script_sends_is_understood_and_has_what_it_reads(
    world: World,
) -> None:
    """There is no FreeSWITCH here: its request is taken from the script, taken apart as mod_curl
    does, and sent; and every field that the script reads is in the answer."""
    script = (EXAMPLES / "freeswitch.lua").read_text("utf-8")
    room = Room(world)
    template = re.search(r'"(%s/%s append_headers [^"]+)"', script)
    question = re.search(r"string.format\('(\{.+\})', to, conference\)", script)
    assert template
    assert question
    body = question[1] % (LONDON, room.conference)
    base = f"/api/v1/bridges/{room.bridge}"
    words = (template[1] % (base, "dial-outs", unique("key"), quote(body, safe="-._~"))).split(" ")
    path, *options = words
    assert options[0::2] == ["append_headers", "content-type", "timeout", "post"]
    name, _, value = options[1].partition(":")
    headers = basic("pbx", SECRET) | {name: value, "content-type": options[3]}
    sent = body.encode()  # mod_curl decodes what was percent-encoded

    answer = Http(world.http.base_url).send("POST", path, sent, headers).json()

    assert answer["decision"] == "allow"
    for field in set(re.findall(r"answer\.(\w+(?:\.\w+)?)", script)) - {"reason"}:
        found = answer
        for part in field.split("."):
            found = found[part]
    release = f"{base}/dial-outs/{quote(answer['authorization'], safe='-._~')}/release"
    assert Http(world.http.base_url).send("POST", release, b"{}", headers).status == 200
    assert room.held == 0
