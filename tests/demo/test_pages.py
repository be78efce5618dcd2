"""Every command of the pages below does what its page shows, against the whole stack."""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.demo.seed import seed
from local.run import shell_settings
from local.stack import ROOT, Stack
from tests.demo.pages import SECONDS_MAX, Reader, matches, steps_of

THREAD = [
    "docs/getting-started.md",
    "docs/bridge-integration.md",
    "docs/rate-cards.md",
    "docs/credits.md",
    "docs/usage.md",
]
PAGES = [*THREAD, "docs/parked-legs.md", "docs/dial-out.md"]
AT_ONCE = 3
NAMES = re.compile(
    r"(?:accounts create|cards (?:put|import)|bridges create|api PUT accounts/\w+/conferences/"
    r"|api PUT accounts/(?=\w+ )) ?([\w-]+)"
)
HIDING = re.compile(r"/dev/null|2>|\|\| *(true|:)|\buntil\b|\bwhile\b")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own."""
    with Stack(tmp_path / "data") as stack:
        yield stack


@pytest.mark.timeout(SECONDS_MAX)
def test_the_pages_are_followed_in_order_in_one_folder(stack: Stack, tmp_path: Path) -> None:
    """As someone follows them who began with `make run SEED=none`."""
    reader = Reader.of(stack, tmp_path / "thread")
    for page in THREAD:
        reader.follow(page)


@pytest.mark.timeout(SECONDS_MAX)
def test_each_page_works_alone(stack: Stack, tmp_path: Path) -> None:
    """Each has a fresh folder, and none waits for another. The stack has the accounts of the demo,
    as after `make run`. The first page is alone above."""
    seed(stack.base_url, stack.admin_key)
    pages = PAGES[:0:-1]
    readers = [Reader.of(stack, tmp_path / Path(page).stem) for page in pages]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Reader.follow, readers, pages))


def test_no_two_pages_use_one_name() -> None:
    """Nor a name of the demo: accounts, rate cards, bridges and conferences."""
    names = [
        {"contoso", "fabrikam", "northwind", "default", "local", "fs1", "3001", "3002", "3003"}
    ]
    for page in PAGES:
        commands = "".join(step.commands for step in steps_of(page))
        made = set(NAMES.findall(commands))
        assert len(made) > 1, page
        assert [other & made for other in names if other & made] == []
        names.append(made)


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_an_error_or_waits_without_a_limit(page: str) -> None:
    steps = list(steps_of(page))
    assert steps
    assert [step.commands for step in steps if HIDING.search(step.commands)] == []
    assert all(json.loads(step.output) for step in steps if step.kind == "json")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_states_at_its_top_what_it_needs(page: str) -> None:
    top = (ROOT / page).read_text("utf-8").partition("\n## ")[0]
    assert re.search(r"^\*\*(You need|Before you begin):?\*\*", top, re.MULTILINE)


def test_the_settings_for_a_shell_keep_every_character(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.base_url, stack.admin_key, stack.bridge_secret = "http://h:1", "it's $(x) `y`", 'a"b\\ c'
    file = tmp_path / "run.env"
    file.write_text(shell_settings(stack))
    script = 'unset BASE; . "$0"; printf "%s\n" "$BASE" "$KEY" "$SECRET" "$PERMINUTE_KEY"'
    ran = subprocess.run(
        ["sh", "-c", script, str(file)], capture_output=True, text=True, check=True
    )

    assert ran.stdout.splitlines() == ["http://h:1", "it's $(x) `y`", 'a"b\\ c', "it's $(x) `y`"]


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
