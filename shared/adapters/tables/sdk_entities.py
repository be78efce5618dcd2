"""Rows as the SDK wants and gives them."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.adapters.tables.entity_json import plain
from shared.domain.common.errors import LedgerCorrupt
from shared.ports.tables import Delete, Insert, Operation, Replace, Row, Value

if TYPE_CHECKING:
    from azure.data.tables import TableEntity

type Entity = dict[str, Any]


def to_entity(partition: str, key: str, values: Mapping[str, Value]) -> Entity:
    """An entity whose integers are Int64, which the SDK would otherwise make Int32."""
    entity: Entity = {"PartitionKey": partition, "RowKey": key}
    for name, given in values.items():
        value = plain(given)
        if isinstance(value, int) and not isinstance(value, bool):
            entity[name] = (value, "Edm.Int64")
        else:
            entity[name] = value
    return entity


def to_sdk_operation(partition: str, operation: Operation) -> tuple[str, Entity, dict[str, Any]]:
    """An operation as `submit_transaction` takes it."""
    from azure.core import MatchConditions

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


def to_row(entity: "TableEntity") -> Row:
    """A row of what the SDK read. Raises LedgerCorrupt on a type that we never write."""
    values = {
        name: _value(name, value)
        for name, value in entity.items()
        if name not in {"PartitionKey", "RowKey"}
    }
    etag = entity.metadata["etag"]
    if etag is None:
        raise LedgerCorrupt("A row came without its version.")
    return Row(entity["PartitionKey"], entity["RowKey"], values, etag)


def _value(name: str, value: Any) -> Value:
    match value:
        case bool() | int() | str() | bytes():
            return value
        case datetime():
            return datetime.combine(value.date(), value.timetz())
        case (int(number), "Edm.Int64"):
            return number
        case _:
            raise LedgerCorrupt(f"The property {name} has a type that is never written.")
