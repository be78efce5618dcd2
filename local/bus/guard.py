"""The objects that keep proton's loop alive."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("local.bus")


class Guard:
    """Wraps a handler. An exception in a handler would end proton's loop for all connections; here
    it ends the connection on which it occurred."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        method = getattr(self._handler, name, None) if name.startswith("on_") else None
        if method is None:
            raise AttributeError(name)

        def guarded(event: Any) -> None:
            try:
                method(event)
            except Exception:
                logger.exception("%s failed", name)
                if event.connection is not None:
                    event.connection.close()

        return guarded
