"""A product whose ledgers are anchored, and whose stored rows a test changes."""

import json
from collections.abc import Callable
from typing import Any

from shared.adapters.ledger.anchors import BlobAnchors
from shared.ports.tables import Operation, Upsert
from tests.support.charging_app import ChargingApp

BASE = "/api/v1/accounts/contoso"


class Blobs:
    """Blobs in memory that are written once."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    async def put_once(self, name: str, content: bytes) -> bool:
        return self.blobs.setdefault(name, content) is content

    async def get(self, name: str) -> bytes | None:
        return self.blobs.get(name)


class AnchoredApp(ChargingApp):
    """An account `contoso` with ten dollars, and a store of anchors in memory."""

    def __init__(self, *more: Any, **options: Any) -> None:
        super().__init__(*more, **options)
        self.blobs = Blobs()
        self.container.anchors = BlobAnchors(self.blobs)
        self.settle("contoso")

    def close_days(self, count: int = 3) -> None:
        """Days with two legs each, closed and anchored; the first one is 2026-11-23."""
        for _ in range(count):
            self.leg()
            self.leg(to="+33170000001")
            assert self.next_night() == []

    def next_night(self) -> list[str]:
        """The problems that the audit finds a day later."""
        self.clock.advance(days=1)
        return self.audit()

    def audit(self) -> list[str]:
        answer = self.post("/api/v1/operations/nightly-audit", None)
        assert answer.status == 200, answer.body
        return list(answer.json["problems"])

    def problems(self) -> list[str]:
        """The problems that `verify` finds, compared with the anchor."""
        answer = self.get(f"{BASE}/verify?anchors=true")
        assert answer.status == 200, answer.body
        return list(answer.json["problems"])

    def write(self, *operations: Operation) -> None:
        self.run(self.tables.transact("ledger", "contoso", operations))

    def values_of(self, key: str) -> dict[str, Any]:
        return dict(self.run(self.tables.get("ledger", "contoso", key)).values)

    def keys_of(self, prefix: str) -> list[str]:
        found = self.run(self.tables.query("ledger", "contoso", first=prefix, before=f"{prefix}~"))
        return [row.key for row in found]

    def change(self, key: str, change: Callable[[Any], object]) -> None:
        """Change the JSON content of a row."""
        values = self.values_of(key)
        data = json.loads(values["data"])
        change(data)
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        self.write(Upsert(key, {**values, "data": text}))
