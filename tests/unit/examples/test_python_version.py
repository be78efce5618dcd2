"""The examples run on Python 3.9, which bridges of older distributions have."""

import ast
from pathlib import Path

import pytest

from tests.unit.examples.conftest import EXAMPLES

# Modules and names that came after 3.9 and are tempting here
LATER = {"UTC", "Self", "StrEnum", "tomllib", "batched", "pairwise", "ExceptionGroup", "override"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_needs_no_later_python(path: Path) -> None:
    """Its syntax, no union of types that is evaluated, and no name of a later library."""
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 9))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    annotations = [
        annotation
        for node in ast.walk(tree)
        for annotation in (
            getattr(node, "annotation", None),
            getattr(node, "returns", None),
        )
        if annotation is not None
    ]
    unions = [
        ast.unparse(annotation)
        for annotation in annotations
        if any(isinstance(each, ast.BinOp) for each in ast.walk(annotation))
    ]
    options = {
        word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords
    }
    assert names & LATER == set()
    assert unions == []
    assert options & {"slots", "kw_only", "strict"} == set()
