"""Schema numbers of stored rows: a newer one fails closed."""

from collections.abc import Container

from shared.domain.common.errors import LedgerCorrupt
from shared.ports.tables import Row


def is_unknown(row: Row, known: Container[int]) -> bool:
    """Whether another version of the product wrote the row: its schema number is none of `known`.
    A row without a sound number is damaged, which is another matter."""
    schema = row.values.get("schema")
    return isinstance(schema, int) and schema > 0 and schema not in known


def check_schema(row: Row, known: int) -> None:
    """Raises LedgerCorrupt if the row has no schema number, or a newer one than `known`."""
    schema = row.values.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or not 1 <= schema <= known:
        raise LedgerCorrupt(f"Row {row.key} has schema {schema!r}; this code knows {known}.")
