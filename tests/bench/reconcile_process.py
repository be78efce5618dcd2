"""`python -m tests.bench.reconcile_process`: read a file of 100,000 call records as Teams exports
them, reconcile it with as many legs, and print, as JSON, the seconds and the peak of this process
in MB."""

import csv
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.contracts.ledger.pstn_usage import PSTN_USAGE_COLUMNS
from shared.contracts.reconciliation.call_records import PRESETS, RecordForm
from shared.contracts.reconciliation.outcome import outcome_body
from shared.domain.common.canonical import format_time
from shared.domain.common.kinds import LegKind
from shared.domain.reconciliation.matching import Period, ProductLeg, reconcile

ROWS = 100_000
_START = datetime(2026, 11, 1, tzinfo=UTC)
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak_mb() -> float:
    """The peak of this process in MB since it was last reset."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text("ascii"), re.MULTILINE)
    assert found is not None, "Linux says it"
    return int(found[1]) / 1024


def reset_peak_mb() -> float:
    """Let the peak begin at what is held now; that in MB."""
    _CLEAR.write_text("5", "ascii")
    return peak_mb()


def _leg(number: int) -> ProductLeg:
    return ProductLeg(
        key=f"studio~{number}",
        kind=LegKind.DIAL_OUT,
        number=f"+4420{number % 10**8:08}",
        caller="+33170180042",
        answered_at=_START + timedelta(seconds=25 * number),
        seconds=30 + number % 900,
        amounts={"USD": 12_000 + number % 1_000},
    )


def _export() -> bytes:
    """A row of every leg; each hundredth is without its id, each thousandth is missing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, PSTN_USAGE_COLUMNS, restval="")
    writer.writeheader()
    for number in range(ROWS):
        leg = _leg(number)
        micros = leg.amounts["USD"]
        if number % 1_000 == 999:
            continue
        writer.writerow(
            {
                "UsageId": f"usage-{number}",
                "Call ID": "" if number % 100 == 0 else str(number),
                "Call Type": "conf_out",
                "Caller ID": leg.number,
                "Start Time": format_time(leg.answered_at),
                "End Time": format_time(leg.answered_at + timedelta(seconds=leg.seconds)),
                "Duration Seconds": leg.seconds,
                "Connection Fee": "0",
                "Charge": f"{micros // 10**6}.{micros % 10**6:06}",
                "Currency": "USD",
            }
        )
    return text.getvalue().encode()


def main() -> None:
    """Measure once."""
    file = _export()
    reset_peak_mb()
    started = time.perf_counter()
    found = RecordForm(PRESETS["teams-pstn"], file).read()
    legs = list(map(_leg, range(ROWS)))
    period = Period(_START, _START + timedelta(days=30))
    outcome = reconcile(found.records, legs, found.tolerance, period, "USD")
    body = outcome_body(outcome, "USD")
    seconds = time.perf_counter() - started
    assert body["matched"] == ROWS * 999 // 1_000, body["matched"]
    print(json.dumps({"seconds": seconds, "mb": peak_mb()}))


if __name__ == "__main__":
    main()
