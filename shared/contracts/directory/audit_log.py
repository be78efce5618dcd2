"""The audit log on the wire."""

import json
from collections.abc import Mapping
from datetime import datetime

from shared.domain.common.canonical import format_time

COLUMNS = ("at", "actor", "action", "kind", "key", "account", "before", "after", "request_id")


def change_body(
    *,
    at: datetime,
    actor: str,
    action: str,
    kind: str,
    key: str,
    account: str | None,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
    request_id: str | None,
) -> dict[str, object]:
    """A change as a JSON object, with `account` if the change belongs to one."""
    return {
        "at": format_time(at),
        "actor": actor,
        "action": action,
        "kind": kind,
        "key": key,
        **({"account": account} if account is not None else {}),
        "before": before,
        "after": after,
        "request_id": request_id,
    }


def change_row(body: Mapping[str, object]) -> dict[str, object]:
    """A change as a row of CSV: settings as JSON texts."""
    texts = {
        name: json.dumps(body[name], ensure_ascii=False, sort_keys=True)
        for name in ("before", "after")
        if body[name] is not None
    }
    return {**body, "before": None, "after": None, **texts}
