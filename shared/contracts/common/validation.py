"""Parsing of request bodies by pydantic models, with an RFC 6901 pointer for each invalid field."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from shared.contracts.common.times import read_time
from shared.domain.common import limits
from shared.domain.common.counts import counted
from shared.domain.common.errors import FieldError, Invalid
from shared.domain.common.formulas import FORMULA_RULE, is_formula
from shared.domain.common.money import parse_amount

_SENTENCES = {
    "extra_forbidden": "is not a field that this route knows",
    "missing": "is missing",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing_size": "is out of range",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} {items}",
    "too_long": "must have at most {max_length} {items}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "value_error": "{error}",
}
"""Sentences about a field, by pydantic's type of error; `{…}` is its context."""
_NAME_ERRORS = frozenset({"value_error", "string_too_long"})


def parse_body[Model: BaseModel](model: type[Model], value: object) -> Model:
    """Validate `value` as the model. Raises Invalid with an RFC 6901 pointer for each invalid
    field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(error.errors(include_url=False, include_input=False)) from None


def refuse_unknown_fields(model: type[BaseModel], patch: object) -> None:
    """Raises Invalid for every field of a merge patch, at any depth, that the model does not have.

    A merge drops members that are null before the result is read.
    """
    try:
        model.model_validate(patch)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        if unknown := [item for item in errors if item["type"] == "extra_forbidden"]:
            raise _invalid(unknown) from None


def _invalid(errors: Sequence[ErrorDetails]) -> Invalid:
    fields = tuple(
        FieldError(json_pointer(_place(item)), sentence(item["type"], item.get("ctx", {})))
        for item in errors[: limits.FIELD_ERRORS_MAX]
    )
    count = len(errors)
    return Invalid(
        f"{counted(count, 'field is', 'fields are')} wrong.",
        fields,
    )


def _place(item: ErrorDetails) -> tuple[int | str, ...]:
    """The JSON pointer of an error: pydantic puts `[key]` after a member whose name is wrong."""
    place = item["loc"]
    is_name = len(place) > 1 and place[-1] == "[key]" and item["type"] in _NAME_ERRORS
    return place[:-1] if is_name else place


def json_pointer(location: tuple[int | str, ...]) -> str:
    """The RFC 6901 pointer of a location."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return "".join(f"/{part}" for part in parts)


def sentence(kind: str, context: Mapping[str, object]) -> str:
    """The sentence for one of pydantic's error types, without the name of the field."""
    template = _SENTENCES.get(kind, "has a value that this route does not take")
    count = context.get("min_length", context.get("max_length"))
    items = "item" if count == 1 else "items"
    text = template.format_map({**context, "items": items})
    return text[:1].lower() + text[1:].removesuffix(".")


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
"""The name in another system: one line, since it is shown in lists, logs and CSV."""
ReasonText = Annotated[str, Field(max_length=limits.REASON_CHARS_MAX), AfterValidator(_printable)]
"""Why a person did it, in one line."""
