"""The entry point: the commands, and what becomes of failures."""

import contextlib
import os
import sys
from collections.abc import Sequence

import click

from perminute_cli import __version__
from perminute_cli.failures import USAGE, Failure
from perminute_cli.terminal import ENCODING_ERRORS, safe

ABOUT = """Perminute: charges, prices and credits of conference calls.

The server is --url, PERMINUTE_URL, the one of `perminute login`, or the laptop stack that runs
(`make run`). Exit status: 0 done, 1 the answer is no or it failed, 2 the command was not
understood.
"""
COMPLETE = "_PERMINUTE_COMPLETE"
"""The variable by which a shell requests completions."""


class Root(click.Group):
    """The root; the modules of the commands are loaded by the command that is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        _load()
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        _load()
        return self.commands.get(cmd_name)


@click.group(
    "perminute", cls=Root, help=ABOUT, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="perminute")
def root() -> None:
    """See `ABOUT`."""


def _load() -> None:
    if not root.commands:
        from perminute_cli.commands import register

        register(root)


def main() -> None:
    """`perminute`."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        _without_reader()
        code = 0 if isinstance(error, BrokenPipeError) else code or _report(_unwritten(error), 1)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Nothing is raised."""
    _open_streams()
    try:
        root.main(list(arguments), prog_name="perminute", standalone_mode=False)
    except Failure as failure:
        return _report(failure.lines(), failure.exit_code)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return USAGE
    except click.ClickException as error:
        place = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        usage = isinstance(error, click.UsageError)
        to_do = f"`{place or 'perminute'} --help` shows options and examples."
        lines = f"Error: {error.format_message()}", f"To do: {to_do}"
        return _report(lines, USAGE if usage else 1)
    except (click.Abort, KeyboardInterrupt):
        return _report(("Error: Interrupted.", "To do: Run the command again."), 1)
    except SystemExit as ended:  # by click, when the reader of its output has gone
        return int(ended.code or 0) if COMPLETE in os.environ else _without_reader()
    except UnicodeError:
        return _report(("Error: An argument is not UTF-8.", "To do: Check the text."), USAGE)
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        what = f"Error: {error.strerror or type(error).__name__}{place}."
        return _report((what, "To do: Check the file and its folder."), 1)
    except Exception as error:
        if os.environ.get("PERMINUTE_DEBUG"):
            raise
        return _report(_unexpected(error), 1)
    return 0


def _unwritten(error: Exception) -> tuple[str, str]:
    """The two lines about an output that can't be written, as on a full disk."""
    why = error.strerror if isinstance(error, OSError) else "it is closed"
    return f"Error: The output can't be written ({why}).", "To do: Check the disk, or the pipe."


def _unexpected(error: Exception) -> tuple[str, str]:
    """The two lines about an error that no command expects."""
    name = f"{type(error).__name__}: {error}"
    if isinstance(error, LookupError | TypeError | AttributeError | ValueError):
        return (
            f"Error: The server answered in an unexpected form ({name}).",
            "To do: Check the URL, and that server and command line have the same version.",
        )
    return (
        f"Error: The command line failed: {name}.",
        "To do: Report it; PERMINUTE_DEBUG=1 shows where.",
    )


def _report(lines: Sequence[str], code: int) -> int:
    for line in lines:
        try:
            print(" ".join(safe(line).split("\\x0a")), file=sys.stderr, flush=True)
        except (OSError, ValueError):
            return code
    return code


def _without_reader() -> int:
    """The reader of the output has gone, as `head` does: that ends the command well."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _open_streams() -> None:
    """Streams that were closed before the command began are empty ones; no character fails."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ENCODING_ERRORS)
