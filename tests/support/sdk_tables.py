"""AzureTables that writes through the SDK's `submit_transaction`.

The second implementation that the product's batch codec is compared with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError

from shared.adapters.tables.azure_tables import AzureTables
from shared.adapters.tables.entity_json import plain
from shared.adapters.tables.error_mapping import error_code, failed, refused
from shared.domain.common.errors import OutcomeUnknown
from shared.ports.tables import Delete, Insert, Operation, Replace, Value

type Entity = dict[str, Any]


def to_entity(partition: str, key: str, values: Mapping[str, Value]) -> Entity:
    """An entity whose integers are Int64, which the SDK would otherwise make Int32."""
    entity: Entity = {"PartitionKey": partition, "RowKey": key}
    for name, raw in values.items():
        value = plain(raw)
        if isinstance(value, int) and not isinstance(value, bool):
            entity[name] = (value, "Edm.Int64")
        else:
            entity[name] = value
    return entity


def to_sdk_operation(partition: str, operation: Operation) -> tuple[str, Entity, dict[str, Any]]:
    """An operation as `submit_transaction` takes it."""
    keys: Entity = {"PartitionKey": partition, "RowKey": operation.key}
    match operation:
        case Insert():
            return "create", to_entity(partition, operation.key, operation.values), {}
        case Replace():
            condition = {"etag": operation.etag, "match_condition": MatchConditions.IfNotModified}
            entity = to_entity(partition, operation.key, operation.values)
            return "update", entity, {"mode": "replace", **condition}
        case Delete(etag=None):
            return "delete", keys, {}
        case Delete():
            condition = {"etag": operation.etag, "match_condition": MatchConditions.IfNotModified}
            return "delete", keys, condition
        case _:
            entity = to_entity(partition, operation.key, operation.values)
            return "upsert", entity, {"mode": "replace"}


class SdkTables(AzureTables):
    """The product's table store; only the attempt to write a transaction is the SDK's."""

    async def _submit(
        self, table: str, partition: str, operations: Sequence[Operation], contents: Sequence[str]
    ) -> tuple[str, ...]:
        sdk_operations = [to_sdk_operation(partition, operation) for operation in operations]
        try:
            async with self._deadline():
                answers = await self._client(table).submit_transaction(
                    sdk_operations, retry_total=0
                )
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
