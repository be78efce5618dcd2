"""The wheel, built from the source distribution, in an empty environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perminute_cli.samples import DIALECTS

pytestmark = pytest.mark.extended
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(500)
def test_a_built_wheel_installs_and_runs_alone(tmp_path: Path) -> None:
    make = "import sys; sys.path.insert(0, '.'); import build_backend as made"
    make += "; made.build_sdist(sys.argv[1])"
    sdist = [sys.executable, "-c", make, str(tmp_path)]
    subprocess.run(sdist, check=True, cwd=ROOT / "cli", capture_output=True, timeout=100)
    (source,) = tmp_path.glob("*.tar.gz")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    build = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    subprocess.run(build, check=True, cwd=tmp_path, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=100)
    install = [tmp_path / "venv/bin/pip", "install", "--quiet", "--no-input", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PY")}

    def perminute(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(tmp_path / "venv/bin/perminute"), *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert "perminute, version" in perminute("--version").stdout
    assert "parked" in perminute("--help").stdout
    for dialect in DIALECTS:
        shown = perminute("bridges", "try", dialect, "--show", "--account", "contoso")
        assert json.loads(shown.stdout), (dialect, shown.stderr)
    vectors = json.loads((ROOT / "tests/golden/proof_vectors.json").read_text("utf-8"))
    (tmp_path / "receipt.json").write_text(json.dumps(vectors["receipts"][0]), "utf-8")
    (tmp_path / "keys.json").write_text(json.dumps(vectors["keys"]), "utf-8")
    verified = perminute("verify", "receipt.json", "--keys", "keys.json")
    assert "verified" in verified.stdout, verified.stderr
    refused = perminute("accounts", "--url", "http://127.0.0.1:9")
    assert refused.returncode in {1, 2}
    assert len(refused.stderr.splitlines()) == 2
