"""The product on one machine: `make run` and `make demo`."""

import sys
from importlib.util import find_spec

if sys.version_info[:2] != (3, 13) or find_spec("azure") is None:
    sys.exit(
        f"Perminute needs Python 3.13 with its packages, and {sys.executable} lacks them. "
        "Run `make setup` once, then repeat the command with .venv/bin/python."
    )
