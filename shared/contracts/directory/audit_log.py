"""The audit log on the wire."""

import json
from collections.abc import Mapping

COLUMNS = ("at", "actor", "action", "kind", "key", "account", "before", "after", "request_id")


def change_row(body: Mapping[str, object]) -> dict[str, object]:
    """A change as a row of CSV: settings as JSON texts."""
    texts = {
        name: json.dumps(body[name], ensure_ascii=False, sort_keys=True)
        for name in ("before", "after")
        if body[name] is not None
    }
    return {**body, "before": None, "after": None, **texts}
