"""Hooks of MkDocs: pages outside `docs`, links between repository and site, diagrams.

`README.md` is the home page. A link from a page to another page of the repository leads to its
page on the site; a link to any other file leads to a copy of the file.
"""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "local/README.md": "local.md",
    "cli/README.md": "cli-package.md",
}
MERMAID = ROOT / "site" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages outside `docs` and the script that draws diagrams."""
    for source, uri in OUTSIDE.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, uri, content=text))
    files.append(File.generated(config, "assets/mermaid.min.js", abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its links translated."""
    uri = page.file.src_uri
    source = next((path for path, target in OUTSIDE.items() if target == uri), f"docs/{uri}")

    def translated(found: re.Match[str]) -> str:
        link = found.group(2)
        target = os.path.normpath(os.path.join(os.path.dirname(source), link))
        if "://" in link or not (ROOT / target).exists():
            return found.group()
        if (ROOT / target).is_dir() and (ROOT / target / "README.md").exists():
            target += "/README.md"
        there = OUTSIDE.get(target) or target.removeprefix("docs/")
        if not files.get_file_from_path(there):
            there = f"files/{target}.txt"
            if not files.get_file_from_path(there):
                copy = File.generated(config, there, abs_src_path=str(ROOT / target))
                files.append(copy)
        relative = os.path.relpath(there, os.path.dirname(uri) or ".")
        return f"{found.group(1)}{relative}{found.group(3)}"

    return LINK.sub(translated, _wide_steps(markdown))


def _wide_steps(markdown: str) -> str:
    """Numbered steps whose blocks are indented by four spaces, which Python-Markdown requires."""
    lines, in_step = [], False
    for line in markdown.split("\n"):
        if line.strip() and not line.startswith("   "):
            in_step = re.match(r"\d+\. ", line) is not None
            if in_step and lines and lines[-1].startswith("    "):
                lines.append("")
        lines.append(f" {line}" if in_step and line.startswith("   ") else line)
    return "\n".join(lines)


def on_post_page(output: str, *, page: Page, **_: object) -> str:
    """A page with diagrams loads the script from the site itself."""
    if '<pre class="mermaid">' not in output:
        return output
    base = os.path.relpath("assets/mermaid.min.js", page.file.url or ".")
    return output.replace("</head>", f'<script src="{base}" defer></script></head>')
