"""Every command of the pages below does what its page shows, against the whole stack."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.demo.seed import seed
from local.stack import ROOT, Stack
from tests.demo.pages import SECONDS_MAX, Reader, follow_all, matches, steps_of

THREAD = [
    "docs/getting-started.md",
    "docs/bridge-integration.md",
    "docs/rate-cards.md",
    "docs/credits.md",
    "docs/usage.md",
    "docs/parked-legs.md",
    "docs/dial-out.md",
]
HIDING = re.compile(r"/dev/null|2>|\|\| *(true|:)|\buntil\b|\bwhile\b")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own."""
    with Stack(tmp_path / "data") as stack:
        yield stack


@pytest.mark.extended
@pytest.mark.timeout(SECONDS_MAX * 2)
def test_the_pages_are_followed_in_order_in_one_folder(stack: Stack, tmp_path: Path) -> None:
    """As somebody follows them who began with `make run SEED=none`."""
    follow_all(Reader.of(stack, tmp_path), THREAD)


@pytest.mark.extended
@pytest.mark.timeout(SECONDS_MAX * 2)
def test_no_page_needs_a_page_before_it(stack: Stack, tmp_path: Path) -> None:
    """In reverse order each page runs without those before it; the test above runs it without those
    after it. The stack has the accounts of the demo, as after `make run`."""
    seed(stack.base_url, stack.admin_key)
    follow_all(Reader.of(stack, tmp_path), THREAD[::-1])


@pytest.mark.parametrize("page", THREAD)
def test_no_command_hides_an_error_or_waits_without_a_limit(page: str) -> None:
    steps = list(steps_of(page))
    assert steps
    assert [step.commands for step in steps if HIDING.search(step.commands)] == []


@pytest.mark.parametrize("page", THREAD)
def test_a_page_states_at_its_top_what_it_needs(page: str) -> None:
    top = (ROOT / page).read_text("utf-8").partition("\n## ")[0]
    assert re.search(r"^\*\*(You need|Before you begin):?\*\*", top, re.MULTILINE)


@pytest.mark.parametrize(
    ("expected", "actual", "is_same"),
    [
        ("a … c\n", "a b c\n", True),
        ("a … c\n", "a b\nb c\n", False),
        ("a\n…\nc\n", "a\nb\nb\nc\n", True),
        ("a …   c\n", "a b c\n", True),
        ("a\n", "a  \n", True),
        ("a\n", "a\nError: b\n", False),
        ("", "curl: (7) Failed to connect\n", False),
    ],
)
def test_an_ellipsis_stands_for_the_rest_of_its_line(
    expected: str, actual: str, is_same: bool
) -> None:
    assert matches(expected, actual) is is_same
