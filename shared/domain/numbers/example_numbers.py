"""One typical number of each kind in each country, by libphonenumber: what a card should price."""

from dataclasses import dataclass
from functools import lru_cache

from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import classify
from shared.domain.numbers.regions import INTERNATIONAL, NAMES

_CLASSES = (
    NumberClass.FIXED_LINE,
    NumberClass.MOBILE,
    NumberClass.PREMIUM_RATE,
    NumberClass.SHARED_COST,
    NumberClass.TOLL_FREE,
)


@dataclass(frozen=True, slots=True)
class PlanNumber:
    """A number that exists in principle: `digits` are E.164 without "+"."""

    region: str
    calling_code: str
    number_class: NumberClass
    digits: str


@lru_cache(maxsize=1)
def typical_numbers() -> tuple[PlanNumber, ...]:
    """By region, then class; the international networks last, under region 001.

    Loads libphonenumber's tables of all countries: about a second, once.
    """
    import phonenumbers

    kinds = phonenumbers.PhoneNumberType
    numbers: list[PlanNumber] = []
    for region in sorted(set(phonenumbers.SUPPORTED_REGIONS) & set(NAMES)):
        for number_class in _CLASSES:
            kind = getattr(kinds, number_class.name)
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None:
                code = str(number.country_code)
                digits = f"{code}{phonenumbers.national_significant_number(number)}"
                numbers.append(PlanNumber(region, code, number_class, digits))
    for network in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        number = phonenumbers.example_number_for_non_geo_entity(network)
        if number is not None:
            digits = f"{network}{phonenumbers.national_significant_number(number)}"
            number_class = classify(f"+{digits}").number_class
            numbers.append(PlanNumber(INTERNATIONAL, str(network), number_class, digits))
    return tuple(numbers)
