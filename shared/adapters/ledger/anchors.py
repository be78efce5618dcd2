"""Anchors: every day the heads of all ledgers go to another storage account, where they can't be
changed. A ledger that was rewritten or rolled back as a whole verifies by itself; against its
anchor it does not.

Blob `{date}/{bucket}.jsonl`, a line an account: `{"account", "commit", "head", "roots"}`; `roots`
are the signed roots of the days that were closed that night (docs/proof.md), absent where none was.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Protocol

from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.proof.roots import read_root
from shared.ports.proofs import Anchor


class BlobStore(Protocol):
    """Blobs that are written once."""

    async def put_once(self, name: str, content: bytes) -> bool:
        """Write a blob that is not there yet; False if it is."""
        ...

    async def get(self, name: str) -> bytes | None:
        """The content of a blob, or None."""
        ...


class BlobAnchors:
    """Implements the port `Anchors` on blobs."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def write(self, day: date, anchors: Sequence[Anchor]) -> int:
        """Anchor a day; the number of anchors written. The first anchors of a day stay."""
        buckets: dict[str, list[Anchor]] = {}
        for anchor in anchors:
            buckets.setdefault(_blob(day, anchor.account), []).append(anchor)
        written = 0
        for name, group in buckets.items():
            lines = (canonical_json(_document(each)) for each in group)
            if await self._blobs.put_once(name, b"\n".join(lines) + b"\n"):
                written += len(group)
        return written

    async def latest(self, account: str, today: date) -> Anchor | None:
        """The newest anchor of an account, at most `ANCHOR_DAYS_BACK_MAX` days old."""
        for back in range(limits.ANCHOR_DAYS_BACK_MAX):
            content = await self._blobs.get(_blob(today - timedelta(days=back), account))
            for line in (content or b"").splitlines():
                data = json.loads(line)
                if data["account"] == account:
                    roots = tuple(map(read_root, data.get("roots", ())))
                    return Anchor(account, data["commit"], data["head"], roots)
        return None


def _document(anchor: Anchor) -> dict[str, object]:
    roots = [root.document() for root in anchor.roots]
    return {
        "account": anchor.account,
        "commit": anchor.commit,
        "head": anchor.head,
        **({"roots": roots} if roots else {}),
    }


def _blob(day: date, account: str) -> str:
    number = int.from_bytes(hashlib.sha256(account.encode()).digest()[:4]) % limits.ANCHOR_BUCKETS
    return f"{day.isoformat()}/{number:02x}.jsonl"
