"""Lists that are read a page at a time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from shared.domain.common import limits


async def pages[T](
    fetch: Callable[..., Awaitable[tuple[Sequence[T], str | None]]],
) -> AsyncIterator[Sequence[T]]:
    """Every page of a list: `fetch` takes `limit` and `cursor`, and returns the next cursor too."""
    cursor: str | None = None
    while True:
        page, cursor = await fetch(limit=limits.LIST_ITEMS_MAX, cursor=cursor)
        yield page
        if cursor is None:
            return
