"""Every code that the API returns and the console shows has a French text."""

import re
from enum import StrEnum
from http import HTTPStatus

from local.stack import ROOT
from shared.domain.charging.rerating import SkipReason
from shared.domain.common.kinds import LegKind, ServiceNumberKind
from shared.domain.common.money import RoundingMode
from shared.domain.credits.alerts import EVENT_TYPES
from shared.domain.credits.lots import LotKind
from shared.domain.credits.recharge import RechargeStatus
from shared.domain.dial_out.budgets import Scope
from shared.domain.dial_out.facts import CheckOutcome, Reason
from shared.domain.dial_out.policy import License
from shared.domain.directory.entities import OnOutage
from shared.domain.ledger.model import EntryKind
from shared.domain.legs.parking import WAYS_OUT, ParkReason, ParkStatus
from shared.domain.numbers.classes import NumberClass
from shared.domain.operations.status import Status
from shared.domain.rating.lint import LintCode
from shared.domain.rating.rating import ChargeLineKind
from shared.ports.audit import Action
from shared.usecases.directory.codecs import Kind

SHOWN: tuple[type[StrEnum], ...] = (
    *(Action, ChargeLineKind, EntryKind, Kind, LegKind, License, LintCode, LotKind, NumberClass),
    *(OnOutage, CheckOutcome, ParkReason, ParkStatus, Reason, RechargeStatus, RoundingMode, Scope),
    *(ServiceNumberKind, Status, SkipReason),
)
STATUS = ROOT / "shared" / "usecases" / "operations" / "read_status.py"
FORMAT = (ROOT / "console" / "src" / "format.ts").read_text("utf-8")
[_LINE] = [line for line in FORMAT.splitlines() if line.startswith("const SPELLED")]
SPELLED = dict(re.findall(r'(\w+): "([^"]+)"', _LINE))


def words(code: str) -> str:
    """As `words` of console/src/format.ts."""
    text = SPELLED.get(code, code.replace("_", " "))
    return text[:1].upper() + text[1:]


def test_every_code_has_a_french_text() -> None:
    french = (ROOT / "console" / "src" / "fr.ts").read_text("utf-8")
    known = set(re.findall(r'^  "((?:[^"\\]|\\.)*)":', french, re.MULTILINE))
    codes = {member.value for each in SHOWN for member in each}
    codes |= {each.replace(".", "_") for each in EVENT_TYPES}
    codes |= set(re.findall(r'Reason\(\s*"([a-z_]+)"', STATUS.read_text("utf-8")))
    assert len(codes) > 100
    assert sorted(words(each) for each in codes if words(each) not in known) == []
    assert set(WAYS_OUT.values()) <= known


def test_each_translated_sentence_is_one_of_the_api() -> None:
    sources = "".join(path.read_text("utf-8") for path in sorted(ROOT.glob("shared/**/*.py")))
    sources = re.sub(r'"\s*\n\s*f?"', "", sources).replace("')} ", " ")  # a counted noun
    french = (ROOT / "console" / "src" / "fr.ts").read_text("utf-8").partition("const said")[2]
    sentences = re.findall(r'^  "((?:[^"\\]|\\.)*)":', french, re.MULTILINE)
    fixed = [part.strip() for each in sentences for part in re.split(r"\{\w+\}", each)]
    phrases = {status.phrase for status in HTTPStatus}
    parts = [part for part in fixed if len(part) > len("1 dead letter") and part not in phrases]
    assert len(parts) > 40
    assert [part for part in parts if part not in sources] == []
