"""Every figure of docs/how-a-charge-is-computed.md is what the product computes."""

import re

import pytest

from tests.docs.charges import PAGE, computed

HEAD, *SECTIONS = re.split(r"(?m)^(?=## )", PAGE.read_text("utf-8"))
SETUP = next(each for each in SECTIONS if each.startswith("## Set-up"))


def _title(section: str) -> str:
    return section.splitlines()[0].removeprefix("## ")


@pytest.mark.parametrize("section", SECTIONS, ids=_title)
def test_the_results_are_what_the_product_computes(section: str) -> None:
    """`python -m tests.docs.charges` computes them again."""
    page = HEAD + (section if section == SETUP else SETUP + section)

    assert computed(page) == page


def test_every_section_has_a_result_and_no_figure_beside_it() -> None:
    """Computed figures are in blocks and tables only; a sentence repeats no result."""
    for section in SECTIONS:
        if section == SETUP:
            continue
        assert "```text" in section, _title(section)
        blocks = "".join(re.findall(r"(?s)```(?:json|http)\n.*?```|^\|.*?$", section, re.MULTILINE))
        prose = re.sub(r"(?s)```.*?```|^\|.*?$", "", section, flags=re.MULTILINE)
        assert not re.search(r"\b\d+\.\d+\b", prose), _title(section)
        assert blocks
