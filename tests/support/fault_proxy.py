"""A TCP proxy that understands HTTP/1.1 framing, so that a fault hits one whole request.

In a test: `async with FaultProxy(upstream_port) as proxy: proxy.add(Rule(DropResponse()))`. As a
process of its own, for several clients: `python -m tests.support.fault_proxy PORT --seed 7 --fault
drop_response=0.05 --log FILE`; it prints its port, and `--replay FILE` takes the same decisions
again. Clients keep their connections, so requests are counted, not connections.
"""

import argparse
import asyncio
import json
import random
import re
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 16 * 1024 * 1024
TRICKLE_PIECES_PER_SECOND = 20


@dataclass(frozen=True, slots=True)
class Pass:
    """Nothing happens to the request."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Forwarded after some time, whether the client is still there or not."""

    seconds: float = 0.05


@dataclass(frozen=True, slots=True)
class DropRequest:
    """The connection is reset, nothing is forwarded."""


@dataclass(frozen=True, slots=True)
class DropResponse:
    """Forwarded, then the connection is reset in place of the answer."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Forwarded; the connection is reset after this fraction of the answer's bytes."""

    fraction: float = 0.5


@dataclass(frozen=True, slots=True)
class Status:
    """Answered with a status of the proxy's own, with or without forwarding first."""

    status: int = 503
    after_commit: bool = False
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """The connection is reset at once, and the request is forwarded some time later."""

    seconds: float = 0.2


@dataclass(frozen=True, slots=True)
class Trickle:
    """The answer comes this slowly."""

    bytes_per_second: int = 200


@dataclass(frozen=True, slots=True)
class Clog:
    """Forwarded; the answer waits until `unclog`."""


type Fault = Pass | Delay | DropRequest | DropResponse | Cut | Status | Late | Trickle | Clog

FAULTS: dict[str, Fault] = {
    "delay": Delay(),
    "drop_request": DropRequest(),
    "drop_response": DropResponse(),
    "cut": Cut(),
    "status_503_before": Status(503),
    "status_503_after": Status(503, after_commit=True),
    "status_500_before": Status(500),
    "status_500_after": Status(500, after_commit=True),
    "late": Late(),
    "trickle": Trickle(),
}
KINDS = {kind.__name__: kind for kind in (Pass, *map(type, FAULTS.values()), Clog)}


@dataclass(slots=True)
class Rule:
    """A fault for the requests that match. The first rule that applies decides.

    `nth` counts the matching requests of this rule from 1; None means all of them.
    """

    fault: Fault
    method: str | None = None
    path: str = ""
    nth: int | None = None
    probability: float = 1.0
    seen: int = field(default=0, init=False)

    def applies(self, method: str, path: str, chance: random.Random) -> bool:
        """Counts the request and reports whether it is to be hit."""
        if (self.method is not None and method != self.method) or self.path not in path:
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        return self.probability >= 1 or chance.random() < self.probability


@dataclass(frozen=True, slots=True)
class Decision:
    """What was done to a request."""

    number: int
    method: str
    path: str
    fault: Fault

    def line(self) -> str:
        """As JSON, for the log."""
        fault = {"kind": type(self.fault).__name__, **asdict(self.fault)}
        return json.dumps(
            {"number": self.number, "method": self.method, "path": self.path, "fault": fault}
        )


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    raw: bytes


class FaultProxy:
    """Listens on a free port of 127.0.0.1 while its context is open."""

    def __init__(
        self,
        upstream_port: int,
        rules: Sequence[Rule] = (),
        *,
        seed: int = 0,
        log: Path | None = None,
        replay: Path | None = None,
    ) -> None:
        self.port = 0
        self.decisions: list[Decision] = []
        self._upstream_port = upstream_port
        self._rules = list(rules)
        self._chance = random.Random(seed)
        self._log = log.open("a", encoding="utf-8") if log else None
        self._replay = _recorded(replay) if replay else []
        self._open_gate = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._late: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.Task[None]] = set()

    def add(self, rule: Rule) -> None:
        """Behind the rules that are there."""
        self._rules.append(rule)

    def clear(self) -> None:
        """From now on everything passes; what is clogged goes on."""
        self._rules.clear()
        self.unclog()

    def unclog(self) -> None:
        """Lets the answers go on that `Clog` holds back."""
        self._open_gate.set()
        self._open_gate = asyncio.Event()

    def count(self, method: str, path: str = "") -> int:
        """How many such requests have arrived."""
        return sum(made.method == method and path in made.path for made in self.decisions)

    async def settled(self) -> None:
        """Returns once every late request has landed."""
        while self._late:
            await asyncio.gather(*self._late)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=BODY_BYTES_MAX)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.unclog()
        tasks = [*self._late, *self._clients]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self._log:
            self._log.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while (request := await _read_request(reader)) is not None:
                decision = self._decide(request)
                if not await self._act(decision.fault, request, writer):
                    _reset(writer)
                    return
        except (OSError, EOFError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._clients.discard(task)
            writer.close()

    def _decide(self, request: _Request) -> Decision:
        number = len(self.decisions)
        if self._replay:
            fault = self._replay[number] if number < len(self._replay) else Pass()
        else:
            fault = next(
                (
                    rule.fault
                    for rule in self._rules
                    if rule.applies(request.method, request.path, self._chance)
                ),
                Pass(),
            )
        decision = Decision(number, request.method, request.path, fault)
        self.decisions.append(decision)
        if self._log:
            self._log.write(decision.line() + "\n")
            self._log.flush()
        return decision

    async def _act(self, fault: Fault, request: _Request, writer: asyncio.StreamWriter) -> bool:
        """Does it; False when the connection is to be reset."""
        match fault:
            case DropRequest():
                return False
            case Late(seconds):
                late = asyncio.create_task(self._forward_late(request, seconds))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
                return False
            case Status(after_commit=False):
                return await _send(writer, _own_answer(fault))
            case Delay(seconds):
                # A client that gives up does not take its request back.
                late = asyncio.create_task(asyncio.sleep(seconds))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
                await late
        answer = await self._forward(request)
        match fault:
            case DropResponse():
                return False
            case Status():
                return await _send(writer, _own_answer(fault))
            case Cut(fraction):
                await _send(writer, answer[: int(len(answer) * fraction)])
                return False
            case Clog():
                await self._open_gate.wait()
            case Trickle(bytes_per_second):
                return await _trickle(writer, answer, bytes_per_second)
        return await _send(writer, answer)

    async def _forward_late(self, request: _Request, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._forward(request)

    async def _forward(self, request: _Request) -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._upstream_port, limit=BODY_BYTES_MAX
        )
        try:
            writer.write(request.raw)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            return head + await _read_body(reader, head)
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    """None when the client closes the connection between two requests."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    return _Request(method, path, head + await _read_body(reader, head))


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The body as it is on the wire."""
    if re.search(rb"\r\ntransfer-encoding: *chunked\r\n", head, re.IGNORECASE):
        body = bytearray()
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            body += line + await reader.readexactly(size + 2)
            if size == 0:
                return bytes(body)
    length = re.search(rb"\r\ncontent-length: *([0-9]+)\r\n", head, re.IGNORECASE)
    return await reader.readexactly(int(length[1])) if length else b""


def _own_answer(fault: Status) -> bytes:
    code = "ServerBusy" if fault.status == 503 else "OperationTimedOut"
    body = json.dumps(
        {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "0:From the proxy."}}}
    )
    lines = [
        f"HTTP/1.1 {fault.status} Fault",
        "Content-Type: application/json;odata=minimalmetadata;charset=utf-8",
        f"Content-Length: {len(body)}",
    ]
    if fault.retry_after_seconds is not None:
        lines.append(f"Retry-After: {fault.retry_after_seconds}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> bool:
    writer.write(data)
    await writer.drain()
    return True


async def _trickle(writer: asyncio.StreamWriter, data: bytes, bytes_per_second: int) -> bool:
    step = max(1, bytes_per_second // TRICKLE_PIECES_PER_SECOND)
    for start in range(0, len(data), step):
        await _send(writer, data[start : start + step])
        await asyncio.sleep(1 / TRICKLE_PIECES_PER_SECOND)
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with RST, as a crash or a firewall does."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _recorded(path: Path) -> list[Fault]:
    faults: list[Fault] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        content = json.loads(line)["fault"]
        faults.append(KINDS[content.pop("kind")](**content))
    return faults


async def _run(options: argparse.Namespace) -> None:
    rules = []
    for text in options.fault:
        name, _, probability = text.partition("=")
        rules.append(Rule(FAULTS[name], path=options.path, probability=float(probability or 1)))
    proxy = FaultProxy(
        options.upstream_port, rules, seed=options.seed, log=options.log, replay=options.replay
    )
    async with proxy:
        print(proxy.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serves until its standard input ends, so it dies with the process that started it."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fault_proxy")
    parser.add_argument("upstream_port", type=int)
    parser.add_argument("--fault", action="append", default=[], help="name=probability")
    parser.add_argument("--path", default="", help="hit only requests with this in their path")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--replay", type=Path)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
