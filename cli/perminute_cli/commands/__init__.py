"""The commands, by subject."""

import click


def register(root: click.Group) -> None:
    """Add every command to the root, in the order of the help."""
    from perminute_cli.commands import accounts, legs, usage

    for module in (accounts, usage, legs):
        module.register(root)
