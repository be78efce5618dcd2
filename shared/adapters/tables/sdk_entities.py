"""Decodes the entities that the Tables SDK reads."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.domain.common.errors import LedgerCorrupt
from shared.ports.tables import Row, Value

if TYPE_CHECKING:
    from azure.data.tables import TableEntity


def to_row(entity: "TableEntity") -> Row:
    """The row of an entity. Raises LedgerCorrupt on a property type that is never written."""
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
