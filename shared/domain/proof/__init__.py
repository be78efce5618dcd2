"""Proofs that verify without the operator: public hashes, day roots, receipts, month files.

docs/proof.md fixes every byte; tests/golden/proof_vectors.json freezes examples. A change of any
encoding here is a new format with another name, and old proofs keep verifying.
"""
