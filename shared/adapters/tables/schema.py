"""Schema numbers of stored rows: a newer one fails closed."""

from collections.abc import Container

from shared.domain.common.errors import LedgerCorrupt, StoreUnavailable
from shared.ports.tables import Row


def refuse_unknown(row: Row, supported: Container[int]) -> None:
    """Raises StoreUnavailable `schema_unknown` if another version of the product wrote the row: its
    schema number is none of `supported`. A row without a sound number is damaged, which is another
    matter."""
    schema = row.values.get("schema")
    if isinstance(schema, int) and schema > 0 and schema not in supported:
        raise StoreUnavailable(
            "The row was written by a newer version. Deploy that version or a later one.",
            code="schema_unknown",
        )


def check_schema(row: Row, supported: int) -> None:
    """Raises LedgerCorrupt if the row has no schema number, or a newer one than `supported`."""
    schema = row.values.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or not 1 <= schema <= supported:
        raise LedgerCorrupt(f"Row {row.key} has schema {schema!r}; this code knows {supported}.")
