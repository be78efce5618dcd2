"""The rules of docs/style, and the texts that they are applied to."""

from pathlib import Path

import pytest

from tests import prose

RULES = {rule.name: rule for rule in prose.all_rules()}
CASES = {
    "Abbreviations": (
        "The LRS keeps three copies.",
        "Locally redundant storage (LRS) keeps three copies. LRS is cheap.",
    ),
    "American": ("The licence covers it.", "The license covers it."),
    "Clauses": ("The page shows what is booked.", "The page shows the booked entries."),
    "FirstPerson": ("We book the leg.", "Perminute books the leg in the US."),
    "Future": ("The leg will be booked.", "The leg is booked."),
    "Headings": ("# Rate Cards", "# Rate cards: Azure and JSON"),
    "HomelyWords": ("The row is kept for ever.", "The row never expires."),
    "LongSentence": ("one two " * 16 + ".", "one two " * 15 + "."),
    "Openings": ("Is charged once.", "The leg is charged once. Is it?"),
    "Please": ("Please repeat the request.", "Repeat the request."),
    "ProductNames": ("The host is azure.", "Azure has `azure` and https://azure.com/azure."),
    "SentenceLength": ("one two " * 21 + ".", "one two " * 20 + ". One " + "two one " * 19 + "."),
    "Speech": ("The log tells the reason.", "The log contains the reason. Look up the reason."),
}


def names(page: str) -> set[str]:
    """The rules that a page breaks."""
    return {found.rule for found in prose.check(list(prose.markdown(page)), list(RULES.values()))}


def test_each_rule_has_a_case() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_finds_the_bad_text_and_not_the_good_one(rule: str) -> None:
    bad, good = CASES[rule]
    assert rule in names(bad)
    assert names(good) - {"LongSentence"} == set() or rule == "LongSentence"
    assert rule not in names(good)


def test_code_paths_and_quoted_words_are_no_prose() -> None:
    assert names('`what is` and "what is"\n\n```\nwhat is\n```\n\n[a page](what-is.md)') == set()


def test_a_finding_names_the_line() -> None:
    texts = list(
        prose.markdown("# Title\n\nOne line,\nand it will end.\n\n| a | will |\n| - | - |\n")
    )
    assert [found.line for found in prose.check(texts, list(RULES.values()))] == [4, 6]


def test_docstrings_and_messages_of_python_are_prose() -> None:
    source = (
        'def f(x):\n    """Says it.\n\n    ok\n\n        says code\n    """\n'
        '    g("told", f"the {x} is told", "asks for" " more")\n'
    )
    found = prose.check(list(prose.python(source)), [RULES["Speech"]])
    assert [finding.line for finding in found] == [2, 8, 8]


def test_the_english_texts_of_the_console_are_prose() -> None:
    row = '  "Nobody is {told}.": "Nobody is told",\n'
    assert [text.text for text in prose.console(row)] == ["Nobody is `x`."]


def test_no_text_breaks_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert prose.main([]) == 0, capsys.readouterr().out


def test_a_rule_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    rule = tmp_path / "Rule.yml"
    rule.write_text("extends: spelling\nmessage: m\nlevel: error\n")
    with pytest.raises(ValueError, match="spelling"):
        prose.Rule.read(rule)
