"""The generated module is what the product's OpenAPI document gives."""

from tests.cli.generate import GENERATED, generated


def test_requests_and_types_are_those_of_the_document() -> None:
    """`python -m tests.cli.generate` writes the file anew after a change of the API."""
    assert GENERATED.read_text("utf-8") == generated()
