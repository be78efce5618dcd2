"""The few administration requests that the stack itself makes."""

import http.client
import json

from local.parts import StackError

REQUEST_SECONDS_MAX = 30.0


def ensure_bridge(base_url: str, admin_key: str, name: str, secret: str) -> None:
    """Make the bridge with that signing secret unless it is there. Raises StackError if refused."""
    path = f"/api/v1/bridges/{name}"
    bridge = {
        "dialect": "perminute",
        "auth": {"scheme": "standard-webhooks", "secrets": [secret]},
        "accounts": ["*"],
    }
    if _status(base_url, "GET", path, admin_key) != 200:
        status = _status(base_url, "PUT", path, admin_key, bridge)
        if status != 201:
            raise StackError(f"making the bridge {name} was answered {status}")


def _status(base_url: str, method: str, path: str, admin_key: str, body: object = None) -> int:
    headers = {"authorization": f"Bearer {admin_key}", "content-type": "application/json"}
    address = base_url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=REQUEST_SECONDS_MAX)
    try:
        text = "" if body is None else json.dumps(body)
        connection.request(method, path, text, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise StackError(f"{method} {base_url}{path}: {error!r}") from error
    finally:
        connection.close()
