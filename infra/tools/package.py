"""`python -m infra.tools.package`: the zip that is deployed, and its bill of materials.

The code without what .funcignore names, and its dependencies in .python_packages, for Python 3.13
on Linux: nothing is built in Azure. The same sources and wheels give the same bytes.
"""

import argparse
import compileall
import hashlib
import json
import py_compile
import shutil
import subprocess
import sys
import uuid
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "package"
VENDORED = Path(".python_packages/lib/site-packages")
PYTHON = (3, 13)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
ZIP_TIME = (2020, 1, 1, 0, 0, 0)  # in every entry, so that the bytes depend on contents alone
FILE_MODE = 0o644
# Of the dependencies: what no function reads.
LEFT_OUT = ("tests", "test", "bin", "*.pyi", "*.c", "*.h", "*.pyx")


def main() -> int:
    """Build the package; print what it is. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.package")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the zip")
    parser.add_argument("--release", help="what /api/health shows; else as git describes it")
    options = parser.parse_args()
    out: Path = options.out.resolve()
    if sys.version_info[:2] != PYTHON:
        print(
            f"the app runs on Python {PYTHON[0]}.{PYTHON[1]}: build it with that", file=sys.stderr
        )
        return 1
    stage = out / "app"
    try:
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
    except OSError as error:
        print(
            f"package: {out} cannot be written ({error.strerror}). Choose a folder with --out.",
            file=sys.stderr,
        )
        return 1
    copy_code(stage)
    release = options.release or described()
    (stage / "shared" / "release.txt").write_text(f"{release}\n", "utf-8")
    vendor(stage)
    compile_all(stage)
    package, bill = out / "perminute.zip", out / "perminute.cdx.json"
    digest = write_zip(stage, package)
    bill.write_text(json.dumps(bill_of_materials(stage / VENDORED, digest), indent=1) + "\n")
    sizes = [path.stat().st_size for path in stage.rglob("*") if path.is_file()]
    print(f"{package.relative_to(ROOT) if package.is_relative_to(ROOT) else package}")
    print(f"  release {release}")
    print(f"  zip {package.stat().st_size / 1e6:.1f} MB, unpacked {sum(sizes) / 1e6:.1f} MB")
    print(f"  {len(sizes)} files, sha256 {digest}")
    print(f"  {len(list(distributions(path=[str(stage / VENDORED)])))} dependencies in {bill.name}")
    return 0


def described() -> str:
    """The tag of the commit, else git's description; "unreleased" outside of a checkout."""
    command = ["git", "describe", "--tags", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unreleased"


def copy_code(stage: Path) -> None:
    """Copy what .funcignore leaves."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text("utf-8").splitlines())
    for folder, folders, files in ROOT.walk():
        inside = folder.relative_to(ROOT)
        folders[:] = sorted(name for name in folders if not ignored.match_file(f"{inside / name}/"))
        for name in files:
            if not ignored.match_file(inside / name):
                (stage / inside).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / inside / name, stage / inside / name)


def vendor(stage: Path) -> None:
    """Install the pinned dependencies, as wheels for the platform of the app."""
    wanted = [option for platform in PLATFORMS for option in ("--platform", platform)]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps"),
        *("--disable-pip-version-check", "--only-binary=:all:", "--no-compile", "--require-hashes"),
        *("--python-version", ".".join(map(str, PYTHON)), "--implementation", "cp", *wanted),
        *("--target", str(stage / VENDORED), "-r", str(ROOT / "requirements.txt")),
    ]
    subprocess.run(command, check=True)
    for pattern in LEFT_OUT:
        for path in sorted((stage / VENDORED).rglob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()


def compile_all(stage: Path) -> None:
    """Compile to bytecode: the package is mounted read-only, so Azure would compile at each start.

    Python finds the bytecode by its place, without reading the source or its time.
    """
    compiled = compileall.compile_dir(
        stage,
        quiet=1,
        stripdir=str(stage),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise SystemExit("some file of the package can't be compiled")


def write_zip(stage: Path, package: Path) -> str:
    """Write the zip; its SHA-256, hex."""
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in stage.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(stage).as_posix(), ZIP_TIME)
            entry.external_attr = FILE_MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return hashlib.sha256(package.read_bytes()).hexdigest()


def bill_of_materials(vendored: Path, digest: str) -> dict[str, object]:
    """The contents of the package, as CycloneDX 1.6."""
    found = sorted(distributions(path=[str(vendored)]), key=lambda each: each.name.lower())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "perminute",
                "bom-ref": "perminute",
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": [_component(each) for each in found],
        "dependencies": [{"ref": "perminute", "dependsOn": [_purl(each) for each in found]}],
    }


def _component(distribution: Distribution) -> dict[str, object]:
    metadata = distribution.metadata
    stated = metadata.get("License-Expression") or metadata.get("License") or ""
    component: dict[str, object] = {
        "type": "library",
        "bom-ref": _purl(distribution),
        "name": distribution.name,
        "version": distribution.version,
        "purl": _purl(distribution),
    }
    if stated:
        component["licenses"] = [{"license": {"name": stated.splitlines()[0]}}]
    return component


def _purl(distribution: Distribution) -> str:
    name = distribution.name.lower().replace("_", "-")
    return f"pkg:pypi/{name}@{distribution.version}"


if __name__ == "__main__":
    sys.exit(main())
