"""Every error about a field is a sentence of our own, whichever model reads it."""

import importlib
import pkgutil
import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticKnownError, core_schema

import shared.contracts
from shared.contracts.common.validation import parse_body, sentence
from shared.contracts.directory.bridges_and_keys import BridgeBody
from shared.domain.common.errors import Invalid
from tests.support.product import Product

BRIDGE = "/api/v1/bridges/studio"
JARGON = re.compile(
    r"\b(?:input|should|valid (?:string|integer|list|dictionary|boolean|number)|validation|"
    r"dictionary|extra inputs|instance of|value error|\[key\])\b",
    re.IGNORECASE,
)
# What the types of the models' fields can raise, by pydantic's own list
ERRORS_BY_SCHEMA = {
    "any": set(),
    "bool": {"bool_type"},
    "definitions": set(),
    "definition-ref": set(),
    "default": set(),
    "dict": {"dict_type", "too_long", "too_short"},
    "enum": {"enum"},
    "function-after": {"value_error"},
    "function-before": {"value_error"},
    "int": {"int_type", "int_parsing_size", "greater_than_equal", "less_than_equal"},
    "list": {"list_type", "too_long", "too_short"},
    "literal": {"literal_error"},
    "model": {"model_type"},
    "model-field": {"missing"},
    "model-fields": {"extra_forbidden"},
    "no-info": set(),
    "nullable": set(),
    "str": {"string_type", "string_too_long", "string_too_short", "string_pattern_mismatch"},
}
FALLBACK = "has a value that this route does not take"


def models() -> list[type[BaseModel]]:
    """Every model of the contracts."""
    package = shared.contracts
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)

    def below(parent: type[BaseModel]) -> Iterator[type[BaseModel]]:
        for each in parent.__subclasses__():
            yield each
            yield from below(each)

    return [
        each
        for each in dict.fromkeys(below(BaseModel))
        if each.__module__.startswith("shared.contracts.") and each.model_fields
    ]


MODELS = models()


def schema_types(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        kind = schema.get("type")
        if isinstance(kind, str):
            yield kind
        for name, each in schema.items():
            if name not in {"metadata", "serialization"}:
                yield from schema_types(each)
    elif isinstance(schema, list | tuple):
        for each in schema:
            yield from schema_types(each)


def test_every_error_that_a_field_can_raise_has_its_sentence() -> None:
    kinds = {kind for model in MODELS for kind in schema_types(model.__pydantic_core_schema__)}
    context = {"min_length": 1, "max_length": 2, "ge": 0, "le": 9, "expected": "'a' or 'b'",
               "pattern": "^a$", "error": ValueError("must be odd")}  # fmt: skip

    assert len(MODELS) > 30
    assert kinds <= ERRORS_BY_SCHEMA.keys()
    for kind in kinds:
        for error in ERRORS_BY_SCHEMA[kind]:
            text = sentence(error, context)
            assert text != FALLBACK, error
            assert not JARGON.search(text), (error, text)


@pytest.mark.parametrize("kind", sorted(typing.get_args(core_schema.ErrorType)))
def test_no_error_of_pydantic_is_shown_in_its_own_words(kind: str) -> None:
    context: dict[str, Any] = {
        "min_length": 1,
        "max_length": 2,
        "ge": 0,
        "le": 9,
        "expected": "'a'",
        "pattern": "^a$",
        "error": ValueError("must be odd"),
    }
    assert not JARGON.search(sentence(kind, context))


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30)
    | st.text(max_size=3)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.just("x" * 3_000),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__qualname__)
@settings(max_examples=5)
@given(st.data())
def test_whatever_is_sent_is_refused_in_our_own_words(
    model: type[BaseModel], data: st.DataObject
) -> None:
    names = sorted(field.alias or name for name, field in model.model_fields.items())
    body = data.draw(st.dictionaries(st.sampled_from(names), HOSTILE) | HOSTILE)
    try:
        parse_body(model, body)
    except Invalid as error:
        for each in error.errors:
            # What was sent may be repeated between quotes.
            assert not JARGON.search(re.sub(r"'[^']*'|\"[^\"]*\"", "", each.detail)), each
            assert not each.pointer.endswith("/[key]")


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"accounts": []}, "/accounts", "must have at least 1 item"),
    ({"accounts": ["a"] * 1_001}, "/accounts", "must have at most 1000 items"),
    ({"accounts": "a"}, "/accounts", "must be a list"),
    ({"auth": {"secrets": []}}, "/auth/secrets", "must have at least 1 item"),
    ({"auth": {"secrets": ["a"] * 3}}, "/auth/secrets", "must have at most 2 items"),
    ({"auth": []}, "/auth", "must be an object"),
    ({"assumed_seconds": -1}, "/assumed_seconds", "must be at least 1"),
    ({"assumed_seconds": 10**6}, "/assumed_seconds", "must be at most 86400"),
    ({"assumed_seconds": 10**30}, "/assumed_seconds", "must be at most 86400"),
    ({"assumed_seconds": 1.5}, "/assumed_seconds", "must be a whole number"),
    ({"assumed_seconds": "60"}, "/assumed_seconds", "must be a whole number"),
    ({"disabled": 1}, "/disabled", "must be true or false"),
    ({"on_outage": "maybe"}, "/on_outage", "must be 'deny' or 'allow'"),
    ({"dialect": 5}, "/dialect", "must be a string"),
    ({"dialekt": 5}, "/dialekt", "is not a field that this route knows"),
]


@pytest.mark.parametrize(("change", "pointer", "detail"), CASES)
def test_a_wrong_field_of_a_bridge_is_named_with_its_rule(
    app: Product, change: dict[str, Any], pointer: str, detail: str
) -> None:
    answer = app.put(BRIDGE, {"dialect": "perminute", "accounts": ["*"], **change})

    assert answer.status == 422
    assert answer.json["errors"] == [{"pointer": pointer, "detail": detail}]


def test_a_wrong_name_of_a_group_is_named_by_the_pointer_of_the_group(app: Product) -> None:
    app.account()
    policy = "/api/v1/accounts/contoso/dial-out-policy"
    answer = app.put(policy, {"groups": {"a\n": {"rank": 1}}})

    assert (answer.status, answer.pointers()) == (422, ["/groups/a\n"])


def test_the_list_of_jargon_finds_the_words_of_pydantic() -> None:
    wrong = {"dialect": 1, "accounts": [], "disabled": 3, "x": 1}
    with pytest.raises(ValidationError) as caught:
        BridgeBody.model_validate(wrong)

    assert len(caught.value.errors()) == len(wrong)
    assert all(JARGON.search(each["msg"]) for each in caught.value.errors())
    assert JARGON.search(PydanticKnownError("int_type").message())
