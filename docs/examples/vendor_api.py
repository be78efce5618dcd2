"""One request to a vendor's REST API, with the standard library only. Python 3.9 or later."""

import json
import urllib.error
import urllib.request
from typing import Any

REQUEST_SECONDS_MAX = 5.0


def request(
    method: str, url: str, body: "bytes | None" = None, headers: "dict[str, str] | None" = None
) -> "dict[str, Any] | None":
    """The JSON of the answer, {} where it has no body, None for 404 and 410: the object is
    gone. Raises OSError, as HTTPError for any other status of 400 or more."""
    sent = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(sent, timeout=REQUEST_SECONDS_MAX) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            return None
        raise
    try:
        found = json.loads(content or b"{}")
    except ValueError as error:
        raise OSError(f"{url} answered no JSON: {error}") from error
    return dict(found)
