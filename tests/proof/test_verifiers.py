"""The verifiers of `tools/`, and one in Node, on the frozen vectors: every change is found."""

import copy
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.domain.common.counts import counted

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"
VECTORS_FILE = ROOT / "tests/golden/proof_vectors.json"
VECTORS: dict[str, Any] = json.loads(VECTORS_FILE.read_text("utf-8"))
KINDS = {
    *("format", "digest", "key", "compromised", "signature", "account", "chain", "tree", "commit"),
    *("balance", "charge", "person", "rate", "rating", "correction", "statement", "roots", "end"),
}
NOT_PROVED = {
    ("created_at",),  # only the digest of the file has it
    ("persons",),  # whether persons are shown
    ("items", "rate_path", "size"),  # several sizes lead the same way
}
type Document = Any


@pytest.fixture(scope="module")
def tools() -> Iterator[Any]:
    """The modules of the two verifiers."""
    sys.path.insert(0, str(TOOLS))
    import verify_month
    import verify_receipt

    yield verify_receipt, verify_month
    sys.path.remove(str(TOOLS))


def run(tool: str, *files: Path, keys: Document = None) -> tuple[int, str]:
    """A verifier as its users start it, from a folder that has nothing of Perminute."""
    where = files[0].parent
    for each in TOOLS.glob("*.py"):
        shutil.copy(each, where)
    (where / "keys.json").write_text(json.dumps(VECTORS["keys"] if keys is None else keys))
    command = [sys.executable, tool, *(file.name for file in files), "--keys", "keys.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=where)
    return done.returncode, done.stdout + done.stderr


def receipt_files(folder: Path) -> list[Path]:
    files = []
    for number, receipt in enumerate(VECTORS["receipts"]):
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps(receipt, ensure_ascii=False), "utf-8")
    return files


def sealed_receipt(receipt: Document) -> Document:
    """With the digest that belongs to its content."""
    body = {name: value for name, value in receipt.items() if name != "digest"}
    return {**body, "digest": hashlib.sha256(canonical(body)).hexdigest()}


def sealed_month(documents: list[Document]) -> list[bytes]:
    """As lines, with the end that belongs to them."""
    lines = [canonical(each) + b"\n" for each in documents[:-1]]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    return [*lines, canonical({**documents[-1], "lines": len(lines), "digest": digest}) + b"\n"]


def canonical(value: Document) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def leaves(value: Document, *path: object) -> Iterator[tuple[object, ...]]:
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[name], *path, name)
    else:
        yield path


def variants(value: Document, path: tuple[object, ...]) -> Iterator[Document]:
    """The document with another value at the path."""
    for change in (lambda text: text + "0", lambda _: None, flipped):
        changed = copy.deepcopy(value)
        inner = changed
        for name in path[:-1]:
            inner = inner[name]
        old = inner[path[-1]]
        if old is None or isinstance(old, int):
            new: Document = "x" if old is None else old + 1
        elif not old and change is not flipped:
            continue
        else:
            new = change(old)
        inner[path[-1]] = new
        yield changed


def flipped(text: str) -> str:
    return ("1" if text[:1] != "1" else "2") + text[1:]


def named(path: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(name for name in path if isinstance(name, str))


def refused(tools: Any, verify: Callable[[], object]) -> bool:
    """Whether a verifier says what is wrong, by a kind of the page, or can't read the file."""
    try:
        verify()
    except tools[0].Wrong as wrong:
        return wrong.args[0] in KINDS
    except tools[0].UNREADABLE:
        return True
    return False


def test_receipts_verify_alone_and_together(tmp_path: Path) -> None:
    code, reported = run("verify_receipt.py", *receipt_files(tmp_path))

    assert (code, reported.count("verified")) == (0, len(VECTORS["receipts"])), reported


def test_month_files_verify_and_every_leg_is_rated_again(tmp_path: Path) -> None:
    for number, month in enumerate(VECTORS["months"]):
        file = tmp_path / f"{number}.jsonl.gz"
        file.write_bytes(gzip.compress("".join(month["lines"]).encode()))
        code, reported = run("verify_month.py", file)
        legs = json.loads(month["lines"][-2])["legs"]
        assert code == 0, reported
        assert f"{counted(legs, 'leg')} rated again" in reported


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "end"),
        (b"\x1f\x8b\x08", "end"),
        (b"no gzip", "format"),
        (gzip.compress(b'{"type":"file"}\n'), "format"),
        (gzip.compress(b"[1]\n"), "format"),
        (gzip.compress("".join(VECTORS["months"][0]["lines"][:-1]).encode()), "end"),
        (gzip.compress("".join(VECTORS["months"][0]["lines"]).encode())[:-30], "end"),
        (gzip.compress("".join(VECTORS["months"][0]["lines"] * 2).encode()), "format"),
    ],
    ids=("empty", "gzip begins", "no gzip", "type alone", "list", "no end", "cut", "twice"),
)
def test_a_file_that_is_no_month_is_named_in_a_sentence(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    file = tmp_path / "month.gz"
    file.write_bytes(content)
    code, reported = run("verify_month.py", file)
    last = reported.splitlines()[-1]

    assert (code, last.split(":")[0]) == (1, kind), reported


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_receipt_is_named_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(content)
    code, reported = run("verify_receipt.py", file)

    assert (code, reported.split(":")[0], len(reported.splitlines())) == (1, "format", 1), reported


def test_a_key_that_is_not_kept_by_the_verifier_proves_nothing(tmp_path: Path) -> None:
    code, reported = run("verify_receipt.py", receipt_files(tmp_path)[0], keys={"keys": []})

    assert (code, reported.split(":")[0]) == (1, "key")


@pytest.mark.parametrize(
    "tool",
    ["verify_receipt.py", pytest.param("verify_month.py", marks=pytest.mark.extended)],
)
def test_unreadable_keys_and_missing_files_are_named_in_a_sentence(
    tmp_path: Path, tool: str
) -> None:
    file = receipt_files(tmp_path)[0].name
    run(tool, tmp_path / file)  # copies the verifiers and the keys
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "others.json").write_text('{"keys":[7]}')
    for given in ((file, "bad.json"), (file, "others.json"), (file, "no"), ("no", "keys.json")):
        command = [sys.executable, tool, given[0], "--keys", given[1]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith("format: ")


def test_no_text_of_a_file_controls_the_terminal(tmp_path: Path) -> None:
    receipt = copy.deepcopy(VECTORS["receipts"][0])
    receipt["items"][0]["charge"]["lines"] = "\x1b[2J"
    receipt["items"][0]["entry"]["leg"] = receipt["leg"] = "\x1b[2Jverified\r\n"
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(sealed_receipt(receipt)))
    code, reported = run("verify_receipt.py", file)
    assert (code, reported.count("\n")) == (1, 1), reported
    assert reported.removesuffix("\n").isprintable(), reported


def test_receipts_month_files_and_roots_are_verified_together(tmp_path: Path) -> None:
    files = receipt_files(tmp_path)
    month = tmp_path / "month.gz"
    month.write_bytes(gzip.compress("".join(VECTORS["months"][0]["lines"]).encode()))
    roots = tmp_path / "roots.json"
    items = [
        {**each, "digest": hashlib.sha256(canonical(each["root"])).hexdigest()}
        for each in VECTORS["roots"]
    ]
    roots.write_text(json.dumps({"items": items}))
    code, reported = run("verify_receipt.py", *files, month, roots)
    assert (code, reported.count("verified")) == (0, len(files) + 2), reported


@pytest.mark.extended
@pytest.mark.parametrize("number", range(len(VECTORS["receipts"])))
def test_whatever_is_changed_in_a_receipt_is_found(tools: Any, number: int) -> None:
    receipt, keys = VECTORS["receipts"][number], VECTORS["keys"]
    missed = set()
    for path in leaves({name: value for name, value in receipt.items() if name != "digest"}):
        for changed in variants(receipt, path):
            wrong = sealed_receipt(changed)
            if not refused(tools, lambda wrong=wrong: tools[0].verify(wrong, keys)):
                missed.add(named(path))

    assert not missed - NOT_PROVED


@pytest.mark.extended
@pytest.mark.parametrize("number", range(len(VECTORS["months"])))
def test_whatever_is_changed_cut_or_moved_in_a_month_is_found(tools: Any, number: int) -> None:
    documents = [json.loads(line) for line in VECTORS["months"][number]["lines"]]
    keys = VECTORS["keys"]
    missed = set()
    for at, document in enumerate(documents[:-1]):
        changes = [
            (named(path), [*documents[:at], changed, *documents[at + 1 :]])
            for path in leaves(document)
            for changed in variants(document, path)
        ]
        changes.append((("cut",), [*documents[:at], *documents[at + 1 :]]))
        moved = [*documents[:at], *documents[at : at + 2][::-1], *documents[at + 2 :]]
        if moved[-1]["type"] == "end":
            changes.append((("moved",), moved))
        for name, wrong in changes:
            lines = sealed_month(wrong)
            if not refused(tools, lambda lines=lines: tools[1].verify(lines, keys)):
                missed.add(name)

    assert not missed - NOT_PROVED


@pytest.mark.extended
def test_another_implementation_in_another_language_agrees() -> None:
    command = ["node", str(Path(__file__).with_name("vectors.mjs")), str(VECTORS_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)

    assert (done.returncode, found["problems"]) == (0, [])
    assert found["checked"]["rating"] == len(VECTORS["ratings"])
    assert found["checked"]["receipt"] == len(VECTORS["receipts"])


@pytest.mark.parametrize("tool", sorted(path.name for path in TOOLS.glob("*.py")))
def test_a_verifier_is_short_and_imports_nothing_of_perminute(tool: str) -> None:
    text = (TOOLS / tool).read_text("utf-8")

    assert len(text.splitlines()) < 150
    assert not any(name in text for name in ("import shared", "from shared", "socket", "urllib"))
