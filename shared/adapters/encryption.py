"""Encrypted content under a key of the deployment: AES-GCM, bound to the name under which it is
stored.

The first bytes name format and key, so that keys can be changed: the first one encrypts, all of
them decrypt.
"""

import hashlib
from collections.abc import Sequence

from shared.ports.clock import Ids

KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12


class Sealing:
    """Seals and opens. `label` is the format's four bytes, and keeps uses of the same key apart.

    Raises ValueError without a key, or with one of another length.
    """

    def __init__(self, label: bytes, keys: Sequence[bytes], ids: Ids) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"Sealing needs keys of {KEY_BYTES} bytes.")
        self._label = label
        self._keys = {_key_id(label, key): key for key in keys}
        self._newest = keys[0]
        self._ids = ids

    def seal(self, name: str, content: bytes) -> bytes:
        """The content, sealed; opened under the same name only."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        head = self._label + _key_id(self._label, self._newest)
        nonce = hashlib.sha256(self._ids.token(32).encode()).digest()[:NONCE_BYTES]
        return head + nonce + AESGCM(self._newest).encrypt(nonce, content, head + name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """The decrypted content. Raises ValueError when it was not, not so, or under another
        name."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        head = sealed[: len(self._label) + KEY_ID_BYTES]
        key = self._keys.get(head[len(self._label) :])
        if not head.startswith(self._label) or key is None:
            raise ValueError(f"{name} is sealed in another format or with another key")
        nonce, content = sealed[len(head) :][:NONCE_BYTES], sealed[len(head) + NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, content, head + name.encode())
        except (InvalidTag, ValueError) as error:
            raise ValueError(f"{name} differs from the written content") from error


def _key_id(label: bytes, key: bytes) -> bytes:
    return hashlib.sha256(b"perminute key" + label + key).digest()[:KEY_ID_BYTES]
