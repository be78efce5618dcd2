"""Reading what crossed the edge with pydantic, and saying exactly what is wrong with it."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from shared.contracts.common.times import read_time
from shared.domain.common import limits
from shared.domain.common.errors import FieldError, Invalid
from shared.domain.common.formulas import FORMULA_RULE, is_formula
from shared.domain.common.money import parse_amount

_WORDS = {
    "extra_forbidden": "is not a field that this route knows",
    "missing": "is missing",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def read[Model: BaseModel](model: type[Model], value: object) -> Model:
    """`value` as the model. Raises Invalid with an RFC 6901 pointer for every field at fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        fields = tuple(
            FieldError(pointer(item["loc"]), _words(item["type"], item["msg"]))
            for item in found[: limits.FIELD_ERRORS_MAX]
        )
        count = len(found)
        raise Invalid(
            f"{count} {'field is' if count == 1 else 'fields are'} wrong.", fields
        ) from None


def pointer(location: tuple[int | str, ...]) -> str:
    """The RFC 6901 pointer to a place in what was sent."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return "".join(f"/{part}" for part in parts)


def _words(kind: str, message: str) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    text = message.removeprefix("Value error, ").removesuffix(".")
    return text[:1].lower() + text[1:]


def _amount(text: str) -> str:
    parse_amount(text)
    return text


def _time(text: str) -> str:
    read_time(text)
    return text


def _printable(text: str) -> str:
    if not (text.strip() and text.isprintable()):
        raise ValueError("must have printable characters only, and not just spaces")
    if is_formula(text):
        raise ValueError(FORMULA_RULE)
    return text


AmountText = Annotated[str, AfterValidator(_amount)]
"""A decimal string that `parse_amount` reads."""
TimeText = Annotated[str, AfterValidator(_time)]
"""An RFC 3339 time that `read_time` reads."""
ReferenceText = Annotated[
    str, Field(max_length=limits.REFERENCE_CHARS_MAX), AfterValidator(_printable)
]
"""What another system calls it: one line, since it is shown in lists, logs and CSV."""
ReasonText = Annotated[str, Field(max_length=limits.REASON_CHARS_MAX), AfterValidator(_printable)]
"""Why a person did it, in one line."""
