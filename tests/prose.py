"""Checks pages, docstrings, messages and console texts against the rules in docs/style/Perminute.

`python -m tests.prose [--warnings] [FILE or FOLDER…]`; without a path, all texts of the repository.
The rules have the format of Vale (https://vale.sh); docs/style/README.md says what is read.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
STYLE = ROOT / "docs" / "style"
CODE = "`x`"
FOLDERS = (
    "shared",
    "functions",
    "local",
    "cli/perminute_cli",
    "infra/tools",
    "tools",
    "docs/examples",
)
CONSOLE_TEXTS = ROOT / "console" / "src" / "fr.ts"
NOT_PROSE = re.compile(
    r"[^|]*\w\|\w"  # a table of names
    r"|[^{]*\{[^}]*:[^}]*;"  # a style sheet
    r"|(?s:.*[àâçéèêîôûœ])"  # French
    r"|\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|ALTER|BEGIN|import |perminute |<!|<\w)"
)
QUOTED = re.compile(r"[\"“][^\"“”]*[\"”]|(?<!\w)'[^'\n]+'(?!\w)")
NAMED = re.compile(
    r"\S*[\w.<`](?:[/_=~@|]|\.(?=[\w`]))[\w.<`]\S*?(?=[.,;:!?)]*(?:\s|$))|(?<!\w)--?\w\S*|`x`"
)
PROSE = re.compile(r"[A-Za-z']{2,},? [a-z']{2,}")
ITEM = re.compile(r"\s*(?:[-*] |\d+\. |[├└│|])")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"”)*_]*\s+(?=[\"“(*_]*[A-Z0-9`])")


@dataclass(frozen=True, slots=True)
class Text:
    """One block of prose: a paragraph, a cell, a heading, a docstring or a message."""

    line: int
    scope: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A place that breaks a rule."""

    line: int
    rule: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule file: `matches` are the places in one text that break the rule."""

    name: str
    extends: str
    message: str
    level: str
    scope: str
    pattern: re.Pattern[str]
    replacements: tuple[str, ...] = ()
    maximum: int = 0
    exceptions: frozenset[str] = field(default_factory=frozenset)
    definition: re.Pattern[str] | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The rule in a file of Vale's format."""
        raw: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        kind, flags = raw["extends"], re.IGNORECASE if raw.get("ignorecase") else 0
        replacements: tuple[str, ...] = ()
        if kind == "substitution":
            parts, replacements = list(raw["swap"]), tuple(map(str, raw["swap"].values()))
            source = (
                r"\b(?:" + "|".join(f"(?P<s{i}>{part})" for i, part in enumerate(parts)) + r")\b"
            )
        elif kind == "existence":
            source = "|".join(raw["tokens"])
            source = f"(?:{source})" if raw.get("nonword") else rf"\b(?:{source})\b"
        elif kind == "occurrence":
            source = raw["token"]
        elif kind == "conditional":
            source = raw["first"]
        elif kind == "capitalization":
            source = r"[^\W\d_][\w'’-]*"
        else:
            raise ValueError(f"{path.name}: the extension point {kind} is not supported.")
        return cls(
            path.stem,
            kind,
            raw["message"],
            raw["level"],
            raw.get("scope", "text"),
            re.compile(source.replace(" ", r"\s+"), flags),
            replacements,
            raw.get("max", 0),
            frozenset(raw.get("exceptions", ())),
            re.compile(raw["second"]) if kind == "conditional" else None,
        )

    def findings(self, text: Text, page: str) -> Iterator[Finding]:
        """The findings in one text; `page` is all prose of the file."""
        if self.scope in ("heading", "paragraph") and text.scope != self.scope:
            return
        pieces = sentences(text.text) if self.scope == "sentence" else [(0, text.text)]
        for start, piece in pieces:
            for offset, *words in self._matches(piece, page):
                message = self.message
                for word in words:
                    message = message.replace("%s", word, 1)
                line = text.line + text.text.count("\n", 0, start + offset)
                yield Finding(line, self.name, self.level, message)

    def _matches(self, piece: str, page: str) -> Iterator[tuple[int, *tuple[str, ...]]]:
        """Offset, and what the message names."""
        if self.extends == "occurrence":
            if sum(1 for _ in self.pattern.finditer(piece)) > self.maximum:
                yield (0,)
        elif self.extends == "capitalization":
            words = self._plain(piece)
            if any(re.match(r"[A-Z][a-z]", word) for word in words[1:]) or (
                words and piece[:1].islower() and words[0] != "perminute"
            ):
                yield (0, piece)
        elif self.definition:
            explained = {found.group(1) for found in self.definition.finditer(page)}
            for found in self.pattern.finditer(piece):
                if found.group(1) not in self.exceptions | explained:
                    yield (found.start(), found.group(1))
        else:
            for found in self.pattern.finditer(piece):
                at = next((i for i in range(len(self.replacements)) if found[f"s{i}"]), None)
                suffix = () if at is None else (self.replacements[at],)
                yield (found.start(), " ".join(found.group().split()), *suffix)

    def _plain(self, heading: str) -> list[str]:
        """The words of a heading that no exception covers, with a small letter after a colon."""
        for name in sorted(self.exceptions, key=len, reverse=True):
            heading = re.sub(rf"\b{re.escape(name)}\b", "x", heading)
        heading = re.sub(r"(?:^[\d. ]+|[:.?!–] )(\w)", lambda found: found.group().lower(), heading)
        return self.pattern.findall(heading)


def sentences(text: str) -> list[tuple[int, str]]:
    """The sentences of a text with their offsets."""
    starts = [0, *(found.end() for found in SENTENCE_END.finditer(text))]
    return [(a, text[a:b]) for a, b in zip(starts, [*starts[1:], None], strict=True)]


def markdown(source: str) -> Iterator[Text]:
    """Paragraphs, cells, items and headings of a page, without code."""
    scope = "paragraph"
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        if token.type == "heading_open":
            scope = "heading"
        elif token.type == "inline" and token.map:
            yield Text(token.map[0] + 1, scope, "".join(map(_inline, token.children or ())))
            scope = "paragraph"


def _inline(token: Token) -> str:
    if token.type == "code_inline":
        return CODE
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return token.content if token.type in ("text", "image") else ""


def python(source: str) -> Iterator[Text]:
    """Docstrings, and the strings and f-strings of at least two words."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant | ast.JoinedStr):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(map(_part, parts))
            if PROSE.search(text) and not NOT_PROSE.match(text):
                yield from _blocks(node, text, "message")
            waiting += [part.value for part in parts if isinstance(part, ast.FormattedValue)]
            continue
        children = [getattr(node, name) for name in node._fields]
        for child in children:
            if isinstance(child, list):
                waiting += [item for item in child if isinstance(item, ast.AST)]
            elif isinstance(child, ast.AST):
                waiting.append(child)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                waiting.remove(first)
                yield from _blocks(first.value, _part(first.value), "docstring")


def _part(part: ast.expr) -> str:
    """The text of a string, nothing for another constant, a placeholder for an expression."""
    if isinstance(part, ast.Constant):
        return part.value if isinstance(part.value, str) else ""
    return CODE


def _blocks(node: ast.expr, text: str, scope: str) -> Iterator[Text]:
    """The paragraphs of a text; lines indented by more than the text are code."""
    line, block, start = node.lineno, list[str](), node.lineno
    for row in [*text.split("\n"), ""]:
        code = scope == "docstring" and row.startswith(" " * (node.col_offset + 4))
        if not row.strip() or code or ITEM.match(row):
            if block:
                yield Text(start, scope, re.sub(r"``?[^`]*``?", CODE, "\n".join(block)))
            block, start = [], line + 1
        if row.strip() and not code:
            start = start if block else line
            block.append(row.strip())
        line += 1


def console(source: str) -> Iterator[Text]:
    """The English texts, which are the keys of the French ones; names of codes follow them."""
    for number, row in enumerate(source.partition("const codes")[0].split("\n"), 1):
        found = re.match(r'\s*"((?:[^"\\]|\\.)*)": "', row)
        if found:
            yield Text(number, "message", re.sub(r"\{\w+\}", CODE, found.group(1)))


def texts(path: Path) -> list[Text]:
    """The prose of a file."""
    read = {".md": markdown, ".py": python, ".ts": console}[path.suffix]
    return list(read(path.read_text("utf-8")))


def prose(text: str) -> str:
    """Without words in quotation marks, paths, options and identifiers: named, not used."""
    return NAMED.sub(CODE, QUOTED.sub(CODE, text))


def check(found: list[Text], rules: list[Rule]) -> list[Finding]:
    """All findings of a file's texts, by line."""
    found = [Text(text.line, text.scope, prose(text.text)) for text in found]
    page = "\n".join(text.text for text in found)
    rules = [r for r in rules if r.scope == "sentence" or r.pattern.search(page)]
    return sorted(
        (f for text in found for rule in rules for f in rule.findings(text, page)),
        key=lambda finding: (finding.line, finding.rule),
    )


def all_rules() -> list[Rule]:
    """The rules of the style."""
    return [Rule.read(path) for path in sorted((STYLE / "Perminute").glob("*.yml"))]


def files(paths: list[Path]) -> list[Path]:
    """The files with prose below the paths; without a path, those of the repository."""
    if not paths:
        pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "local").glob("*.md")]
        code = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
        paths = [*pages, ROOT / "function_app.py", *code, CONSOLE_TEXTS]
        paths.remove(ROOT / "CHANGELOG.md")
    found = [
        f for p in paths for f in (sorted(p.rglob("*")) if p.is_dir() else [p])
        if f.suffix in (".md", ".py") or f == CONSOLE_TEXTS
    ]  # fmt: skip
    return [f for f in found if "node_modules" not in f.parts]


def main(arguments: list[str]) -> int:
    """1 if a file breaks a rule of level error."""
    paths = [Path(argument).resolve() for argument in arguments if not argument.startswith("-")]
    rules = [rule for rule in all_rules() if rule.level == "error" or "--warnings" in arguments]
    failed = False
    for path in files(paths):
        name = str(path.relative_to(ROOT))
        findings = check(texts(path), rules)
        for finding in findings:
            print(f"{name}:{finding.line}: {finding.rule}: {finding.message}")
        failed = failed or any(finding.level == "error" for finding in findings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
