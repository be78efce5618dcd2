"""Requests to one partition that are made at the same moment become one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from shared.pacing import NO_REQUEST

_JOIN_PASSES = 2  # of the event loop, in which others may join before the first request goes out


class Coalescer[Item, Result]:
    """Calls `run(partition, items)` for all items that wait, at most `items_max()` at a time, and
    one request to a partition at a time. A request begins after each of its items was submitted.

    `run` returns a result or an exception for each item, in order.
    """

    def __init__(
        self,
        run: Callable[[str, Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        items_max: Callable[[], int],
    ) -> None:
        self._run = run
        self._items_max = items_max
        self._waiting: dict[str, list[tuple[Item, asyncio.Future[Result]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, partition: str, item: Item) -> Result:
        """The result of the item. Raises what `run` raises or returns for it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(partition)
        if waiting is None:
            self._waiting[partition] = [(item, future)]
            task = asyncio.create_task(self._drain(partition), context=NO_REQUEST())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append((item, future))
        return await future

    async def _drain(self, partition: str) -> None:
        waiting = self._waiting[partition]
        while waiting:
            for _ in range(_JOIN_PASSES):
                await asyncio.sleep(0)
            count = self._items_max()
            batch, waiting[:] = waiting[:count], waiting[count:]
            results: Sequence[Result | BaseException]
            try:
                results = await self._run(partition, [item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 whatever it is, it belongs to those who wait
                results = [error] * len(batch)
            except BaseException:
                for _, future in (*batch, *waiting):
                    future.cancel()
                del self._waiting[partition]
                raise
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)
        del self._waiting[partition]
