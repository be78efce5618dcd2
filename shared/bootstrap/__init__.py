"""The container of this process, made at its first use."""

from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from shared.bootstrap.composition import Container

_installed: "Container | None" = None


def container() -> "Container":
    """This process's container. Raises SettingsError, which names the missing setting."""
    global _installed  # noqa: PLW0603 - one a process, made at its first use
    if _installed is None:
        from shared.bootstrap.composition import Container

        _installed = Container(Settings.from_environment())
    return _installed


def install(container: "Container | None") -> None:
    """Make this the process's container (None: make a new one at the next use); for tests and
    tools."""
    global _installed  # noqa: PLW0603
    _installed = container
