"""Blobs are written once and read, against Azurite's blob service."""

import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.utils import format_datetime
from uuid import uuid4

import pytest

from shared.adapters.blobs import Blobs
from shared.adapters.ledger.anchors import BlobAnchors
from shared.domain.common.errors import StoreUnavailable
from shared.ports.proofs import Anchor
from tests.support.azurite import Azurite, free_port, start_azurite
from tests.support.azurite import connection_string as connection_string_of


@pytest.fixture(scope="module")
def blob_service() -> Iterator[Azurite]:
    with start_azurite("blob") as running:
        yield running


async def _container(service: Azurite) -> Blobs:
    """A fresh container. Bicep makes it in Azure; here a signed request of our own does."""
    name = f"c{uuid4().hex}"
    blobs = Blobs(name, connection_string=service.connection_string)
    url = f"{service.endpoint}/{name}?restype=container"
    headers = {
        "x-ms-version": "2023-11-03",
        "x-ms-date": _now(),
        "content-type": "application/octet-stream",
    }
    headers["authorization"] = blobs._shared_key("PUT", url, 0, headers, "restype:container")
    request = urllib.request.Request(url, method="PUT", headers=headers, data=b"")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201
    return blobs


def _now() -> str:
    return format_datetime(datetime.now(UTC), usegmt=True)


async def test_a_blob_is_written_once(blob_service: Azurite) -> None:
    blobs = await _container(blob_service)
    try:
        assert await blobs.get("2026-01-15/0a.jsonl") is None
        assert await blobs.put_once("2026-01-15/0a.jsonl", b"first\n")
        assert not await blobs.put_once("2026-01-15/0a.jsonl", b"second\n")
        assert await blobs.get("2026-01-15/0a.jsonl") == b"first\n"
    finally:
        await blobs.close()


async def test_anchors_come_back_from_blobs(blob_service: Azurite) -> None:
    blobs = await _container(blob_service)
    try:
        anchors = BlobAnchors(blobs)
        written = [Anchor(f"account-{number}", number, f"{number:064x}") for number in range(40)]
        assert await anchors.write(date(2026, 1, 14), written) == 40
        assert await anchors.latest("account-7", date(2026, 1, 16)) == written[7]
    finally:
        await blobs.close()


async def test_a_missing_container_and_a_dead_service_are_unavailable(
    blob_service: Azurite,
) -> None:
    for text in (blob_service.connection_string, connection_string_of(free_port())):
        blobs = Blobs("nothing-here", connection_string=text)
        try:
            with pytest.raises(StoreUnavailable):
                await blobs.put_once("x", b"y")
        finally:
            await blobs.close()
