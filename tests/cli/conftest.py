"""Nothing of the machine's own settings reaches a command under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fakes import KEY, URL


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("PERMINUTE_ACCOUNT", "PERMINUTE_HTTP", "PERMINUTE_DEBUG", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PERMINUTE_URL", URL)
    monkeypatch.setenv("PERMINUTE_KEY", KEY)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))  # no laptop stack is found
    return iter(())
