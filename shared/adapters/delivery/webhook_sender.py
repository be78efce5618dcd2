"""Sends to customers' receivers, who may be slow, broken or hostile.

A name is resolved once; every address that it has is checked, and the connection goes to one of
those and to nothing else, with the name in Host and in the TLS handshake. No redirects, no proxies
from the environment, no cookies; time and size of an answer are limited.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.domain.common import limits
from shared.domain.delivery.webhooks import ReceiverResponse, address_fault, url_fault

if TYPE_CHECKING:
    from aiohttp import ClientError
    from aiohttp.abc import AbstractResolver, ResolveResult

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → addresses as texts. Raises OSError."""


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """The answer of the system's resolver."""
    loop = asyncio.get_running_loop()
    entries = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in entries]


class HttpWebhookSender:
    """Implements the port `WebhookSender` with aiohttp, which is loaded at the first delivery."""

    def __init__(self, *, allow_loopback: bool, resolve: Resolve = system_resolve) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        try:
            async with asyncio.timeout(limits.WEBHOOK_SECONDS_MAX):
                return await self._post(url, headers, body)
        except TimeoutError:
            return _failed(f"no answer within {limits.WEBHOOK_SECONDS_MAX:.0f} s")
        except socket.gaierror:
            return _failed("the name can't be resolved")
        except (OSError, ValueError) as error:
            return _failed(f"the connection failed ({type(error).__name__})")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        import aiohttp

        if fault := url_fault(url, allow_loopback=self._allow_loopback):
            return _failed(f"the URL {fault}")
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await self._addresses(host, port)
        if isinstance(addresses, ReceiverResponse):
            return addresses
        connector = aiohttp.TCPConnector(
            resolver=_pinned(addresses), ssl=self._context(), force_close=True
        )
        timeout = aiohttp.ClientTimeout(
            total=limits.WEBHOOK_SECONDS_MAX, sock_connect=limits.WEBHOOK_CONNECT_SECONDS_MAX
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=timeout,
                    trust_env=False,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                ) as session,
                session.post(
                    url, data=body, headers=dict(headers), allow_redirects=False
                ) as response,
            ):
                status = response.status
                left = limits.WEBHOOK_ANSWER_BYTES_MAX
                while left > 0 and (part := await response.content.read(left)):
                    left -= len(part)
                if left <= 0:
                    response.close()  # a receiver that goes on sending is not read
                return ReceiverResponse(status)
        except aiohttp.ClientError as error:
            return _failed(_why(error))

    async def _addresses(self, host: str, port: int) -> Sequence[str] | ReceiverResponse:
        """The address to connect to; every address of a name must be permitted."""
        try:
            addresses = [str(ip_address(host))]
        except ValueError:
            addresses = list(await self._resolve(host, port))
        if not addresses:
            return _failed("the name has no address")
        for text in addresses:
            fault = address_fault(ip_address(text), allow_loopback=self._allow_loopback)
            if fault:
                return _failed(f"the name has an address that {fault}")
        return addresses[: limits.WEBHOOK_ADDRESSES_MAX]

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _pinned(addresses: Sequence[str]) -> "AbstractResolver":
    """A resolver that returns only checked addresses."""
    from aiohttp.abc import AbstractResolver

    class Pinned(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> "list[ResolveResult]":
            return [_result(host, port, address) for address in addresses]

        async def close(self) -> None:
            return None

    return Pinned()


def _result(host: str, port: int, address: str) -> Any:
    version = ip_address(address).version
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": socket.AF_INET6 if version == 6 else socket.AF_INET,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST,
    }


def _why(error: "ClientError") -> str:
    """The error in fixed words: an exception's text may contain data of the receiver."""
    import aiohttp

    reasons: tuple[tuple[type[aiohttp.ClientError], str], ...] = (
        (aiohttp.ClientConnectorCertificateError, "the certificate is not valid for the name"),
        (aiohttp.ClientSSLError, "the TLS handshake failed"),
        (aiohttp.ClientConnectorError, "no connection could be made"),
        (aiohttp.ServerTimeoutError, "no connection could be made in time"),
        (aiohttp.ClientConnectionError, "the connection broke off"),
        (aiohttp.ClientPayloadError, "the answer broke off or is malformed"),
        (aiohttp.ClientResponseError, "the answer is no valid HTTP"),
    )
    for kind, reason in reasons:
        if isinstance(error, kind):
            return reason
    return f"the request failed ({type(error).__name__})"


def _failed(why: str) -> ReceiverResponse:
    return ReceiverResponse(None, why)
