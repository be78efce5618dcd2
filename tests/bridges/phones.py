"""Phones of the telephone network, played by sipp, and their own clocks."""

import itertools
import math
import re
import shutil
import socket
import subprocess
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.bridges.asterisk import ENVIRONMENT, Asterisk, run_at_once

SCENARIOS = Path(__file__).parent / "sipp"
CALL_SECONDS_MAX = 240
NAME_TEXT = re.compile(r"sip:([^@;>]+)@")
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
    "c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 26000 RTP/AVP 0\r\n"
)
_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message as sipp logged it."""

    at: float
    is_sent: bool
    call_id: str
    method: str  # of the request that the message is or answers
    first_line: str

    @property
    def number(self) -> str:
        """The number in the address of a request."""
        found = NAME_TEXT.search(self.first_line)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Clock:
    """A phone's own stopwatch, and the time until the bridge confirmed both events: the ACK of the
    phone's 200, and the 200 of its BYE. The bridge's own clock reads a time in between."""

    answered_at: float | None
    ended_at: float | None
    answer_delay_seconds: float = 0.0
    end_delay_seconds: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the phone has seen the end of the call, or none was answered."""
        return self.answered_at is None or self.ended_at is not None

    @property
    def seconds(self) -> float:
        """From the 200 of the INVITE to the BYE; 0 where no one answered."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return self.ended_at - self.answered_at

    def billable_seconds(self, lag: float) -> tuple[int, int]:
        """The least and the most that may be billed, where an event takes up to `lag` seconds from
        the bridge to its clock."""
        least = self.seconds - self.answer_delay_seconds - lag
        return max(0, math.floor(least)), math.ceil(self.seconds + self.end_delay_seconds + lag)


def messages_in(file: Path) -> list[Message]:
    """The complete lines of sipp's log of short messages."""
    found = []
    text = file.read_text("utf-8", "replace") if file.exists() else ""
    for line in text.rpartition("\n")[0].splitlines():
        parts = line.split("\t")
        if len(parts) >= 7:
            method = parts[5].split()[-1] if parts[5].startswith("CSeq:") else ""
            found.append(Message(float(parts[2]), parts[3] == "S", parts[4], method, parts[6]))
    return found


def clocks(messages: list[Message]) -> dict[str, Clock]:
    """The stopwatch of each call, by the number that was called first."""
    found: dict[str, Clock] = {}
    for call_id in dict.fromkeys(each.call_id for each in messages):
        call = [each for each in messages if each.call_id == call_id]
        number = next((each.number for each in call if each.first_line.startswith("INVITE")), "")
        answers = [
            each.at
            for each in call
            if each.method == "INVITE" and each.first_line.startswith("SIP/2.0 200")
        ]
        ends = [each.at for each in call if each.first_line.startswith("BYE ")]
        acks = [each.at for each in call if each.first_line.startswith("ACK ")]
        goodbyes = [
            each.at
            for each in call
            if each.method == "BYE" and each.first_line.startswith("SIP/2.0 200")
        ]
        found[number] = Clock(
            min(answers, default=None),
            min(ends, default=None),
            _delay(answers, acks),
            _delay(ends, goodbyes),
        )
    return found


def _delay(sent: list[float], confirmed: list[float]) -> float:
    return min(confirmed) - min(sent) if sent and confirmed else 0.0


@dataclass(frozen=True, slots=True)
class Phones:
    """The phones that the bridge dials: one sipp that plays all of them."""

    asterisk: Asterisk

    def answer(self) -> None:
        """Start the phones that the bridge dials; an operator's phone transfers each caller to the
        conference of its room."""
        for scenario in SCENARIOS.glob("*.xml"):
            shutil.copy(scenario, self.asterisk.folder / "sipp")
        words = self._command("phones", self.asterisk.far_end_port)
        words += ["-trace_shortmsg", "-shortmessage_file", self._inside("phones.csv")]
        run_at_once(self.asterisk.start(*words, env=ENVIRONMENT, name="phones").pid)

    def call(self, number: str, seconds: float, *, caller: str) -> Clock:
        """A caller dials `number` and hangs up after `seconds` unless the bridge ends the call
        before. Returns the caller's clock once the call is over."""
        asterisk = self.asterisk
        log = f"call{next(_names)}"
        words = self._command("caller", 0, "-s", number, "-key", "caller", caller)
        words += ["-m", "1", "-d", str(round(seconds * 1000))]
        words += ["-trace_shortmsg", "-shortmessage_file", self._inside(f"{log}.csv")]
        words.insert(1, f"127.0.0.1:{asterisk.sip_port}")
        with subprocess.Popen(
            asterisk.installed.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        ) as process:
            run_at_once(process.pid)
            try:
                output, _ = process.communicate(timeout=CALL_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        messages = messages_in(asterisk.folder / f"{log}.csv")
        assert process.returncode == 0, (number, output[-1500:], messages)
        return next(iter(clocks(messages).values()))

    def cancelled_call(
        self, number: str, conference: str, until: threading.Event, *, caller: str
    ) -> None:
        """A person dials `number` out of the conference and gives up as soon as `until` is set."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.settimeout(1)
            phone.connect(("127.0.0.1", self.asterisk.sip_port))
            port = phone.getsockname()[1]
            uri = f"sip:71{number[1:]}@127.0.0.1:{self.asterisk.sip_port}"
            call_id, to = f"{uuid.uuid4().hex}@127.0.0.1", f"<{uri}>"

            def send(method: str) -> None:
                lines = [
                    f"{method} {uri} SIP/2.0",
                    f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{call_id[:12]};rport",
                    f'From: "{conference}" <sip:{caller}@127.0.0.1:{port}>;tag={call_id[:8]}',
                    f"To: {to}",
                    f"Call-ID: {call_id}",
                    f"CSeq: 1 {method}",
                    f"Contact: <sip:{caller}@127.0.0.1:{port}>",
                    "Max-Forwards: 70",
                    *(["Content-Type: application/sdp"] if method == "INVITE" else []),
                    f"Content-Length: {len(SDP) if method == 'INVITE' else 0}",
                ]
                body = SDP if method == "INVITE" else ""
                phone.send(("\r\n".join(lines) + f"\r\n\r\n{body}").encode())

            send("INVITE")
            assert until.wait(CALL_SECONDS_MAX), "the bridge sent no request"
            for _ in range(30):
                send("CANCEL")
                try:
                    while not (answer := phone.recv(4096).decode()).startswith("SIP/2.0 487"):
                        pass
                except TimeoutError:
                    continue
                to = re.search(r"^To: *(.*?)\r$", answer, re.M)[1]
                send("ACK")
                return
            raise AssertionError("the call was not cancelled")

    def dialled(self) -> dict[str, Clock]:
        """The clocks of all phones that the bridge has dialled, by number."""
        return clocks(messages_in(self.asterisk.folder / "phones.csv"))

    def _command(self, scenario: str, port: int, *words: str) -> list[str]:
        where = ["-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin"]
        where += ["-p", str(port)] if port else []
        return ["sipp", "-sf", self._inside(f"sipp/{scenario}.xml"), *where, *words]

    def _inside(self, name: str) -> str:
        return self.asterisk.installed.inside(self.asterisk.folder / name)
