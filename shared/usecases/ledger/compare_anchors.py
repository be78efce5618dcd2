"""A ledger compared with its newest anchor: finds a ledger that was rewritten or rolled back."""

from shared.domain.common.errors import LedgerCorrupt
from shared.ports.ledger import Ledger
from shared.ports.proofs import Anchor, Anchors, Proofs


async def anchor_problems(
    anchor: Anchor, anchors: Anchors, ledger: Ledger, proofs: Proofs
) -> list[str]:
    """The differences of head and day roots from the anchor; none for an anchor that was set
    aside."""
    account = anchor.account
    problems: list[str] = []
    head = await ledger.head_at(account, anchor.commit) if anchor.commit else anchor.head
    if head is None:
        problems.append(f"commit {anchor.commit}: is gone; the ledger was rolled back")
    elif head != anchor.head:
        problems.append(
            f"commit {anchor.commit}: is not the one that was anchored; it was rewritten"
        )
    for signed in anchor.roots:
        day = signed.root.day
        try:
            stored = await proofs.root(account, day)
        except LedgerCorrupt as error:
            problems.append(f"roots: the root of {day} was anchored: {error.detail}")
            continue
        if stored is None:
            problems.append(f"roots: the root of {day} was anchored and is gone")
        elif stored.digest != signed.digest:
            problems.append(f"roots: another root of {day} was anchored")
    return [] if problems and await anchors.is_set_aside(anchor) else problems
