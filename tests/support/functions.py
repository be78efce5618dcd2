"""The functions of the app, loaded once a process: Microsoft's library refuses a second time."""

from functools import cache
from typing import Any


@cache
def app_functions() -> list[Any]:
    """All functions of `function_app`."""
    import function_app

    return list(function_app.app.get_functions())
