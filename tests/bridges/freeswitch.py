"""The scenarios of test_asterisk.py with a real FreeSWITCH: `python -m tests.bridges.freeswitch`.

Neither Debian nor Ubuntu has a package of FreeSWITCH, so no target of the Makefile runs this. It
needs `freeswitch` (built with the modules of MODULES) and `sipp` on the path; FREESWITCH_MODULES
names the folder of the modules, /usr/local/freeswitch/mod by default. The configuration of
mod_json_cdr is that of docs/bridges/freeswitch.md, and dial-outs run docs/examples/freeswitch.lua.
Everything is on loopback. Exit code 0: every answered second is billed within the phone's own
clock, and no hold is left.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT, Stack
from tests.bridges.asterisk import ENVIRONMENT, EXAMPLES, Asterisk, Installation, run_at_once
from tests.bridges.gateway import Exchange, Gateway
from tests.bridges.test_asterisk import (
    CONTROL_SECRET,
    SECRET,
    Room,
    Site,
    busy_declined_and_missing,
    denied,
    granted_seconds_are_reached,
    stopped,
    three_members,
    two_members,
    unanswered,
)
from tests.support.client import Http, basic, eventually

PAGE = ROOT / "docs" / "bridges" / "freeswitch.md"
PASSWORD = "a-socket-password"
MODULES = (
    *("mod_commands", "mod_conference", "mod_curl", "mod_dialplan_xml", "mod_dptools"),
    *("mod_event_socket", "mod_json_cdr", "mod_lua", "mod_sofia"),
)
SCENARIOS = (
    *(two_members, three_members, unanswered, busy_declined_and_missing, denied),
    *(granted_seconds_are_reached, stopped),
)
DIAL_PLAN = """
<context name="public">
  <extension name="conference dial-in">
    <condition field="destination_number" expression="^(\\+4989123450(\\d\\d))$">
      <action application="set" data="perminute_to=$1"/>
      <action application="answer"/>
      <action application="conference" data="30$2@default"/>
    </condition>
  </extension>
</context>
"""


class FreeSwitch(Asterisk):
    """One FreeSWITCH with its own folder and ports."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """From ready to ended."""
        for name in ("sipp", "log", "db", "errors", "scripts"):
            (self.folder / name).mkdir()
        shutil.copy(EXAMPLES / "freeswitch.lua", self.folder / "scripts")
        (self.folder / "freeswitch.xml").write_text(self._document())
        folder = str(self.folder)
        words = ["freeswitch", "-nf", "-nonat", "-nonatmap", "-c", "-conf", folder, "-log"]
        words += [f"{folder}/log", "-db", f"{folder}/db", "-scripts", f"{folder}/scripts"]
        words += ["-mod", os.environ.get("FREESWITCH_MODULES", "/usr/local/freeswitch/mod")]
        try:
            run_at_once(self.start(*words, env=dict(os.environ), name="freeswitch").pid)
            assert eventually(self._is_ready, 60), self.log("freeswitch")
            yield
        finally:
            for name in list(self._processes):
                self.stop(name)

    def _is_ready(self) -> bool:
        from freeswitch_control import EventSocket

        try:
            with EventSocket(f"127.0.0.1:{self.manager_port}", PASSWORD) as switch:
                return "RUNNING" in switch.api("sofia status")
        except OSError:
            return False

    def _document(self) -> str:
        found = re.search(r"```xml\n(<configuration.*?</configuration>)", PAGE.read_text(), re.S)
        assert found is not None
        url = self.environment["PERMINUTE_URL"]
        records = found[1].replace("https://HOST/api/v1", url).replace("choose-a-long-one", SECRET)
        records = records.replace("/var/log/freeswitch/json_cdr", f"{self.folder}/errors")
        modules = "".join(f'<load module="{name}"/>' for name in MODULES)
        login = url.replace("http://", f"http://fs1:{SECRET}@")
        return f"""<document type="freeswitch/xml">
<X-PRE-PROCESS cmd="set" data="perminute_url={login}/bridges/fs1"/>
<X-PRE-PROCESS cmd="set" data="perminute_caller_id=+33170180042"/>
<section name="configuration">
  <configuration name="modules.conf"><modules>{modules}</modules></configuration>
  <configuration name="switch.conf"><settings>
    <param name="rtp-start-port" value="25000"/><param name="rtp-end-port" value="27000"/>
  </settings></configuration>
  <configuration name="event_socket.conf"><settings>
    <param name="listen-ip" value="127.0.0.1"/><param name="password" value="{PASSWORD}"/>
    <param name="listen-port" value="{self.manager_port}"/>
  </settings></configuration>
  <configuration name="conference.conf"><profiles><profile name="default">
    <param name="rate" value="8000"/><param name="interval" value="20"/>
  </profile></profiles></configuration>
  <configuration name="sofia.conf"><profiles><profile name="external">
    <gateways><gateway name="trunk">
      <param name="proxy" value="127.0.0.1:{self.far_end_port}"/>
      <param name="register" value="false"/>
      <param name="caller-id-in-from" value="true"/>
    </gateway></gateways>
    <settings>
      <param name="sip-ip" value="127.0.0.1"/><param name="rtp-ip" value="127.0.0.1"/>
      <param name="sip-port" value="{self.sip_port}"/><param name="context" value="public"/>
      <param name="dialplan" value="XML"/><param name="auth-calls" value="false"/>
      <param name="inbound-codec-prefs" value="PCMU"/>
      <param name="outbound-codec-prefs" value="PCMU"/>
    </settings>
  </profile></profiles></configuration>
  {records}
</section>
<section name="dialplan">{DIAL_PLAN}</section>
</document>
"""


class FreeSwitchSite(Site):
    """Product, FreeSWITCH and phones."""

    bridge = "fs1"

    def __init__(self, stack: Stack, gateway: Gateway) -> None:
        super().__init__(stack, gateway, Installation(Path("/")), FreeSwitch)

    def calls(self) -> Any:
        from freeswitch_control import FreeSwitchCalls

        return FreeSwitchCalls(self.manager_address, PASSWORD)

    def register(self) -> None:
        self.register_card()
        self.admin.put(
            "bridges/fs1",
            {
                "dialect": "freeswitch",
                "auth": {"scheme": "basic", "username": "fs1", "secrets": [SECRET]},
                "accounts": ["*"],
                "control": {"url": self.control_url, "secrets": [CONTROL_SECRET]},
            },
        )

    def dial(self, room: Room, number: str, variables: dict[str, str]) -> None:
        """Of the variables, which are those of the recipe of Asterisk, RING_SECONDS counts."""
        from freeswitch_control import EventSocket

        with EventSocket(self.manager_address, PASSWORD) as switch:
            ring = variables.get("RING_SECONDS", "90")
            switch.api(f"bgapi luarun freeswitch.lua {number} {room.conference} {ring}")

    def exchanges(self, route: str, **fields: Any) -> list[Exchange]:
        """Without the first attempts of mod_curl, which have no credentials."""
        return [each for each in super().exchanges(route, **fields) if each.status != 401]

    def reports(self, number: str) -> list[Exchange]:
        return [
            each
            for each in self.exchanges("call-ended")
            if each.body["variables"].get("perminute_to") == f"%2B{number[1:]}"
        ]


def product_away(site: FreeSwitchSite) -> Room:
    """The product refuses connections for 30 s; what lies in the error folder is posted again."""
    room = site.room(legs=2)
    with ThreadPoolExecutor() as pool:
        number = room.dial_out(2)
        caller = pool.submit(room.call_in, 1, 6.5)
        assert eventually(lambda: number in site.phones.dialled(), 60)
        site.gateway.close()
        caller.result()
    errors = site.asterisk.folder / "errors"
    assert eventually(lambda: len(list(errors.glob("*.cdr.json"))) == 2, 120)
    site.gateway.open()
    for file in errors.glob("*.cdr.json"):
        fields = basic("fs1", SECRET) | {"content-type": "application/json"}
        path = "/api/v1/bridges/fs1/call-ended"
        answer = Http(site.gateway.url).send("POST", path, file.read_bytes(), fields)
        assert answer.status == 202, answer
    return room


def main() -> int:
    """Play everything; print what failed."""
    missing = [name for name in ("freeswitch", "sipp") if shutil.which(name) is None]
    if missing:
        print(f"not on the path: {', '.join(missing)}", file=sys.stderr)
        return 2
    ENVIRONMENT["PATH"] = os.environ["PATH"]
    sys.path.insert(0, str(EXAMPLES))
    failures = []
    with tempfile.TemporaryDirectory() as data, Stack(Path(data)) as stack:
        gateway = Gateway(stack.base_url)
        gateway.open()
        site = FreeSwitchSite(stack, gateway)
        with site.control(), site.asterisk.running():
            site.register()
            site.phones.answer()
            with ThreadPoolExecutor(len(SCENARIOS)) as pool:
                played = {play.__name__: pool.submit(play, site) for play in SCENARIOS}
            for name, room in [*played.items(), ("product_away", None)]:
                try:
                    (room.result() if room is not None else product_away(site)).check()
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 others are played
                    failures.append(f"{name}: {type(error).__name__} {error}")
                print(name, "failed" if failures and failures[-1].startswith(name) else "ok")
        gateway.close()
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
