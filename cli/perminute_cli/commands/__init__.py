"""The commands, by subject."""

import click


def register(root: click.Group) -> None:
    """Add every command to the root, in the order of the help."""
    from perminute_cli.commands import (
        accounts,
        bookings,
        bridges,
        dial_out,
        legs,
        live,
        login,
        parked,
        prices,
        proof,
        reconcile,
        statement,
        status,
        usage,
    )

    for module in (
        *(
            status,
            accounts,
            bookings,
            usage,
            legs,
            statement,
            live,
            parked,
            dial_out,
            prices,
            bridges,
        ),
        *(proof, reconcile, login),
    ):
        module.register(root)
