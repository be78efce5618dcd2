"""`python -m perminute_cli` is `perminute`."""

import sys


def main() -> None:
    """The entry point: an interrupt while modules are loaded ends it without a traceback."""
    try:
        from perminute_cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(1)


if __name__ == "__main__":
    main()
