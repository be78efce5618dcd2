"""The tables of a workspace in DuckDB, and KQL on them: an engine that is not the cloud's.

`duckdb-kql` translates KQL to SQL. The queries themselves are held against Microsoft's analyser in
test_telemetry.py; here they are executed.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import duckdb_kql

from tests.infra.bicep import INFRA, ROOT

_TYPES = {
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
    "int": "INTEGER",
    "real": "DOUBLE",
    "string": "VARCHAR",
}
_TABLES: dict[str, dict[str, str]] = json.loads(
    (ROOT / "tests" / "infra" / "tables.json").read_text("utf-8")
)


class Logs:
    """A workspace. Rows are placed by their age in seconds."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        self.now = datetime.now(UTC).replace(tzinfo=None)
        for table, columns in _TABLES.items():
            described = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in columns.items())
            self._connection.execute(f"CREATE TABLE {table} ({described})")

    def event(self, name: str, age_seconds: float = 60, /, **fields: object) -> None:
        """One of our own log lines, as the host passes it on."""
        self.line(json.dumps({"event": name, **fields}), age_seconds)

    def line(self, text: str, age_seconds: float = 60) -> None:
        self.row("AppTraces", age_seconds, Message=text, SeverityLevel=1, AppRoleName="app")

    def row(self, table: str, age_seconds: float = 60, /, **values: object) -> None:
        at = self.now - timedelta(seconds=age_seconds)
        names, held = zip(*{"TimeGenerated": at, **values}.items(), strict=True)
        marks = ", ".join("?" for _ in held)
        self._connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",
            list(held),
        )

    def lines(self, texts: Iterable[str], age_seconds: float = 60) -> None:
        """Our log lines, all of one age."""
        at = self.now - timedelta(seconds=age_seconds)
        rows = [[at, text, 1, "app"] for text in texts]
        self._connection.executemany(
            "INSERT INTO AppTraces (TimeGenerated, Message, SeverityLevel, AppRoleName)"
            " VALUES (?, ?, ?, ?)",
            rows,
        )

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What happens within is undone."""
        self._connection.begin()
        yield
        self._connection.rollback()

    def forget(self, *patterns: str) -> None:
        """Remove our log lines like these."""
        for pattern in patterns:
            self._connection.execute("DELETE FROM AppTraces WHERE Message LIKE ?", [pattern])

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query in `infra/queries`, for all accounts."""
        text = (INFRA / "queries" / f"{query}.kql").read_text("utf-8").replace("{Account}", "")
        found = duckdb_kql.kql(self._connection, text)
        names: list[str] = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def value(self, alert: str) -> float:
        """What an alert's threshold is held against: the greatest `value`, 0 without a row."""
        return max((float(row["value"] or 0) for row in self.rows(f"alerts/{alert}")), default=0)


def thresholds(rules: Iterable[Mapping[str, Any]], prefix: str) -> dict[str, float]:
    """The threshold of each log alert by its name."""
    return {
        rule["name"].removeprefix(prefix): rule["properties"]["criteria"]["allOf"][0]["threshold"]
        for rule in rules
    }
