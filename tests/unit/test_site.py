"""The site of the documentation: it builds strictly, shows what the pages hold, and is one host."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.extended
LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
# Material's script fetches this one where a page with diagrams has not loaded it before.
UNUSED = re.compile(
    r"https://unpkg\.com/(?:mermaid@\d+/dist/mermaid\.min\.js|resize-observer-polyfill)"
)


class Page(HTMLParser):
    """What a page loads, and how many blocks its article has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.counts = dict.fromkeys(("table", "li", "pre"), 0)
        self._in_article = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get(LOADING.get(tag, "")) and values.get("rel") not in (
            "canonical",
            "prev",
            "next",
        ):
            self.loads.append(values[LOADING[tag]] or "")
        self._in_article = self._in_article or tag == "article"
        if self._in_article and tag in self.counts:
            self.counts[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        self._in_article = self._in_article and tag != "article"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of MkDocs ends the build."""
    folder = tmp_path_factory.mktemp("site")
    own = ROOT / "build" / "tools" / "site" / "bin" / "python"
    python = own if own.exists() else Path(sys.executable)
    done = subprocess.run(
        [python, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    """Neither by pages nor by style sheets; scripts name no address that they fetch."""
    pages = list(site.rglob("*.html"))
    loads = {load for page in pages for load in Page(page.read_text("utf-8")).loads}
    sheets = "".join(sheet.read_text("utf-8") for sheet in site.rglob("*.css"))
    scripts = "".join(script.read_text("utf-8") for script in site.glob("assets/javascripts/*.js"))

    assert len(pages) > 60
    assert [load for load in loads if re.match(r"(?:\w+:)?//", load)] == []
    assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", sheets) == []
    assert re.findall(r"https://(?:unpkg|cdn)[\w./@-]*", UNUSED.sub("", scripts)) == []


def test_a_page_with_a_diagram_has_the_script_of_the_site(site: Path) -> None:
    page = (site / "architecture" / "index.html").read_text("utf-8")

    assert '<pre class="mermaid">' in page
    assert '<script src="../assets/mermaid.min.js" defer>' in page
    assert (site / "assets" / "mermaid.min.js").stat().st_size > 1_000_000


def test_the_site_shows_the_blocks_of_each_page(site: Path) -> None:
    """Two readers of Markdown agree: no list, table or block of code is taken for text."""
    different = {}
    for path in (ROOT / "docs").rglob("*.md"):
        where = path.relative_to(ROOT / "docs")
        page = (
            site
            / (where.parent if path.name == "README.md" else where.with_suffix(""))
            / "index.html"
        )
        expected = Page(
            f"<article>{MarkdownIt('commonmark').enable('table').render(path.read_text('utf-8'))}"
        )
        counts = Page(page.read_text("utf-8")).counts
        if counts != expected.counts:
            different[str(where)] = (counts, expected.counts)

    assert different == {}
