"""Pictures of every page with the played quarter, those of README among them:
`console/tests/pictures.mjs`. `python -m tests.console.test_pictures` stores README's in
docs/images."""

import logging
import shutil
import tomllib
from dataclasses import replace

import pytest

from local.demo.quarter import ACCOUNT, play_quarter
from local.stack import ROOT
from shared.adapters.clock import SystemClock
from tests.console.browser import MISSING, SCREENSHOTS, play
from tests.console.served import served
from tests.support.product import ADMIN_KEY, ManualClock, Product

README = ("console-overview.png", "console-leg.png")


def take_pictures() -> None:
    """Take all of them, into build/screenshots. Raises AssertionError for a page that is wrong."""
    logging.getLogger("perminute").setLevel(logging.CRITICAL)
    now = SystemClock().now()
    with Product(clock=ManualClock(now)) as product:
        product.container.settings = replace(product.container.settings, version=_version())
        product.run(play_quarter(product.container, now))
        with served(product, ACCOUNT) as base_url:
            play("pictures.mjs", base_url=base_url, admin_key=ADMIN_KEY, account=ACCOUNT)


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(project["project"]["version"])


@pytest.mark.extended
@pytest.mark.skipif(bool(MISSING), reason=MISSING or "all there")
@pytest.mark.timeout(900)
def test_every_page_shows_the_played_quarter() -> None:
    take_pictures()
    for name in README:
        assert (SCREENSHOTS / name).stat().st_size < 300_000
        assert name in (ROOT / "README.md").read_text("utf-8")


if __name__ == "__main__":
    take_pictures()
    for each in README:
        shutil.copy(SCREENSHOTS / each, ROOT / "docs/images" / each)
