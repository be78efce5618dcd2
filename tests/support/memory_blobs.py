"""A blob store in memory, for tests."""

from shared.domain.common.errors import StoreUnavailable


class MemoryBlobs:
    """Blobs that are written once. While `available` is False every write fails."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.available = True

    async def put_once(self, name: str, content: bytes) -> bool:
        """Whether the blob is new. Raises StoreUnavailable."""
        if not self.available:
            raise StoreUnavailable("The blob store can't be reached.")
        return self.blobs.setdefault(name, content) is content

    async def get(self, name: str) -> bytes | None:
        """The content, None if there is no such blob."""
        return self.blobs.get(name)

    async def names(self, prefix: str) -> list[str]:
        """The names that begin so, in order."""
        return sorted(name for name in self.blobs if name.startswith(prefix))
