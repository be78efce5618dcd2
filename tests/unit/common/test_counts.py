"""A count and its noun agree. Every text that has both forms them with `counted`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from perminute_cli import terminal
from shared.domain.common import counts
from shared.domain.credits.alerts import EVENT_TYPES
from shared.domain.credits.mail_texts import written

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = (
    *("shared/contracts", "shared/domain", "shared/usecases", "functions"),
    *("cli/perminute_cli", "local/demo", "tools"),
)
# A limit is never one: constants, and the names that hold them.
MAY_COUNT = re.compile(r"\bcounted\(|\bf[\"'][^\n]*\} (?:[a-z]+ ){0,2}?[a-z]+s\b")
LIMIT = re.compile(r"(?:^|\.)[A-Z][A-Z0-9_]+$|^most$|^body\.bytes_max$|body_bytes_max$")


@pytest.mark.parametrize("counted", [counts.counted, terminal.counted])
def test_only_one_is_singular(counted: object) -> None:
    assert callable(counted)
    assert [counted(count, "leg") for count in (0, 1, 2, 1200)] == [
        *("0 legs", "1 leg", "2 legs", "1,200 legs")
    ]
    assert [counted(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]


def test_french_counts_nothing_as_one() -> None:
    days = [counts.counted(count, "jour", language="fr") for count in (0, 1, 2)]
    assert days == ["0 jour", "1 jour", "2 jours"]


def _sources() -> Iterator[tuple[str, ast.AST]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            shown = path.relative_to(ROOT).as_posix()
            text = path.read_text("utf-8")
            if MAY_COUNT.search(text):
                yield shown, ast.parse(text)


def _plurals(tree: ast.AST) -> Iterator[str]:
    """The plural nouns of the calls of `counted`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "counted":
            continue
        texts = [each.value for each in node.args[1:] if isinstance(each, ast.Constant)]
        if texts:
            plural = str(texts[1]) if len(texts) > 1 else f"{texts[0]}s"
            yield plural.split()[0] if len(texts) > 1 else plural.split()[-1]


def _bare(tree: ast.AST, nouns: frozenset[str]) -> Iterator[str]:
    """Values of texts that a plural noun follows, maybe behind an adjective."""
    noun = re.compile(rf" (?:[a-z]+ ){{0,2}}?({'|'.join(sorted(nouns))})\b")
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                shown = ast.unparse(value.value)
                if noun.match(str(after.value)) and not LIMIT.search(shown):
                    yield f"{{{shown}}}{str(after.value)[:30]}"


def test_no_text_puts_a_plural_behind_a_bare_count() -> None:
    sources = list(_sources())
    nouns = frozenset(noun for _, tree in sources for noun in _plurals(tree))
    assert {"legs", "entries", "letters", "rates", "times"} <= nouns
    found = [f"{name}: {text}" for name, tree in sources for text in _bare(tree, nouns)]
    assert found == []


@pytest.mark.parametrize("language", ["en", "fr"])
def test_mails_state_one_day_and_one_second(language: str) -> None:
    data = {"days": 1, "seconds_left": 1, "account": "contoso", "currency": "USD"}
    for kind in EVENT_TYPES:
        event = {"id": "contoso:1:1", "time": "2026-11-20T11:00:00Z", "type": kind, "data": data}
        subject, text = written(language, "Contoso", event)
        mail = f"{subject}\n{text}"
        assert not re.search(r"\b1 (days|jours|seconds|secondes)\b|\(s\)", mail), mail
