"""Bounded concurrency for use cases and adapters."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable


async def gather_bounded[Item, Result](
    call: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, at_once: int
) -> list[Result]:
    """The results of `call` for each item, in order; at most `at_once` calls run at a time."""
    slots = asyncio.Semaphore(at_once)

    async def run(item: Item) -> Result:
        async with slots:
            return await call(item)

    return await asyncio.gather(*map(run, items))
