"""The two ways to send a transaction: our codec, and the SDK's `submit_transaction`.

Neither tries again. Both raise what `table_outcomes` says, never an exception of a library.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from wsgiref.handlers import format_date_time

from shared.adapters.tables.batch_codec import decode_batch, encode_batch
from shared.adapters.tables.error_mapping import error_code, failed, refused
from shared.adapters.tables.sdk_entities import to_sdk_operation
from shared.domain.common.errors import OutcomeUnknown
from shared.ports.tables import Delete, Operation

if TYPE_CHECKING:
    from azure.core.pipeline import AsyncPipeline
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.core.rest import AsyncHttpResponse, HttpRequest
    from azure.data.tables.aio import TableClient, TableServiceClient

_USER_AGENT = "perminute"
_STORAGE_SCOPE = "https://storage.azure.com/.default"


class Transactions(Protocol):
    """A way to send a transaction that was checked before."""

    async def submit(
        self,
        table: str,
        partition: str,
        operations: Sequence[Operation],
        contents: Sequence[str],
        seconds: float,
    ) -> tuple[str, ...]:
        """The new ETags; `contents` are the rows as JSON.

        Raises as `TableStore.transact`, and TableMissing.
        """
        ...


class SdkTransactions:
    """Through `submit_transaction`."""

    def __init__(self, client_of: "Callable[[str], TableClient]") -> None:
        self._client_of = client_of

    async def submit(
        self,
        table: str,
        partition: str,
        operations: Sequence[Operation],
        contents: Sequence[str],
        seconds: float,
    ) -> tuple[str, ...]:
        """The new ETags."""
        from azure.core.exceptions import HttpResponseError

        client = self._client_of(table)
        sdk_operations = [to_sdk_operation(partition, operation) for operation in operations]
        try:
            async with asyncio.timeout(seconds):
                answers = await client.submit_transaction(sdk_operations, retry_total=0)
        except HttpResponseError as error:
            if not error.status_code:
                raise failed(error) from error
            index = getattr(error, "index", 0)
            raise refused(error.status_code, error_code(error), index, len(operations)) from error
        except Exception as error:
            raise failed(error) from error
        etags = tuple(str(answer.get("etag", "")) for answer in answers)
        written = [not isinstance(operation, Delete) for operation in operations]
        if [bool(etag) for etag in etags] != written:
            raise OutcomeUnknown("Table storage answered for some of the operations only.")
        return etags


class LeanTransactions:
    """Through our codec, on azure-core's pipeline: authentication and tracing stay theirs.

    There is no policy in the pipeline that retries or follows redirects.
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
        """The new ETags."""
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
