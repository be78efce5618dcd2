"""A ledger held against its newest anchor: what was rewritten, or rolled back, as a whole."""

from datetime import date

from shared.ports.ledger import Ledger
from shared.ports.proofs import Anchors, Proofs


async def anchor_problems(
    account: str, today: date, anchors: Anchors, ledger: Ledger, proofs: Proofs
) -> list[str] | None:
    """What is not as it was anchored, head and day roots; None where there is no anchor."""
    anchor = await anchors.latest(account, today)
    if anchor is None:
        return None
    problems: list[str] = []
    head = await ledger.head_at(account, anchor.commit) if anchor.commit else anchor.head
    if head is None:
        problems.append(f"commit {anchor.commit}: is gone; the ledger was rolled back")
    elif head != anchor.head:
        problems.append(
            f"commit {anchor.commit}: is not the one that was anchored; it was rewritten"
        )
    for signed in anchor.roots:
        stored = await proofs.root(account, signed.root.day)
        if stored is None:
            problems.append(f"roots: the root of {signed.root.day} was anchored and is gone")
        elif stored.digest != signed.digest:
            problems.append(f"roots: another root of {signed.root.day} was anchored")
    return problems
