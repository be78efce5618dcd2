"""Schema numbers of stored rows: a newer one fails closed."""

from collections.abc import Container

from shared.domain.common.errors import LedgerCorrupt
from shared.ports.tables import Row


def is_unknown(row: Row, supported: Container[int]) -> bool:
    """True if another version of the product wrote the row: `supported` lacks its schema number.
    A row without a sound number is damaged, which is another matter."""
    schema = row.values.get("schema")
    return isinstance(schema, int) and schema > 0 and schema not in supported


def check_schema(row: Row, supported: int) -> None:
    """Raises LedgerCorrupt if the row has no schema number, or a newer one than `supported`."""
    schema = row.values.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or not 1 <= schema <= supported:
        raise LedgerCorrupt(f"Row {row.key} has schema {schema!r}; this code knows {supported}.")
