"""The keys that sign day roots: their periods, and their compromises."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import (
    Conflict,
    Invalid,
    NotFound,
    PreconditionFailed,
    PreconditionMissing,
    StoreUnavailable,
)
from shared.domain.proof.roots import DayRoot, ProofKey, SignedRoot, key_id, signed_bytes
from shared.ports.clock import Clock
from shared.ports.proofs import Signer
from shared.ports.records import RecordStore, all_records
from shared.usecases.directory import codecs
from shared.usecases.directory.codecs import Kind


@dataclass(frozen=True, slots=True)
class ProofKeys:
    """The public keys in the directory, and the private one of this process, if it has any.
    Everything raises StoreUnavailable."""

    records: RecordStore
    signer: Signer | None
    is_signed: Callable[[bytes, bytes, bytes], bool]
    clock: Clock

    async def every(self) -> list[ProofKey]:
        """All keys, the first one first."""
        records = await all_records(self.records, Kind.PROOF_KEY)
        return sorted(map(codecs.proof_key, records), key=lambda key: (key.since, key.id))

    async def published(self) -> list[ProofKey]:
        """All keys. This process publishes its key before it signs anything, so that verifiers can
        store it."""
        if self.signer is not None:
            with suppress(Conflict):
                await self.current()
        return await self.every()

    async def current(self) -> ProofKey:
        """The signing key: the newest one. A new private key's public part is published.

        The keys before it end `PROOF_KEY_OVERLAP_SECONDS` later, so that a signature of this
        moment, or of a clock that is ahead, is still within the period of its key. A process that
        finds an older key without an end writes the end, since the process that published the
        successor may have stopped before.

        Raises Conflict `proofs_off` without a private key, `proof_key_replaced` where another one
        has replaced it, `proof_key_compromised` where it was compromised.
        """
        if self.signer is None:
            raise Conflict("Days are not signed here. Set PERMINUTE_PROOF_KEY.", code="proofs_off")
        own = key_id(self.signer.public_key)
        keys = {key.id: key for key in await self.every()}
        if own not in keys:
            newest = max(
                (key.since + timedelta(microseconds=1) for key in keys.values()), default=None
            )
            since = max(self.clock.now(), newest) if newest else self.clock.now()
            await self._write(ProofKey(own, self.signer.public_key, since), None)
            keys = {key.id: key for key in await self.every()}
        *before, last = keys.values()
        end = self.clock.now() + timedelta(seconds=limits.PROOF_KEY_OVERLAP_SECONDS)
        for each in before:
            if each.until is None:
                await self._change(each.id, lambda key: replace(key, until=key.until or end))
        key = keys[own]
        if key.compromised_at is not None:
            raise Conflict(
                f"The proof key {own} was compromised: rotate the key.",
                code="proof_key_compromised",
            )
        if key is not last or key.until is not None:
            raise Conflict(
                f"The proof key {own} was replaced: restart this process with the new key.",
                code="proof_key_replaced",
            )
        return key

    def signing_time(self, key: ProofKey) -> datetime:
        """The present time, or the start of the key if the clock of the process that published it
        is ahead."""
        return max(self.clock.now(), key.since)

    def sign(self, root: DayRoot) -> SignedRoot:
        """The root, signed; its key is that of `current`."""
        assert self.signer is not None, "a root names a key that `current` gave"
        return SignedRoot(root, self.signer.sign(signed_bytes(root)))

    async def compromised(self, key: str, at: datetime) -> ProofKey:
        """Record that another party may have had the private key since `at`; an earlier time
        replaces a later one, a later one changes nothing.

        Raises NotFound `proof_key_unknown`, Invalid for a time in the future.
        """
        if at > self.clock.now():
            raise Invalid.field("/at", "must not be in the future")

        def earliest(key: ProofKey) -> ProofKey:
            compromised_at = key.compromised_at
            return replace(
                key, compromised_at=at if compromised_at is None else min(compromised_at, at)
            )

        return await self._change(key, earliest)

    def fault(self, signed: SignedRoot, keys: dict[str, ProofKey]) -> str | None:
        """The reason for which no key that was valid at the time signed a root; None if one did."""
        root = signed.root
        key = keys.get(root.key)
        if key is None:
            return f"key: {root.key} is not a published key"
        if not self.is_signed(key.public_key, signed.signature, signed_bytes(root)):
            return f"signature: is not that of key {root.key}"
        if root.signed_at < key.since or (key.until is not None and root.signed_at >= key.until):
            return f"key: {root.key} did not hold when the root was signed"
        if key.compromised_at is not None and root.signed_at >= key.compromised_at:
            return f"compromised: {root.key} was compromised when the root was signed"
        return None

    async def _change(self, key: str, change: Callable[[ProofKey], ProofKey]) -> ProofKey:
        for _ in range(limits.RECORD_TRIES_MAX):
            record = await self.records.get(Kind.PROOF_KEY, key)
            if record is None:
                raise NotFound(
                    "No proof key has this id. List the proof keys for the ids.",
                    code="proof_key_unknown",
                )
            proof_key = codecs.proof_key(record)
            changed = change(proof_key)
            if changed == proof_key or await self._write(changed, record.etag):
                return changed
        raise StoreUnavailable("This key changes too often at present.")

    async def _write(self, key: ProofKey, if_match: str | None) -> bool:
        try:
            document = codecs.proof_key_document(key)
            await self.records.put(Kind.PROOF_KEY, key.id, document, if_match=if_match)
        except (PreconditionFailed, PreconditionMissing):
            return False  # another process was faster
        return True
