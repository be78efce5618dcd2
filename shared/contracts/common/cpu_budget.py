"""A bound on the processor time that reading one body may take."""

import time

from shared.domain.common.errors import Invalid


class CpuBudget:
    """Limit of the processor time of the current thread, from construction on.

    Loops call `check`; it raises Invalid `deck_too_costly` once the time is used up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.thread_time() + seconds

    def check(self) -> None:
        """Raises Invalid `deck_too_costly`."""
        if time.thread_time() > self._until:
            raise Invalid(
                f"Reading this takes more than {self._seconds:g} s. "
                "Send the content in smaller parts.",
                code="deck_too_costly",
            )
