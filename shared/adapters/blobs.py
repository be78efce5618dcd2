"""Blobs of one container, written once, read and listed, on azure-core's pipeline.

Three requests don't need an SDK. Authentication, retries and tracing are azure-core's; only the
shared key of an emulator is signed here, since azure-core has no policy for it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from shared.adapters.credentials import Pipeline, connection_parts
from shared.domain.common import limits
from shared.domain.common.errors import StoreUnavailable

if TYPE_CHECKING:
    from azure.core.rest import AsyncHttpResponse

VERSION = "2023-11-03"
SCOPE = "https://storage.azure.com/.default"
_NAME = re.compile(r"<Name>([^<]+)</Name>")
_MARKER = re.compile(r"<NextMarker>([^<]+)</NextMarker>")
_NOT_THERE = 404
_THERE_ALREADY = {409, 412}


class Blobs:
    """The blobs of a container. Either a connection string with a shared key, or an endpoint and
    the client id of a managed identity."""

    def __init__(
        self,
        container: str,
        *,
        connection_string: str | None = None,
        endpoint: str | None = None,
        client_id: str | None = None,
    ) -> None:
        self._container = container
        self._parts = connection_parts(connection_string)
        self._endpoint = (endpoint or self._parts.get("BlobEndpoint", "")).rstrip("/")
        self._pipeline = Pipeline(
            scope=SCOPE,
            client_id=client_id,
            identify="AccountKey" not in self._parts,
            tries=limits.BLOB_TRIES_MAX,
            seconds=limits.BLOB_SECONDS_MAX,
        )

    async def put_once(self, name: str, content: bytes) -> bool:
        """Write a blob that is not there yet; False if it is. Raises StoreUnavailable."""
        response = await self._send(
            "PUT",
            name,
            content,
            {
                "x-ms-blob-type": "BlockBlob",
                "if-none-match": "*",
                "content-type": "application/octet-stream",
            },
        )
        return response.status_code not in _THERE_ALREADY

    async def get(self, name: str) -> bytes | None:
        """The content of a blob, or None. Raises StoreUnavailable."""
        response = await self._send("GET", name, b"", {})
        if response.status_code == _NOT_THERE:
            return None
        return response.content

    async def names(self, prefix: str, *, page_names: int = limits.BLOB_PAGE_NAMES) -> list[str]:
        """The names of all blobs that begin with `prefix`, in order, read `page_names` at a time.

        Raises StoreUnavailable.
        """
        names: list[str] = []
        marker = ""
        for _ in range(limits.BLOB_PAGES_MAX):
            parameters = {
                "comp": "list",
                "maxresults": str(page_names),
                "prefix": prefix,
                "restype": "container",
            }
            if marker:
                parameters["marker"] = marker
            response = await self._send("GET", "", b"", {}, parameters)
            if response.status_code == _NOT_THERE:
                raise StoreUnavailable(
                    "The blob container does not exist. "
                    "Create the container, or correct the setting."
                )
            page = response.content.decode("utf-8")
            names += [unescape(name) for name in _NAME.findall(page)]
            following = _MARKER.search(page)
            if following is None:
                return names
            marker = unescape(following[1])
        raise StoreUnavailable(
            f"The container has more than {limits.BLOB_PAGES_MAX} pages of blobs."
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._pipeline.close()

    async def _send(
        self,
        method: str,
        name: str,
        content: bytes,
        headers: dict[str, str],
        parameters: Mapping[str, str] | None = None,
    ) -> "AsyncHttpResponse":
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        url = f"{self._endpoint}/{self._container}" + (f"/{quote(name)}" if name else "")
        pairs = sorted((parameters or {}).items())
        sent = {
            **headers,
            "x-ms-version": VERSION,
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
        }
        if "AccountKey" in self._parts:
            sent["authorization"] = self._shared_key(
                method, url, len(content), sent, *(f"{key}:{value}" for key, value in pairs)
            )
        query = f"?{urlencode(pairs, quote_via=quote)}" if pairs else ""
        request = HttpRequest(method, url + query, headers=sent, content=content or None)
        try:
            response = await self._pipeline.send(request)
        except AzureError as error:
            raise StoreUnavailable("The blob store does not answer.") from error
        allowed = {_NOT_THERE} if method == "GET" else _THERE_ALREADY
        if response.status_code >= 400 and response.status_code not in allowed:
            raise StoreUnavailable(f"The blob store answers {response.status_code}.")
        return response

    def _shared_key(
        self, method: str, url: str, length: int, headers: dict[str, str], *parameters: str
    ) -> str:
        """Shared Key of the Blob service, version 2015-02-21 and later; `parameters` are those of
        the query, `name:value`, in order."""
        account = self._parts["AccountName"]
        own = sorted((name, value) for name, value in headers.items() if name.startswith("x-ms-"))
        lines = [
            method,
            "",
            "",
            str(length) if length else "",
            "",
            headers.get("content-type", ""),
            "",
            "",
            "",
            headers.get("if-none-match", ""),
            "",
            "",
            *(f"{name}:{value}" for name, value in own),
            f"/{account}{urlsplit(url).path}",
            *parameters,
        ]
        key = base64.b64decode(self._parts["AccountKey"])
        digest = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()
        return f"SharedKey {account}:{base64.b64encode(digest).decode()}"
