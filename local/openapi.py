"""`python -m local.openapi FILE`: write the OpenAPI document, from which clients are generated."""

import json
import sys
from pathlib import Path

import function_app
from functions.http import ROUTES
from functions.openapi import API_VERSION
from shared.contracts.openapi.document import document


def main() -> int:
    """Write the document; an unchanged file keeps its time. Returns the exit code."""
    assert function_app.app, "importing it declares the routes"
    target = Path(sys.argv[1])
    text = json.dumps(document(ROUTES, API_VERSION), ensure_ascii=False)
    if not target.exists() or target.read_text("utf-8") != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
