"""Anchors: every day the heads of all ledgers go to another storage account, where they can't be
changed. A ledger that was rewritten or rolled back as a whole verifies by itself; against its
anchor it does not.

Blob `{date}/{bucket}.jsonl`, a line an account: `{"account", "commit", "head", "roots"}`. `roots`
are signed roots (docs/proof.md): the last one of the anchor before, and those of the days that were
closed since. `"sound": false` repeats the anchor before for a ledger with a problem.
Earlier versions left `roots` out where there were none, also where the ledger had a problem.

Blob `set-aside/{digest}.json`: an anchor with which a ledger is no longer compared.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from shared.adapters.blobs import Blobs
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json, content_digest, format_time
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.proof.roots import read_root
from shared.ports.proofs import Anchor


class BlobAnchors:
    """Implements the port `Anchors` on blobs."""

    def __init__(self, blobs: Blobs) -> None:
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
        """The newest anchor of an account, at most `ANCHOR_DAYS_BACK_MAX` days old. Raises
        LedgerCorrupt."""
        newest: Anchor | None = None
        for back in range(limits.ANCHOR_DAYS_BACK_MAX):
            name = _blob(today - timedelta(days=back), account)
            try:
                anchor = _of_account(await self._blobs.get(name) or b"", account)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise LedgerCorrupt(f"The anchors in {name} can't be read: {error!r}.") from error
            if anchor is None:
                continue
            newest = newest or anchor[0]
            if anchor[1]:
                return replace(newest, roots=anchor[0].roots)
        return newest

    async def set_aside(self, anchor: Anchor, now: datetime) -> None:
        """Record that an operator no longer compares with an anchor."""
        document = {**_document(anchor), "at": format_time(now)}
        await self._blobs.put_once(_set_aside(anchor), canonical_json(document))

    async def is_set_aside(self, anchor: Anchor) -> bool:
        """True if an operator no longer compares with an anchor."""
        return await self._blobs.get(_set_aside(anchor)) is not None


def _document(anchor: Anchor) -> dict[str, object]:
    return {
        "account": anchor.account,
        "commit": anchor.commit,
        "head": anchor.head,
        "roots": [root.document() for root in anchor.roots],
        **({} if anchor.is_sound else {"sound": False}),
    }


def _of_account(content: bytes, account: str) -> tuple[Anchor, bool] | None:
    """(the anchor of an account, whether its line has roots) in a blob."""
    for line in content.splitlines():
        data = json.loads(line)
        if data["account"] == account:
            roots = tuple(map(read_root, data.get("roots", ())))
            commit, head, is_sound = data["commit"], data["head"], data.get("sound", True)
            if [type(each) for each in (commit, head, is_sound)] != [int, str, bool]:
                raise ValueError("the anchor has a member of another type")
            return Anchor(account, commit, head, roots, is_sound), "roots" in data
    return None


def _set_aside(anchor: Anchor) -> str:
    return f"set-aside/{content_digest(_document(replace(anchor, is_sound=True)))}.json"


def _blob(day: date, account: str) -> str:
    number = int.from_bytes(hashlib.sha256(account.encode()).digest()[:4]) % limits.ANCHOR_BUCKETS
    return f"{day.isoformat()}/{number:02x}.jsonl"
