"""The frozen vectors of docs/proof.md: encodings never change."""

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.domain.common.canonical import canonical_json
from shared.domain.proof.commits import document_hash
from shared.domain.proof.days import follows
from shared.domain.proof.merkle import MerklePath, leaf_hash, node_hash, tree_root
from shared.domain.proof.rates import rates_root
from shared.domain.proof.roots import read_root, signed_bytes
from tests.unit.proof import proof_vectors

VECTORS: dict[str, Any] = json.loads(proof_vectors.FILE.read_text("utf-8"))


def path(document: dict[str, Any]) -> MerklePath:
    hashes = tuple(bytes.fromhex(each) for each in document["hashes"])
    return MerklePath(document["index"], document["size"], hashes)


def path_root(leaf: bytes, path: MerklePath) -> bytes | None:
    """The root that a path leads to from leaf data; None for a path of no tree of that size."""
    if not 0 <= path.index < path.size:
        return None
    at, last, found = path.index, path.size - 1, leaf_hash(leaf)
    hashes = iter(path.hashes)
    while last:
        if at % 2 or at < last:
            sibling = next(hashes, None)
            if sibling is None:
                return None
            found = node_hash(sibling, found) if at % 2 else node_hash(found, sibling)
        at, last = at // 2, last // 2
    return found if next(hashes, None) is None else None


def test_the_encoding_of_constants_is_frozen() -> None:
    assert {name: VECTORS[name] for name in proof_vectors.fixed()} == proof_vectors.fixed()
    assert VECTORS["rates"]["root"] == rates_root(VECTORS["rates"]["rates"])


def test_random_calls_are_rated_as_they_were() -> None:
    assert VECTORS["ratings"] == proof_vectors.ratings()


def test_roots_are_signed_and_a_chain() -> None:
    key = base64.b64decode(VECTORS["keys"]["keys"][0]["public_key"])
    signed = [read_root(each) for each in VECTORS["roots"]]
    for each, stored in zip(signed, VECTORS["roots"], strict=True):
        assert each.document() == stored
        Ed25519PublicKey.from_public_bytes(key).verify(each.signature, signed_bytes(each.root))
    for before, after in pairwise(signed):
        assert follows(before.root, before.digest, after.root)


@pytest.mark.parametrize("receipt", VECTORS["receipts"])
def test_paths_of_receipts_lead_to_signed_roots(receipt: dict[str, Any]) -> None:
    assert document_hash({k: v for k, v in receipt.items() if k != "digest"}) == receipt["digest"]
    for item in receipt["items"]:
        root = receipt["roots"][item["root"]]["root"]
        entry = path_root(canonical_json(item["entry"]), path(item["entry_path"]))
        commit = bytes.fromhex(document_hash(item["commit"]))
        assert entry is not None
        assert entry.hex() == item["commit"]["root"]
        assert path_root(commit, path(item["commit_path"])) == bytes.fromhex(root["tree"])


def test_a_path_leads_to_its_root_and_to_no_other() -> None:
    for tree in VECTORS["trees"]:
        leaves = [bytes.fromhex(leaf) for leaf in tree["leaves"]]
        assert tree_root(leaves).hex() == tree["root"]
        for index, document in enumerate(tree["paths"]):
            good = path(document)
            assert path_root(leaves[index], good) == tree_root(leaves)
            for bad in (
                MerklePath(good.index + 1, good.size, good.hashes),
                MerklePath(good.index, good.size, (*good.hashes, b"x" * 32)),
                MerklePath(good.index, good.size + len(leaves), good.hashes),
                MerklePath(-1, good.size, good.hashes),
            ):
                assert path_root(leaves[index], bad) != tree_root(leaves)
