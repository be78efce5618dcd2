"""`python -m tests.docs.recorder [TESTS…]`: runs tests, and adds the error codes that each function
answers to tests/docs/error_codes.json, and the rows that it stores to tests/docs/rows.json. The
reference of the HTTP API and of the tables is made from them."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from functions.http import ROUTES
from tests.docs.error_routes import OBSERVED
from tests.support.product import RECORD_CODES

TESTS = ("tests/unit", "tests/schemas", "tests/openapi/test_answers.py")


def main(tests: tuple[str, ...]) -> None:
    """Add the codes that the tests meet to the file."""
    found: dict[str, list[str]] = json.loads(OBSERVED.read_text("utf-8"))
    names = {route.name for route in ROUTES}
    with tempfile.NamedTemporaryFile() as lines:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:randomly",
            "-p",
            "tests.docs.recording",
            *tests,
        ]
        subprocess.run(command, env={**os.environ, RECORD_CODES: lines.name}, check=False)
        for line in set(Path(lines.name).read_text("utf-8").splitlines()):
            name, code = line.split()
            if name in names:
                found[name] = sorted({*found.get(name, []), code})
    OBSERVED.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or TESTS)
