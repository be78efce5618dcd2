"""docs/where-teams-is-silent.md has for each question Microsoft's page, and tests that exist."""

import ast
import re
from functools import cache

from tests.docs.reference import ROOT

PAGE = (ROOT / "docs" / "where-teams-is-silent.md").read_text("utf-8")
QUESTIONS = re.split(r"(?m)^### ", PAGE)[1:]


@cache
def _tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_question_has_a_source_a_rule_a_reason_and_tests_that_exist() -> None:
    assert len(QUESTIONS) >= 20
    for question in QUESTIONS:
        title = question.splitlines()[0]
        for part in ("Microsoft", "Perminute", "Reason", "Shown by"):
            assert f"- **{part}:** " in question, (title, part)
        assert "](https://learn.microsoft.com/" in question, title
        named = re.findall(r"`(tests/[^:`]+)::(\w+)`", question)
        assert named, title
        for path, name in named:
            assert name in _tests(path), (title, name)
