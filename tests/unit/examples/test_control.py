"""docs/examples/control.py: signatures, repetitions, retries and extensions."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from threading import Event, Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from shared.domain.calls.call_control import EndReason
from tests.support.client import signed

SECRET, OTHER = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_" + "QUJD" * 12
type Example = Callable[[str], ModuleType]


class Calls:
    """A bridge whose next actions raise the errors of `failures`, if any are left."""

    def __init__(self, elapsed: float | None = 100.0) -> None:
        self.done: list[tuple[str, Any]] = []
        self.failures: list[OSError] = []
        self._elapsed = elapsed

    def end(self, call: dict[str, Any]) -> bool:
        self._fail()
        self.done.append(("end", call["authorization"]))
        return True

    def elapsed(self, call: dict[str, Any]) -> float | None:
        self._fail()
        return self._elapsed

    def set_end(self, call: dict[str, Any], seconds: float) -> bool:
        self.done.append(("set_end", round(seconds)))
        return True

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


class Perminute:
    """Grants `granted` seconds, or raises."""

    def __init__(self, granted: int | OSError) -> None:
        self.granted = granted
        self.requested: list[tuple[str, int]] = []

    def extend(self, authorization: str, seconds: int) -> dict[str, Any]:
        self.requested.append((authorization, seconds))
        if isinstance(self.granted, OSError):
            raise self.granted
        return {"decision": "allow", "granted_seconds": self.granted}


@pytest.fixture(autouse=True)
def no_pause(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example("control"), "PAUSE_SECONDS", 0)


def event(kind: str = "call.end", **data: Any) -> bytes:
    """An event as docs/calls-in-progress.md shows it."""
    values = {"authorization": "au_1.contoso", "leg_id": "7", "conference": "3001"}
    values |= {"seconds_left": 0} | data
    envelope = {"specversion": "1.0", "id": f"au_1.contoso:{len(data)}:{kind}", "type": kind}
    return json.dumps(envelope | {"data": values}).encode()


def control(example: Example, calls: Calls, **words: Any) -> Any:
    return example("control").Control(calls, [SECRET], **words)


def test_an_end_hangs_up_once_however_often_it_comes(example: Example) -> None:
    calls = Calls()
    adapter, body = control(example, calls), event(reason=EndReason.DIAL_OUT_STOPPED)
    statuses = [adapter.handle(signed(SECRET, body), body) for _ in range(3)]
    assert statuses == [204, 204, 204]
    assert calls.done == [("end", "au_1.contoso")]


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields | {"webhook-signature": "v1,AAAA"},
        lambda fields: fields | {"webhook-signature": "v1,é"},
        lambda fields: fields | {"webhook-signature": ""},
        lambda fields: fields | {"webhook-id": "another"},
        lambda fields: fields | {"webhook-timestamp": "soon"},
        lambda fields: fields | {"webhook-timestamp": "9" * 400},
        lambda fields: {name: fields[name] for name in fields if name != "webhook-id"},
        lambda fields: {},
        lambda fields: signed(OTHER, event()),
        lambda fields: signed(SECRET, event(), at=time.time() - 301),
        lambda fields: signed(SECRET, event(), at=time.time() + 301),
        lambda fields: signed(SECRET, event() + b" "),
    ],
)
def test_what_is_not_signed_by_perminute_now_is_refused(
    example: Example, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    calls = Calls()
    assert control(example, calls).handle(change(signed(SECRET, event())), event()) == 401
    assert calls.done == []


def test_two_secrets_are_valid_while_they_change(example: Example) -> None:
    calls = Calls()
    adapter = example("control").Control(calls, [OTHER, SECRET])
    fields = signed(SECRET, event())
    fields["webhook-signature"] = f"v1,AAAA v2,BBBB {fields['webhook-signature']}"
    assert adapter.handle(fields, event()) == 204


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"type": "call.end", "data": 1, "id": 1}'])
def test_what_is_no_event_is_400(example: Example, body: bytes) -> None:
    assert control(example, Calls()).handle(signed(SECRET, body), body) == 400


def test_a_bridge_that_fails_is_tried_again_then_by_perminute(example: Example) -> None:
    calls = Calls()
    calls.failures = [OSError("busy")] * 5
    adapter = control(example, calls)
    statuses = [adapter.handle(signed(SECRET, event()), event()) for _ in range(2)]
    assert statuses == [503, 204]
    assert calls.done == [("end", "au_1.contoso")]


def test_a_slow_bridge_holds_no_other_call_up(example: Example) -> None:
    control = example("control")
    is_waiting, may_go_on = Event(), Event()

    class Slow(Calls):
        def end(self, call: dict[str, Any]) -> bool:
            if call["authorization"] == "au_slow.1":
                is_waiting.set()
                may_go_on.wait(30)
            return super().end(call)

    calls = Slow()
    receiver = control.Control(calls, [SECRET])
    locks = {hash(f"au_{each}.1") % control.LOCKS: f"au_{each}.1" for each in range(200)}
    locks.pop(hash("au_slow.1") % control.LOCKS, None)
    other = next(iter(locks.values()))

    def ended(authorization: str) -> int:
        data = {"authorization": authorization, "reason": "dial_out_stopped"}
        body = json.dumps({"id": authorization, "type": "call.end", "data": data}).encode()
        return int(receiver.handle(signed(SECRET, body), body))

    slow = Thread(target=ended, args=("au_slow.1",))
    slow.start()
    try:
        assert is_waiting.wait(30)
        assert ended(other) == 204
    finally:
        may_go_on.set()
        slow.join(30)
    assert calls.done == [("end", other), ("end", "au_slow.1")]


def test_a_warning_extends_and_moves_the_end(example: Example) -> None:
    calls, perminute = Calls(elapsed=840.4), Perminute(1740)
    adapter = control(example, calls, perminute=perminute, extend_seconds=900)
    body = event("call.warning", seconds_left=60)
    assert adapter.handle(signed(SECRET, body), body) == 204
    assert perminute.requested == [("au_1.contoso", 1740)]
    assert calls.done == [("set_end", 900)]


def test_a_call_that_rings_is_extended_when_it_was_answered(example: Example) -> None:
    calls, perminute = Calls(elapsed=2), Perminute(902)
    calls.failures = [OSError("not answered yet")] * 3
    adapter = control(example, calls, perminute=perminute, extend_seconds=900)
    body = event("call.warning", seconds_left=4)
    assert [adapter.handle(signed(SECRET, body), body) for _ in range(2)] == [503, 204]
    assert calls.done == [("set_end", 900)]


@pytest.mark.parametrize("code", [404, 409, 422])
def test_a_call_that_is_not_extended_keeps_its_end(example: Example, code: int) -> None:
    refusal = urllib.error.HTTPError("http://x", code, "", {}, None)  # type: ignore[arg-type]
    calls = Calls()
    adapter = control(example, calls, perminute=Perminute(refusal), extend_seconds=900)
    body = event("call.warning")
    assert adapter.handle(signed(SECRET, body), body) == 204
    assert calls.done == []


def test_a_call_that_ended_is_not_extended(example: Example) -> None:
    perminute = Perminute(1)
    adapter = control(example, Calls(elapsed=None), perminute=perminute, extend_seconds=900)
    body = event("call.warning")
    assert adapter.handle(signed(SECRET, body), body) == 204
    assert perminute.requested == []


def test_other_events_change_nothing(example: Example) -> None:
    calls, body = Calls(), event("call.started")
    assert control(example, calls).handle(signed(SECRET, body), body) == 204
    assert calls.done == []


def test_the_server_takes_events_and_no_others(example: Example) -> None:
    calls = Calls()
    with example("control").server(control(example, calls), "127.0.0.1:0") as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/control"
        statuses = []
        for body, fields in (
            (event(), signed(SECRET, event())),
            (event(), {}),
            (b"x" * 65_537, {}),
        ):
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(url, data=body, headers=fields), timeout=10
                ) as answer:
                    statuses.append(answer.status)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
            except urllib.error.URLError as error:  # it hung up on what it did not read
                statuses.append(SimpleNamespace(error=error) and 413)
        server.shutdown()
        thread.join()
    assert statuses == [204, 401, 413]
    assert calls.done == [("end", "au_1.contoso")]
