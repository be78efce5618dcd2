"""The page of limits: every bound of shared/domain/common/limits.py."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from shared.domain.common import limits
from tests.docs.markdown import code, page, table

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "shared" / "domain" / "common" / "limits.py"
MEANINGS = Path(__file__).with_name("limit_meanings.txt")
_MEANING = re.compile(r"([A-Z][A-Z0-9_]*)(?: \[(.+)\])?: (.+\.)")
_KIB = 1024
_NAME = re.compile(r"[A-Z][A-Z0-9_]+")
MET = {
    "CALL_ENDED_BODY_BYTES_MAX": ("body of a post of ended calls", "413 `too_large`"),
    "CALL_ENDED_LEGS_MAX": ("legs of a post of ended calls", "413 `too_large`"),
    "RATE_CARD_BODY_BYTES_MAX": ("body of a rate card or deck", "413 `too_large`"),
    "BODY_BYTES_MAX": ("every other body", "413 `too_large`"),
    "JSON_DEPTH_MAX": ("levels of a JSON body", "400 `json_invalid`"),
    "JSON_NUMBER_CHARS_MAX": ("digits of a JSON number", "400 `json_invalid`"),
    "JSON_MEMBERS_MAX": ("members of an object of an organizer's or account's body",
                         "400 `json_invalid`"),
    "JSON_ITEM_CHARS_MAX": ("text of one rate of a JSON card, or row of a JSON deck",
                            "400 `json_invalid`"),
    "LIST_ITEMS_DEFAULT": ("items of a page without `limit`", "a page with `next`"),
    "LIST_ITEMS_MAX": ("`limit`", "422 `query_invalid`"),
    "FIELD_ERRORS_MAX": ("`errors` of one problem document", "further errors are left out"),
    "FOREIGN_ID_CHARS_MAX": ("ids of legs, conferences and organizers", "422 `invalid`"),
    "IDEMPOTENCY_KEY_CHARS_MAX": ("`Idempotency-Key`", "400 `idempotency_key_invalid`"),
    "AMOUNT_DECIMALS_MAX": ("decimals of an amount", "422 `invalid`"),
    "PRICE_DECIMALS_MAX": ("decimals of a price", "422 `invalid`"),
    "AMOUNT_UNITS_MAX": ("an amount, in currency units", "422 `invalid`"),
    "LEG_SECONDS_MAX": ("duration of a leg", "parked as `inconsistent`"),
    "LEG_FUTURE_SECONDS_MAX": ("end of a leg after the present time", "parked as `inconsistent`"),
    "LEG_TALK_TOLERANCE_SECONDS": ("difference between `talk_seconds` and the times",
                                   "parked as `inconsistent`"),
    "WEBHOOK_TOLERANCE_SECONDS": ("age of a signature, and a clock that is ahead",
                                  "401 `not_authenticated`"),
    "OPEN_LOTS_MAX": ("open lots of an account", "409 `too_many_lots`"),
    "ALERT_RULES_MAX": ("alert rules of an account", "422 `invalid`"),
    "OPEN_HOLDS_MAX": ("open holds of an account", "`deny`, reason `too_many_calls`"),
    "DIAL_OUT_CONCURRENT_DEFAULT": ("concurrent dial-outs of an account without a policy",
                                    "`deny`"),
    "DIAL_OUTS_PER_HOUR_DEFAULT": ("dial-outs an hour of an account without a policy", "`deny`"),
    "REGISTRATIONS_MAX": ("owners that a conference or number may have had",
                          "409 `too_many_registrations`"),
    "RATE_CARD_RATES_MAX": ("rates of a version of a rate card", "422 `invalid`"),
    "RATE_CARD_VERSIONS_MAX": ("versions of a rate card", "409 `too_many_versions`"),
    "RATE_CARD_AHEAD_SECONDS": ("time by which a version is put ahead",
                                "422 `effective_from_too_soon`, 409 `version_frozen`"),
    "RATE_CARD_ERRORS_MAX": ("`errors` of one import", "the import ends"),
    "RATE_SLOTS_MAX": ("slots of a rate or time band", "422 `invalid`"),
    "RATE_BANDS_MAX": ("time bands of a rate", "422 `invalid`"),
    "DECK_CPU_SECONDS_MAX": ("processor time of one import", "422 `deck_too_costly`"),
    "DECK_LINES_MAX": ("lines of a deck", "413 `too_large`"),
    "DECK_COLUMNS_MAX": ("columns of a deck", "422 `invalid`"),
    "DECK_PREFIXES_PER_CELL_MAX": ("prefixes of a cell", "422 `invalid`"),
    "DECK_RANGE_PREFIXES_MAX": ("prefixes of all ranges of a deck", "422 `invalid`"),
    "QUOTED_LENGTHS_MAX": ("lengths of a table of quotes", "422 `invalid`"),
    "RERATE_LEGS_MAX": ("legs of one request to re-rate", "a part with `next`"),
    "RECONCILIATION_ROWS_MAX": ("rows of a file of call records", "413 `too_large`"),
    "PARKED_BULK_MAX": ("parked legs of one replay or dismissal", "the answer counts the rest"),
    "WHAT_IF_LEGS_MAX": ("legs of one what-if", "a part with `next`"),
    "API_KEY_ACCOUNTS_MAX": ("accounts of an API key", "422 `invalid`"),
    "BRIDGE_ACCOUNTS_MAX": ("accounts of a bridge", "422 `invalid`"),
    "BRIDGE_SECRETS_MAX": ("secrets of a bridge", "422 `invalid`"),
    "WEBHOOKS_MAX": ("webhooks of an account", "409 `too_many_webhooks`"),
    "WEBHOOK_LIFE_SECONDS": ("time for which a delivery is attempted", "the delivery is given up"),
    "WEBHOOK_SECONDS_MAX": ("time in which a receiver answers", "the delivery is repeated"),
    "NAME_CHARS_MAX": ("names of accounts, keys and the like", "422 `invalid`"),
    "REASON_CHARS_MAX": ("`reason` and `note`", "422 `invalid`"),
    "REFERENCE_CHARS_MAX": ("`reference`", "422 `invalid`"),
    "ACCOUNT_EMAILS_MAX": ("mail addresses of an account", "422 `invalid`"),
    "POLICY_GROUPS_MAX": ("groups of a dial-out policy", "422 `invalid`"),
    "POLICY_LIST_MAX": ("items of a list of a dial-out policy", "422 `invalid`"),
    "CALLER_REQUESTS_PER_SECOND": ("requests of an API key or principal, in each process",
                                   "429 `rate_limited`"),
    "CALLER_WORK_PER_SECOND": ("rows or KiB that a caller reads, in each process",
                               "429 `rate_limited`"),
    "BRIDGE_REQUESTS_PER_SECOND": ("requests of a bridge, in each process",
                                   "429 `rate_limited`"),
    "BUDGET_BURST_SECONDS": ("budget that may be used at once", "429 `rate_limited`"),
    "REPORT_SECONDS_MAX": ("time of one report", "429 `rate_limited`"),
    "REPORT_WAIT_SECONDS_MAX": ("time for which a report waits for its turn",
                                "429 `rate_limited`"),
    "LATE_LEG_HOURS": ("age of a leg that is not flagged `late`", "the flag `late`"),
    "DENIALS_KEPT_DAYS": ("age of a denial that is listed", "the denial is deleted"),
}  # fmt: skip
"""Limits that callers meet: the limited quantity, and the answer beyond the limit."""
HOST = {"CALL_ENDED_BATCH_MAX": "host.json"}
"""Limits that a file other than a module reads; tests/infra compares both."""
_UNITS = (
    ("_BYTES", "bytes"), ("_CHARS", "characters"), ("_UTF16", "UTF-16 code units"),
    ("_PICOS", "picos"), ("_PER_SECOND", "per second"), ("_PER_MINUTE", "per minute"),
    ("_PER_DAY", "per day"), ("_PER_MONTH", "per month"), ("_PER_HOUR", "per hour"),
    ("_SECONDS", "seconds"), ("_MINUTES", "minutes"), ("_HOURS", "hours"), ("_DAYS", "days"),
    ("_MONTHS", "months"), ("_DECIMALS", "decimals"), ("_PERCENT", "per cent"),
    ("_UNITS", "currency units"),
)  # fmt: skip


@cache
def sections() -> dict[str, list[str]]:
    """The names of the limits by the heading above them in the source."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in SOURCE.read_text("utf-8").splitlines():
        if line.startswith("# "):
            heading = re.sub(r" \(.*\)", "", line[2:])
        elif match := re.match(r"([A-Z][A-Z0-9_]*) = ", line):
            found.setdefault(heading, []).append(match[1])
    return found


@cache
def _uses() -> dict[str, list[str]]:
    """The modules that read each limit."""
    names = {name for section in sections().values() for name in section}
    found: dict[str, list[str]] = {}
    for folder in ("shared", "functions", "local"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path == SOURCE or "node_modules" in path.parts:
                continue
            text = path.read_text("utf-8")
            if "limits" in text:
                for name in names.intersection(_NAME.findall(text)):
                    found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    return found


@cache
def meanings() -> dict[str, tuple[str, str]]:
    """(unit, or nothing where the name has it; meaning) by name. Raises ValueError."""
    found: dict[str, tuple[str, str]] = {}
    for line in MEANINGS.read_text("utf-8").splitlines():
        match = _MEANING.fullmatch(line)
        if match is None or match[1] in found:
            raise ValueError(f"limit_meanings.txt: {line}")
        found[match[1]] = match[2] or "", match[3]
    return found


def unit_of(name: str) -> str:
    """The unit of a limit, from its name or its meaning."""
    own, _ = meanings().get(name, ("", ""))
    return own or next((unit for part, unit in _UNITS if part in name), "")


def value_text(name: str) -> str:
    """A limit with its unit."""
    value: Any = getattr(limits, name)
    values = value if isinstance(value, tuple) else (value,)
    unit = unit_of(name)
    if unit == "bytes":
        return ", ".join(map(_bytes, values))
    return f"{', '.join(f'{each:,}' for each in values)} {unit}".strip()


def _bytes(value: int) -> str:
    for size, unit in ((_KIB * _KIB, "MiB"), (_KIB, "KiB")):
        if value >= size and value % size == 0:
            return f"{value // size} {unit}"
    return f"{value:,} bytes"


def pages() -> dict[str, str]:
    """The text of docs/reference/limits.md."""
    met = [(what, value_text(name), beyond, code(name)) for name, (what, beyond) in MET.items()]
    lines = ["## Limits that callers meet", ""]
    lines += table(("limit of", "value", "beyond the limit", "name"), met)
    lines += ["## All limits", ""]
    for heading, names in sections().items():
        rows = [(code(name), value_text(name), meanings().get(name, ("", ""))[1]) for name in names]
        lines += [f"### {heading}", "", *table(("name", "value", "meaning"), rows)]
    about = """
Every bound of the product has a name in `shared/domain/common/limits.py`. Limits are constants: a
deployment cannot change them, except the three budgets that are [settings](settings.md)."""
    return {"docs/reference/limits.md": page("Limits", about, lines)}


def is_used(name: str) -> bool:
    """True if a module, or another limit, reads the limit."""
    text = SOURCE.read_text("utf-8")
    if name in HOST:
        return True
    return name in _uses() or len(re.findall(rf"\b{name}\b", text)) > 1
