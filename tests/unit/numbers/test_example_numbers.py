"""The golden table of libphonenumber's examples: what each is, and whether it may be dialled."""

import json

from shared.domain.numbers.classes import ALLOWED_BY_DEFAULT
from shared.domain.numbers.regions import NAMES

from .example_numbers import GOLDEN, dump, rows


def test_every_example_number_has_the_outcome_of_the_golden_table():
    assert dump(rows()) == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_table_keeps_the_rules():
    table = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len({row[0] for row in table if len(row[0]) == 2}) == 245
    for _, kind, text, number_class, region, outcome in table:
        if kind == "emergency":
            assert outcome == "emergency_number", text
        elif not region:
            assert outcome == "number_invalid", text
        elif region == "001":
            assert outcome == "region_not_served", text
        elif number_class in ALLOWED_BY_DEFAULT:
            assert outcome == "allow", text
        else:
            assert outcome == "number_class_blocked", text
        assert not region or region in NAMES
