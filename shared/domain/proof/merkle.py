"""The Merkle trees of RFC 6962: roots, and the paths that lead to them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MerklePath:
    """The way from leaf `index` of `size` leaves to the root: the sibling at each level."""

    index: int
    size: int
    hashes: tuple[bytes, ...]


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf data, in order; the hash of nothing for no leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _above(level)
    return level[0]


def tree_path(leaves: Sequence[bytes], index: int) -> MerklePath:
    """The path of one leaf."""
    level, at, hashes = [leaf_hash(leaf) for leaf in leaves], index, []
    while len(level) > 1:
        sibling = at ^ 1
        if sibling < len(level):
            hashes.append(level[sibling])
        level, at = _above(level), at // 2
    return MerklePath(index, len(leaves), tuple(hashes))


def _above(level: list[bytes]) -> list[bytes]:
    """The next level of a tree: hashes of pairs; a last node without a sibling is unchanged."""
    pairs = [node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
    return [*pairs, level[-1]] if len(level) % 2 else pairs
