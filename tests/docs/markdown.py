"""Small parts of Markdown pages."""

import json
from collections.abc import Iterable, Sequence

type Row = Sequence[str]


def table(columns: Row, rows: Iterable[Row]) -> list[str]:
    """The lines of a table; a cell's line breaks and bars are escaped."""
    head = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    return [*head, *(f"| {' | '.join(map(cell, row))} |" for row in rows), ""]


def cell(text: str) -> str:
    """The text of a cell."""
    return text.replace("\n", " ").replace("|", "\\|") or "–"


def code(text: str) -> str:
    """The text as code, or nothing if it is empty."""
    return f"`{text}`" if text else ""


def block(value: object, language: str = "json") -> list[str]:
    """A block of code: JSON on separate lines, text unchanged."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return [f"```{language}", *text.rstrip("\n").splitlines(), "```", ""]


def page(title: str, about: str, lines: Iterable[str]) -> str:
    """A generated page: its title, a paragraph, and the note on how to write it again."""
    note = "<!-- written by: python -m tests.docs.reference -->"
    text = "\n".join([f"# {title}", "", note, "", about.strip(), "", *lines])
    return text.rstrip("\n") + "\n"
