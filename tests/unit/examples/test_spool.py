"""docs/examples/spool.py: nothing is lost by an outage, a kill or a poisoned file."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.client import basic
from tests.unit.examples.conftest import EXAMPLES, Vendor

type Example = Callable[[str], ModuleType]
LEG = {"uniqueid": "ast1-1.1"}


def client(example: Example, url: str, secret: str = "a secret") -> object:
    return example("perminute").Perminute(f"{url}/api/v1", "pbx1", "pbx1", secret)


def test_posts_go_out_in_order_and_are_then_gone(
    example: Example, vendor: Vendor, tmp_path: Path
) -> None:
    spool = example("spool").Spool(tmp_path)
    for number in range(3):
        spool.put("call-ended", LEG | {"number": number})
    assert spool.post_all(client(example, vendor.url)) < 0
    assert [json.loads(body)["number"] for _, _, _, body in vendor.requests] == [0, 1, 2]
    _, path, fields, _ = vendor.requests[0]
    assert path == "/api/v1/bridges/pbx1/call-ended"
    assert fields["authorization"] == basic("pbx1", "a secret")["authorization"]
    assert spool.waiting() == []


def test_an_outage_keeps_everything_and_a_refusal_keeps_no_one_waiting(
    example: Example, vendor: Vendor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = example("spool").Spool(tmp_path)
    for number in range(3):
        spool.put("call-ended", LEG | {"number": number})
    assert spool.post_all(client(example, "http://127.0.0.1:9")) == 0
    assert len(spool.waiting()) == 3
    vendor.answers = [(503, b""), (422, b'{"code": "invalid"}'), (202, b"{}")]
    assert spool.post_all(client(example, vendor.url)) == 0
    assert len(spool.waiting()) == 1
    assert len(list(spool.refused.iterdir())) == 1
    assert "422" in capsys.readouterr().err
    assert spool.post_all(client(example, vendor.url)) < 0
    assert len(vendor.requests) == 4


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502])
def test_what_may_succeed_later_is_kept(
    example: Example, vendor: Vendor, tmp_path: Path, status: int
) -> None:
    spool = example("spool").Spool(tmp_path)
    spool.put("call-ended", LEG)
    vendor.answers = [(status, b"")]
    assert spool.post_all(client(example, vendor.url)) == 0
    assert len(spool.waiting()) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'["call-ended"]', b"\xff", b"7"])
def test_a_file_that_is_no_post_is_put_aside(
    example: Example, vendor: Vendor, tmp_path: Path, content: bytes
) -> None:
    spool = example("spool").Spool(tmp_path)
    (tmp_path / "0.json").write_bytes(content)
    spool.put("call-ended", LEG)
    assert spool.post_all(client(example, vendor.url)) < 0
    assert len(vendor.requests) == 1
    assert [path.name for path in spool.refused.iterdir()] == ["0.json"]


def test_a_post_is_whole_or_not_there(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before the rename leaves no file that a spooler would read."""
    spool = example("spool").Spool(tmp_path)

    def crash(_: int) -> None:
        raise SystemExit("power failure")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(SystemExit):
        spool.put("call-ended", LEG)
    assert spool.waiting() == []


def test_a_killed_spooler_posts_again_what_it_may_have_posted(
    example: Example, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = example("spool").Spool(tmp_path)
    spool.put("call-ended", LEG)

    def crash(*_: object, **__: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crash)
        with pytest.raises(SystemExit):
            spool.post_all(client(example, vendor.url))
    assert spool.post_all(client(example, vendor.url)) < 0
    assert [body for _, _, _, body in vendor.requests] == [json.dumps(LEG).encode()] * 2


KILLED = """
import os, signal, sys
examples, folder, url, step = sys.argv[1:]
sys.path.insert(0, examples)
import perminute, spool
left = int(step)
def trace(frame, event, _):
    global left
    if frame.f_code.co_filename != spool.__file__:
        return None
    left -= event == "line"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return trace
kept = spool.Spool(folder)
client = perminute.Perminute(url + "/api/v1", "pbx1", "pbx1", "a secret")
sys.settrace(trace)
kept.put("call-ended", {"uniqueid": step})
print("kept", flush=True)
kept.post_all(client)
sys.settrace(None)
"""


@pytest.mark.extended
def test_a_kill_at_any_line_loses_no_post(
    example: Example, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at each line of `put` and `post_all`, until both end before it."""
    module = example("spool")
    monkeypatch.setattr(module, "UNFINISHED_SECONDS_MAX", -1.0)
    spool, killed = module.Spool(tmp_path), 0
    for step in range(1, 100):
        words = [sys.executable, "-c", KILLED, str(EXAMPLES), str(tmp_path), vendor.url, str(step)]
        done = subprocess.run(words, capture_output=True, timeout=60, check=False)
        assert done.returncode in {0, -9}, done.stderr
        assert spool.post_all(client(example, vendor.url)) < 0
        assert [path for path in tmp_path.rglob("*.json") if path.parent != spool.refused] == []
        posted = [json.loads(body)["uniqueid"] for _, _, _, body in vendor.requests]
        assert str(step) in posted or done.stdout != b"kept\n"
        if done.returncode == 0:
            break
        killed += 1
    assert killed > 20


def test_a_signing_bridge_signs_each_try(example: Example, vendor: Vendor, tmp_path: Path) -> None:
    secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    spool = example("spool").Spool(tmp_path)
    spool.put("call-ended", LEG)
    spool.post_all(client(example, vendor.url, secret))
    _, _, fields, body = vendor.requests[0]
    control = example("control").Control(None, [secret])
    assert control.handle(fields, body) == 400  # a signature that is right, a body that is no event
    assert "authorization" not in fields


def test_the_program_ends_with_0_where_nothing_is_left(vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(json.dumps(["call-ended", LEG, ""]))
    environment = os.environ | {
        "PERMINUTE_URL": f"{vendor.url}/api/v1",
        "PERMINUTE_BRIDGE": "pbx1",
        "PERMINUTE_SECRET": "a secret",
    }
    words = [sys.executable, str(EXAMPLES / "spool.py"), "--once", str(tmp_path)]
    vendor.answers = [(503, b""), (202, b"")]
    codes = [
        subprocess.run(words, env=environment, timeout=60, check=False).returncode for _ in range(2)
    ]
    assert codes == [1, 0]


def test_a_question_whose_answer_was_lost_is_withdrawn(
    example: Example, vendor: Vendor, tmp_path: Path
) -> None:
    """Under its key, which finds the hold of the first try; a release that fails comes again."""
    spool = example("spool").Spool(tmp_path)
    spool.put("dial-outs", {"to": "+442079460123"}, "a-key")
    allowed = (200, json.dumps({"decision": "allow", "authorization": "au_1.contoso"}).encode())
    vendor.answers = [allowed, (503, b""), allowed, (200, b"{}")]
    assert spool.post_all(client(example, vendor.url)) == 0
    assert spool.post_all(client(example, vendor.url)) < 0
    paths = [path.rpartition("pbx1/")[2] for _, path, _, _ in vendor.requests]
    assert paths == ["dial-outs", "dial-outs/au_1.contoso/release"] * 2
    assert vendor.requests[0][2]["idempotency-key"] == "a-key"


def test_a_file_that_can_not_be_read_keeps_no_other_waiting(
    example: Example, vendor: Vendor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = example("spool").Spool(tmp_path)
    (tmp_path / "0.json").mkdir()
    spool.put("call-ended", LEG)
    assert spool.post_all(client(example, vendor.url)) == 0
    assert len(vendor.requests) == 1
    assert "0.json can't be read" in capsys.readouterr().err
