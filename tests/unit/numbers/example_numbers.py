"""libphonenumber's example number of every region and type, and what becomes of each.

`python -m tests.unit.numbers.example_numbers` writes the golden table again; check its diff.
"""

import json
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType

from shared.domain.dial_out.dial_out_checks import check_rules
from shared.domain.dial_out.facts import AccountFacts, DialOutFacts, OrganizerFacts, RateFacts
from shared.domain.numbers.numbers import look_up

GOLDEN = Path(__file__).parents[2] / "golden" / "example_numbers.json"
_ANY_RATE = RateFacts("", "anywhere", 0)


def rows() -> list[list[str]]:
    """[region or code, type, number, class, region found, outcome under the default policy]."""
    found = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in sorted(PhoneNumberType.values()):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None:
                found.append(_row(region, PhoneNumberType.to_string(kind), _e164(example)))
        found += _emergency_rows(region)
    for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        example = phonenumbers.example_number_for_non_geo_entity(code)
        if example is not None:
            found.append(_row(f"+{code}", "network", _e164(example)))
    return found


def _emergency_rows(region: str) -> list[list[str]]:
    metadata = PhoneMetadata.short_metadata_for_region(region)
    if metadata is None or metadata.emergency is None:
        return []
    example = metadata.emergency.example_number
    return [_row(region, "emergency", example)] if example else []


def _row(region: str, kind: str, text: str) -> list[str]:
    dialled = look_up(text, (region if len(region) == 2 else None,))
    known = DialOutFacts(dialled, AccountFacts("a"), OrganizerFacts("o"), rate=_ANY_RATE)
    denial = check_rules(known)
    number = dialled.number
    outcome = "allow" if denial is None else denial.reason.value
    return [region, kind, text, number.number_class.value, number.region or "", outcome]


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def dump(table: list[list[str]]) -> str:
    """The golden file's text: a row a line."""
    lines = ",\n".join(json.dumps(row) for row in table)
    return f"[\n{lines}\n]\n"


if __name__ == "__main__":
    GOLDEN.write_text(dump(rows()), encoding="utf-8")
