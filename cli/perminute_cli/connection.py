"""Where the server is and which key opens it: options, environment, login, or the laptop stack."""

import errno
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from perminute_cli.client import LOOPBACK
from perminute_cli.failures import USAGE, Failure

SERVICE = "perminute"
KEY_CHARS_MAX = 8192
_KEY = re.compile(r"[!-~]+", re.ASCII)
_NO_URL = re.compile(r"[\s\x00-\x1f\x7f<>\"\\^`{|}]")


@dataclass(frozen=True)
class Connection:
    """A server and its key; `bridge` and `bridge_secret` are those of the laptop stack."""

    base_url: str
    key: str
    source: str
    bridge: str | None = None
    bridge_secret: str | None = None

    def __repr__(self) -> str:
        return f"Connection({self.base_url}, {self.source})"


def find(url: str | None, key: str | None) -> Connection:
    """The connection: `--url` and `--key`, else the environment, else the login, else the laptop
    stack that runs. A key is only sent to the server that it was stored for. Raises Failure."""
    url = url or os.environ.get("PERMINUTE_URL") or None
    key = key or os.environ.get("PERMINUTE_KEY") or None
    stored = stored_login()
    running = _running_stack()
    if url is None and stored is not None and (key is None or running is None):
        url = stored.get("url")
    if url is None and running is not None:
        key = checked_key(key) if key else running.key
        return Connection(running.base_url, key, *_rest(running))
    if url is None:
        raise Failure(
            "No server is known: there is no login, and no laptop stack runs here.",
            "Run `perminute login --url URL`, or `make run` in the repository.",
            USAGE,
        )
    url = checked_url(url)
    if running is not None and running.base_url == url:
        return Connection(url, checked_key(key) if key else running.key, *_rest(running))
    if key is None and stored is not None and stored.get("url") == url:
        key = stored_key(stored)
    if key is None:
        raise Failure(
            f"There is no key for {url}.",
            f"Run `perminute login --url {url}`, or set PERMINUTE_KEY.",
            USAGE,
        )
    return Connection(url, checked_key(key), "given")


def _rest(running: Connection) -> tuple[str, str | None, str | None]:
    return running.source, running.bridge, running.bridge_secret


def checked_url(url: str) -> str:
    """The URL without its end. Raises Failure where it is none, or would show the key."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    is_wrong = (
        parts.scheme not in {"http", "https"} or not host or bool(_NO_URL.search(url.strip()))
    )
    if is_wrong or parts.username or parts.query or parts.fragment:
        raise Failure(
            f"“{url}” is no URL of a server.",
            "Write the URL as https://HOST or http://HOST:PORT.",
            USAGE,
        )
    if parts.scheme == "http" and host not in LOOPBACK and not os.environ.get("PERMINUTE_HTTP"):
        raise Failure(
            f"{url} is not encrypted: the key would be sent in the open.",
            "Use https://, or set PERMINUTE_HTTP=1 if the network is yours.",
            USAGE,
        )
    assert port is None or port > 0
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/api')}"


def checked_key(key: str) -> str:
    """The key. Raises Failure where it can't be one."""
    key = key.strip().removeprefix("\ufeff").strip()
    if not _KEY.fullmatch(key) or len(key) > KEY_CHARS_MAX:
        raise Failure(
            "This can't be a key: it has spaces or other characters than printable ASCII.",
            "Copy the whole key, and nothing else.",
            USAGE,
        )
    return key


def _running_stack() -> Connection | None:
    """The laptop stack of the repository in which the command runs, or is installed."""
    places = [Path.cwd(), *Path.cwd().parents, Path(sys.prefix).parent]
    for folder in places:
        path = folder / "build" / "run.json"
        try:
            document: Any = json.loads(path.read_text("utf-8"))
            url, key = str(document["base_url"]), str(document["admin_key"])
            bridge = document.get("bridge") or {}
            if urlsplit(url).hostname in LOOPBACK:
                secret = bridge.get("secret")
                return Connection(url, key, "laptop stack", bridge.get("name"), secret)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def config_file() -> Path:
    """The file of the login."""
    folder = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(folder) / "perminute" / "login.json"


def stored_login() -> dict[str, str] | None:
    """The document that `perminute login` stored: `url`, and `key` where there is no keyring."""
    try:
        document = json.loads(config_file().read_text("utf-8"))
    except (OSError, ValueError, RuntimeError):  # RuntimeError: there is no home
        return None
    return document if isinstance(document, dict) and isinstance(document.get("url"), str) else None


def stored_key(stored: dict[str, str]) -> str | None:
    """The key of a login, from the file or from the keyring."""
    if stored.get("key"):
        return stored["key"]
    try:
        import keyring

        return keyring.get_password(SERVICE, stored["url"])
    except Exception:  # noqa: BLE001 - a keyring may fail in any way: then there is no key
        return None


def store_login(url: str, key: str) -> str:
    """Store a login; the place of its key."""
    forget_login()
    try:
        import keyring

        keyring.set_password(SERVICE, url, key)
        if keyring.get_password(SERVICE, url) == key:
            write_private(config_file(), json.dumps({"url": url}) + "\n")
            return "the system's keyring"
    except Exception:  # noqa: BLE001, S110 - no keyring here: the file holds the key
        pass
    write_private(config_file(), json.dumps({"url": url, "key": key}) + "\n")
    return f"{config_file()} (mode 0600)"


def forget_login() -> bool:
    """Remove the login; whether there was one."""
    stored = stored_login()
    if stored is not None and not stored.get("key"):
        try:
            import keyring

            keyring.delete_password(SERVICE, stored["url"])
        except Exception:  # noqa: BLE001, S110 - it is gone from the keyring already
            pass
    config_file().unlink(missing_ok=True)
    return stored is not None


def write_private(path: Path, text: str) -> None:
    """Write a file by rename; only its owner may read it, at every moment. Raises OSError."""
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "It is no file", str(path))
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
