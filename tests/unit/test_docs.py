"""What the documentation names is there: links, make targets, settings of pages."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "local").glob("*.md"),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """Files, folders and headings."""
    broken = []
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", page.read_text("utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """Or in the list of its kind: decisions, routes of the API."""
    named = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8")))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    lists = [ROOT / "docs" / name for name in ("adr/README.md", "reference/http-api.md")]
    listed = "".join(page.read_text("utf-8") for page in lists)

    missing = sorted(pages - named)
    assert [page for page in missing if not page.startswith(("adr/0", "reference/http-api/"))] == []
    assert [page for page in missing if page.rpartition("/")[2] not in listed] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    """`make demo` and its like, wherever they are named."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ |^)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))

    assert named - targets == set()


def test_every_dependency_of_ours_is_explained() -> None:
    """Each package that the requirements name before "needed by these" has its line."""
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    for name in ("requirements", "requirements-local", "requirements-dev", "site/requirements"):
        own = (ROOT / f"{name}.in").read_text("utf-8").partition("# needed by these")[0]
        packages = re.findall(r"^([A-Za-z0-9-]+)==", own, re.MULTILINE)
        assert packages
        assert [package for package in packages if f"`{package}`" not in page] == []


def test_the_example_of_a_test_passes() -> None:
    """The block of docs/testing.md, as it stands there."""
    page = (ROOT / "docs" / "testing.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    test()


def test_every_term_of_the_glossary_has_a_meaning_and_the_place_where_it_lives() -> None:
    """Term, meaning, synonyms, modules; a class in parentheses is one of the module."""
    page = (ROOT / "docs/glossary.md").read_text("utf-8")
    rows = [re.split(r" *\| *", line)[1:-1] for line in page.splitlines() if line.startswith("| ")]
    terms = [row for row in rows if row[0] not in {"term", "---"}]
    assert len(terms) > 100
    for term, *columns in terms:
        assert len(columns) == 3, term
        assert all(columns), term
        places = re.findall(r"`([a-z_/]+)`(?: \(`(\w+)`\))?", columns[2])
        assert places, term
        for place, name in places:
            module = ROOT / "shared" / f"{place}.py"
            assert module.exists() or module.with_suffix("").is_dir(), (term, place)
            assert not name or re.search(rf"^class {name}\b", module.read_text("utf-8"), re.M), name
    assert len({term for term, *_ in terms}) == len(terms)
