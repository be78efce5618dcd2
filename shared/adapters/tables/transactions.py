"""Sends a transaction of Table storage: one request encoded by `batch_codec`, without retries."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from wsgiref.handlers import format_date_time

from shared.adapters.tables.batch_codec import decode_batch, encode_batch
from shared.adapters.tables.error_mapping import failed
from shared.ports.tables import Operation

if TYPE_CHECKING:
    from azure.core.pipeline import AsyncPipeline
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.core.rest import AsyncHttpResponse, HttpRequest
    from azure.data.tables.aio import TableServiceClient

_USER_AGENT = "perminute"
_STORAGE_SCOPE = "https://storage.azure.com/.default"


class BatchTransactions:
    """Transactions on azure-core's pipeline with its authentication and tracing.

    The pipeline has no policy that retries or follows redirects: a transaction that is sent twice
    conflicts with its own first attempt.
    """

    def __init__(self, service: "TableServiceClient", transport: "AioHttpTransport") -> None:
        from azure.core.pipeline import AsyncPipeline as Pipeline
        from azure.core.pipeline.policies import DistributedTracingPolicy

        # A SAS would stand behind the "?"; we have keys and identities only.
        self._address = service.url.rstrip("/")
        # They are typed for the synchronous pipeline, and work in both.
        policies: list[Any] = [_authentication(service.credential), DistributedTracingPolicy()]
        self._pipeline: AsyncPipeline[HttpRequest, AsyncHttpResponse] = Pipeline(
            transport, policies=policies
        )

    async def submit(
        self,
        table: str,
        partition: str,
        operations: Sequence[Operation],
        contents: Sequence[str],
        seconds: float,
    ) -> tuple[str, ...]:
        """The new ETags; `contents` are the rows as JSON.

        Raises as `TableStore.transact`, and TableMissing; never an exception of a library.
        """
        from azure.core.rest import HttpRequest

        http_date = format_date_time(time.time())
        token = str(uuid.uuid4())
        batch = encode_batch(
            self._address,
            table,
            partition,
            operations,
            contents,
            http_date=http_date,
            token=token,
        )
        headers = {
            **batch.headers,
            "x-ms-date": http_date,
            "Date": http_date,
            "x-ms-client-request-id": token,
            "User-Agent": _USER_AGENT,
        }
        request = HttpRequest(
            "POST", f"{self._address}/$batch", headers=headers, content=batch.body
        )
        try:
            async with asyncio.timeout(seconds):
                answer = (await self._pipeline.run(request)).http_response
        except Exception as error:
            raise failed(error) from error
        return decode_batch(answer.status_code, answer.headers, answer.content, operations)


def _authentication(credential: Any) -> Any:
    """The policy that the SDK would use: a shared key's is private to it, a token's is public."""
    from azure.core.credentials import AzureNamedKeyCredential
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
    from azure.data.tables._authentication import SharedKeyCredentialPolicy

    if isinstance(credential, AzureNamedKeyCredential):
        return SharedKeyCredentialPolicy(credential)  # type: ignore[no-untyped-call]
    return AsyncBearerTokenCredentialPolicy(credential, _STORAGE_SCOPE)
