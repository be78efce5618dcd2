"""The keys of proofs at the HTTP edge."""

import base64

from shared.contracts.common.fields import AdminBody
from shared.contracts.common.validation import TimeText
from shared.domain.common.canonical import format_time
from shared.domain.proof.roots import ProofKey


class CompromisedBody(AdminBody):
    """The time from which another person may have had the private key."""

    at: TimeText


def proof_key_body(key: ProofKey) -> dict[str, object]:
    """A public key (docs/proof.md)."""
    return {
        "id": key.id,
        "algorithm": "Ed25519",
        "public_key": base64.b64encode(key.public_key).decode(),
        "from": format_time(key.since),
        "until": format_time(key.until) if key.until else None,
        "compromised_at": format_time(key.compromised_at) if key.compromised_at else None,
    }
