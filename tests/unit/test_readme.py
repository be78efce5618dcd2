"""README.md is short, and every page can be reached from it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
README = ROOT / "README.md"
LINK = re.compile(r"\]\(([^)\s#]+)")
LINES_MAX = 120


def _links(page: Path) -> set[Path]:
    """The files that a page links to; of a folder its README, else all its pages."""
    found: set[Path] = set()
    for link in LINK.findall(page.read_text("utf-8")):
        target = (page.parent / link).resolve()
        if target.is_dir():
            readme = target / "README.md"
            found |= {readme} if readme.exists() else set(target.iterdir())
        elif target.is_file():
            found.add(target)
    return found


def test_the_readme_has_under_120_lines_and_at_most_a_third_of_them_is_code() -> None:
    lines = README.read_text("utf-8").splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    code = sum(end - begin + 1 for begin, end in zip(fences[::2], fences[1::2], strict=True))

    assert len(lines) < LINES_MAX
    assert code * 3 <= len(lines)


def test_every_page_and_example_can_be_reached_from_the_readme() -> None:
    reached, to_read = {README}, [README]
    while to_read:
        page = to_read.pop()
        new = _links(page) - reached
        reached |= new
        to_read += [path for path in new if path.suffix == ".md"]
    pages = set((ROOT / "docs").rglob("*.md"))
    examples = {
        path
        for path in (ROOT / "docs" / "examples").rglob("*")
        if path.suffix in {".py", ".lua", ".json"}
    }

    missing = sorted(str(path.relative_to(ROOT)) for path in (pages | examples) - reached)
    assert missing == []
