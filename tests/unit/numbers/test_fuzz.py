"""Random texts: never an exception, never a wrong kind of answer."""

import random
import re
import string

import pytest

from shared.domain.dial_out.dial_out_checks import check_rules
from shared.domain.dial_out.facts import DialOutFacts
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import look_up, normalize
from shared.domain.numbers.regions import NAMES

NORMALISED_TEXTS = 3_000
_SEED = 20_260_101
_E164 = re.compile(r"\+[0-9]{7,15}", re.ASCII)
_ODD = "+00(),;*#wp \t\n\0-./٠١٩२３＋é￼\u200e𝟙" + string.ascii_letters


def _texts(count: int) -> list[str]:
    """Mostly short texts of digits and signs; about one in five has the form of E.164."""
    source = random.Random(_SEED)
    texts = []
    for number in range(count):
        digits = "".join(source.choices(string.digits, k=source.randrange(1, 18)))
        if number % 5 == 0:
            texts.append(f"+{digits}")
        elif number % 5 == 1:
            texts.append(digits)
        else:
            texts.append("".join(source.choices(_ODD + digits, k=source.randrange(0, 24))))
    return texts


@pytest.mark.parametrize("texts", [10_000, pytest.param(100_000, marks=pytest.mark.extended)])
def test_random_texts_are_answered_without_an_exception(texts: int):
    account = organizer = None
    for text in _texts(texts):
        dialled = look_up(text, ("FR", "US"))
        number = dialled.number
        assert not (dialled.emergency and dialled.special)
        assert isinstance(number.number_class, NumberClass)
        if number.valid:
            assert _E164.fullmatch(text)
            assert number.e164 is not None
            assert _E164.fullmatch(number.e164)
            assert number.digits == number.e164[1:]
            assert number.region in NAMES
        else:
            assert number.e164 is None
        denial = check_rules(DialOutFacts(dialled, account, organizer))
        assert denial is not None


def test_random_texts_are_normalised_to_themselves_or_to_a_valid_number():
    for text in _texts(NORMALISED_TEXTS):
        normal = normalize(text, "FR")
        assert normal == text or look_up(normal, ()).number.valid
