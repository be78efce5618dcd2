"""What processes write down while they run, and what an auditor makes of it.

A history file has a JSON line when an operation is sent and one when it is answered, as Jepsen's
have: an operation that was sent and never answered is `info`, it happened once or not at all.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from tests.support.client import Answer, Json


def now_text() -> str:
    """The time, for a history."""
    return datetime.now(UTC).isoformat()


@dataclass(slots=True)
class History:
    """Writes one process's operations. A line is on its way to the disk before the next step."""

    file: IO[str]
    process: str
    _count: int = 0

    def sent(self, op: str, account: str, request: Json) -> int:
        """An operation begins; the number that its answer has to name."""
        self._count += 1
        self._write({"type": "sent", "op": op, "account": account, "request": request}, self._count)
        return self._count

    def answered(self, number: int, outcome: str, result: Json | None) -> None:
        """It was answered: `ok`, `fail` or `info`."""
        self._write({"type": outcome, "result": result if outcome == "ok" else None}, number)

    def note(self, **fields: Any) -> None:
        """Anything else that a parent wants to know."""
        self._write({"type": "note", **fields}, 0)

    def _write(self, fields: Json, number: int) -> None:
        line = {"process": self.process, "number": number, "at": now_text(), **fields}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


@dataclass(slots=True)
class Read:
    """What histories say: operations as the auditor wants them, and notes."""

    operations: list[Json] = field(default_factory=list)
    notes: list[Json] = field(default_factory=list)


def read(paths: Iterable[Path]) -> Read:
    """All histories together, in the order of what was sent."""
    found = Read()
    for path in paths:
        sent: dict[tuple[str, int], Json] = {}
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            place = (line["process"], line["number"])
            if line["type"] == "note":
                found.notes.append(line)
            elif line["type"] == "sent":
                sent[place] = {
                    "op": line["op"],
                    "account": line["account"],
                    "request": line["request"],
                    "outcome": "info",
                    "result": None,
                    "began": line["at"],
                    "at": line["at"],
                    "process": line["process"],
                }
                found.operations.append(sent[place])
            else:
                sent[place] |= {
                    "outcome": line["type"],
                    "result": line["result"],
                    "at": line["at"],
                }
    end = max((op["at"] for op in found.operations), default="")
    for op in found.operations:
        if op["outcome"] == "info" and op["at"] == op["began"]:
            op["at"] = end  # its caller never gave up: it died
    found.operations.sort(key=lambda op: str(op["began"]))
    return found


def outcome_of(answer: Answer) -> str:
    """What an answer proves: 2xx happened, 4xx did not, anything else is open."""
    if answer.status < 300:
        return "ok"
    return "fail" if answer.status < 500 else "info"
