"""`perminute login`, `perminute logout` and `perminute completion`."""

import getpass
import os
import sys
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command
from perminute_cli.connection import (
    Connection,
    checked_key,
    checked_url,
    forget_login,
    store_login,
    stored_login,
)
from perminute_cli.failures import USAGE, Failure
from perminute_cli.terminal import is_terminal, safe


def register(root: click.Group) -> None:
    """Add the commands."""

    @command(
        root,
        "login",
        json=False,
        examples="""perminute login --url https://calls.example.net
        perminute login --url https://calls.example.net < key.txt""",
    )
    def login(app: App) -> None:
        """Store a server and its key: in the system's keyring, else in a file of mode 0600.

        The key is read without echo, or from standard input.
        """
        url = app.url or os.environ.get("PERMINUTE_URL") or (stored_login() or {}).get("url")
        if not url:
            raise Failure("No server is named.", "Add --url https://HOST.", USAGE)
        url = checked_url(url)
        if app.key is not None:
            key = app.key
        elif is_terminal(sys.stdin):
            key = getpass.getpass(f"API key for {url}: ")
        else:
            key = sys.stdin.readline()
        key = checked_key(key)
        app.connection = Connection(url, key, "login")
        found: Any = app.fetch(api.get_caller())
        place = store_login(url, key)
        roles = ", ".join(map(safe, found.get("roles", [])))
        app.say(f"Logged in to {url} as {safe(found.get('name'))} ({roles}).")
        app.say(f"The key is kept in {place}.")

    @command(root, "logout", json=False, server=False, examples="perminute logout")
    def logout(app: App) -> None:
        """Remove the stored server and its key."""
        app.say("The login is removed." if forget_login() else "There was no login.")

    @command(
        root,
        "completion",
        json=False,
        server=False,
        examples="""eval "$(perminute completion bash)"
        perminute completion fish > ~/.config/fish/completions/perminute.fish""",
    )
    @click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
    def completion(app: App, shell: str) -> None:
        """The shell's script that completes commands, options and their values."""
        from click.shell_completion import get_completion_class

        found = get_completion_class(shell)
        assert found is not None
        app.text(found(root, {}, "perminute", "_PERMINUTE_COMPLETE").source())
