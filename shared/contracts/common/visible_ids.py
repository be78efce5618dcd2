"""The fields of requests that name accounts and rate cards, in path, query or body.

The edge checks these ids for every route of administrators before the route's handler runs, so a
new route, parameter or field only has to use these names.
"""

from collections.abc import Iterator, Mapping

ACCOUNTS = frozenset({"account", "accounts", "default_account"})
RATE_CARDS = frozenset({"card", "rate_card", "to_card", "carrier_card", "charged_by"})


def ids_in(content: object, names: frozenset[str]) -> Iterator[str]:
    """The texts, and texts in lists, under one of `names` at any depth of JSON."""
    if isinstance(content, list):
        for item in content:
            yield from ids_in(item, names)
    if not isinstance(content, Mapping):
        return
    for name, value in content.items():
        for each in value if isinstance(value, list) else (value,):
            if name in names and isinstance(each, str):
                yield each
        yield from ids_in(value, names)
