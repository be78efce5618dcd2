"""Receivers of webhooks that are slow, broken or hostile, against the real sender on loopback."""

import asyncio
import contextlib
import datetime as dt
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.adapters.delivery.webhook_sender import HttpWebhookSender
from shared.domain.common import limits
from shared.domain.delivery import webhooks
from shared.domain.delivery.webhooks import ReceiverResponse

BODY = b'{"specversion": "1.0"}'
HEADERS = {"content-type": "application/cloudevents+json", "webhook-id": "contoso:2:1"}

OWN_WORDS = {
    "the answer is no valid HTTP",
    "the answer broke off or is malformed",
    "the connection broke off",
}

type Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """The connections and the requests."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[bytes] = []


@contextlib.asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on loopback that reads a request and then does what `answer` says."""
    server = Server()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            server.requests.append(head + await reader.readexactly(length))
            await answer(server.requests[-1], writer)
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def says(text: str) -> Answer:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()

    return answer


def sender(
    *, allow_loopback: bool = True, addresses: Sequence[str] = ("127.0.0.1",)
) -> HttpWebhookSender:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return HttpWebhookSender(allow_loopback=allow_loopback, resolve=resolve)


async def test_a_receiver_gets_the_event_byte_for_byte() -> None:
    async with serving(says("HTTP/1.1 204 No Content\n\n")) as server:
        reply = await sender().post(f"http://127.0.0.1:{server.port}/hook?a=b", HEADERS, BODY)
    assert reply == ReceiverResponse(204)
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{server.port}\r\n".encode() in head
    assert b"\r\nwebhook-id: contoso:2:1\r\n" in head
    assert body == BODY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    async with serving(says("HTTP/1.1 200 OK\ncontent-length: 0\n\n")) as inner:
        for target in (f"http://127.0.0.1:{inner.port}/", "http://169.254.169.254/latest/"):
            text = f"HTTP/1.1 {status} Moved\nlocation: {target}\ncontent-length: 0\n\n"
            async with serving(says(text)) as server:
                reply = await sender().post(f"http://127.0.0.1:{server.port}/", HEADERS, BODY)
            assert reply == ReceiverResponse(status)
            assert not reply.taken
    assert inner.requests == []


async def test_an_endless_body_is_cut_off_soon_and_its_status_counts() -> None:
    sent = 0

    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing() and sent < 2**28:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    started = time.monotonic()
    async with serving(endless) as server:
        reply = await sender().post(f"http://127.0.0.1:{server.port}/", HEADERS, BODY)
    assert reply.taken
    assert time.monotonic() - started < 5
    assert sent < 2**26


@pytest.mark.parametrize("when", ["before the head", "in the head", "in the body"])
async def test_a_receiver_that_trickles_is_given_up(
    monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(limits, "WEBHOOK_SECONDS_MAX", 0.7)

    async def trickle(_: bytes, writer: asyncio.StreamWriter) -> None:
        if when == "in the head":
            writer.write(b"HTTP/1.1 200 OK\r\n")
        if when == "in the body":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        for _ in range(40):
            if when != "before the head":
                writer.write(b"x")
                await writer.drain()
            await asyncio.sleep(0.05)

    started = time.monotonic()
    async with serving(trickle) as server:
        reply = await sender().post(f"http://127.0.0.1:{server.port}/", HEADERS, BODY)
    assert reply.status is None
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<secret of the receiver>\n\n",
        "HTTP/1.1 abc\n\n",
        "HTTP/1.1 200 OK\ncontent-length: -5\n\n",
        "HTTP/1.1 200 OK\n" + "x: y\n" * 100_000 + "\n",
        "HTTP/1.1 200 OK\nx: " + "y" * 1_000_000 + "\n\n",
        "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\nzz\nhello\n",
        "HTTP/1.1 200 OK\ncontent-length: 100\n\nshort",
    ],
    ids=range(8),
)
async def test_an_answer_that_is_no_http_is_a_failure_not_an_error(text: str) -> None:
    async with serving(says(text)) as server:
        reply = await sender().post(f"http://127.0.0.1:{server.port}/", HEADERS, BODY)
    assert reply.status is None
    assert reply.error
    assert reply.error in OWN_WORDS


async def test_a_compressed_bomb_is_not_unpacked() -> None:
    import zlib

    bomb = zlib.compress(bytes(30_000_000))

    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        head = (
            f"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\ncontent-length: {len(bomb)}\r\n\r\n"
        )
        writer.write(head.encode() + bomb)
        await writer.drain()

    async with serving(answer) as server:
        reply = await sender().post(f"http://127.0.0.1:{server.port}/", HEADERS, BODY)
    assert reply.taken


async def test_no_one_listens_is_a_failure() -> None:
    async with serving(says("")) as server:
        pass
    reply = await sender().post(f"http://127.0.0.1:{server.port}/", HEADERS, BODY)
    assert reply.status is None


# Names


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["9.9.9.9", "127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["fe80::1%eth0"],
        ["2606:4700::1111%1"],
        ["168.63.129.16"],
        ["::127.0.0.1"],
        ["::ffff:0:127.0.0.1"],
        ["2002:7f00:1::"],
        ["2001:0:7f00:1::"],
        [],
    ],
    ids=str,
)
async def test_a_name_with_one_address_that_is_not_public_is_not_connected_to(
    addresses: list[str],
) -> None:
    async with serving(says("HTTP/1.1 200 OK\n\n")) as server:
        one = sender(allow_loopback=False, addresses=addresses)
        reply = await one.post("https://erp.example.com/", HEADERS, BODY)
    assert reply.status is None
    assert "address" in (reply.error or "")
    assert server.requests == []


async def test_a_name_that_changes_its_address_is_resolved_once_and_only_that_address_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rebinding name: public when it is checked, loopback when it is resolved again. It is
    resolved once; the connection goes to the address that was checked, with the name in the TLS
    handshake and in Host."""
    resolved: list[str] = []
    server_tls, client_tls = _certificate("erp.example.com", tmp_path)
    async with serving(says("HTTP/1.1 200 OK\ncontent-length: 0\n\n"), server_tls) as server:

        async def resolve(host: str, _port: int) -> Sequence[str]:
            resolved.append(host)
            return ["127.0.0.2" if len(resolved) == 1 else "127.0.0.1"]

        # Stand-ins: 127.0.0.2 is "public" here, 127.0.0.1 is not, and 443 is the server's port.
        def fault(address: object, *, allow_loopback: bool) -> str | None:
            return None if str(address) == "127.0.0.2" else "is no public address"

        one = HttpWebhookSender(allow_loopback=False, resolve=resolve)
        monkeypatch.setattr("shared.adapters.delivery.webhook_sender.address_fault", fault)
        monkeypatch.setattr(webhooks, "HTTPS_PORT", server.port)
        one._tls = client_tls
        names: list[str] = []
        server_tls.sni_callback = lambda _socket, name, _context: names.append(name)

        reply = await one.post(f"https://erp.example.com:{server.port}/", HEADERS, BODY)

    # The server listens on 127.0.0.1 alone: a second resolution would have been answered.
    assert reply.status is None
    assert server.requests == []
    assert resolved == ["erp.example.com"]


async def test_the_name_is_in_host_and_in_the_handshake_and_its_certificate_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server_tls, client_tls = _certificate("erp.example.com", tmp_path)
    names: list[str] = []
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
    async with serving(says("HTTP/1.1 200 OK\ncontent-length: 0\n\n"), server_tls) as server:
        monkeypatch.setattr(
            "shared.adapters.delivery.webhook_sender.address_fault", lambda _, allow_loopback: None
        )
        monkeypatch.setattr(webhooks, "HTTPS_PORT", server.port)
        one = sender(allow_loopback=False)
        one._tls = client_tls
        taken = await one.post(f"https://erp.example.com:{server.port}/", HEADERS, BODY)
        wrong = await one.post(f"https://other.example.com:{server.port}/", HEADERS, BODY)
        one._tls = None
        unknown = await one.post(f"https://erp.example.com:{server.port}/", HEADERS, BODY)
    assert taken == ReceiverResponse(200)
    assert names[0] == "erp.example.com"
    (request,) = server.requests
    assert f"Host: erp.example.com:{server.port}".encode() in request
    assert wrong == unknown == ReceiverResponse(None, "the certificate is not valid for the name")


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        serving(says("HTTP/1.1 502 Bad Gateway\ncontent-length: 0\n\n")) as proxy,
        serving(says("HTTP/1.1 200 OK\ncontent-length: 0\n\n")) as server,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        reply = await sender().post(f"http://127.0.0.1:{server.port}/", HEADERS, BODY)
    assert reply == ReceiverResponse(200)
    assert proxy.requests == []


def _certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's context, client's context that trusts it) for a name, made on the spot."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "cert.pem").write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem")
    client = ssl.create_default_context(cadata=pem.decode())
    return server, client
