"""`python -m tests.docs.reference`: the pages of docs/ that are generated from the code."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs import http_api, limits, roles, settings, tables

ROOT = Path(__file__).resolve().parents[2]
WRITERS: tuple[Callable[[], Mapping[str, str]], ...] = (
    http_api.pages,
    limits.pages,
    roles.pages,
    settings.pages,
    tables.pages,
)


def pages() -> dict[str, str]:
    """The text of every generated page by path; those of errors and events are written
    by `main` only, since they need scenes to be played."""
    return {path: text for writer in WRITERS for path, text in writer().items()}


def main() -> None:
    """Write all pages."""
    from tests.docs import errors, events

    logging.disable()  # scenes fail on purpose
    written = pages() | errors.pages() | events.pages()
    for path, text in written.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, "utf-8")
    print(f"{len(written)} pages written")


if __name__ == "__main__":
    main()
