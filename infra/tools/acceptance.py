"""`python -m infra.tools.acceptance --url URL [--report FILE]`: the hour after a first deployment.

The steps: health and status, 1,000 legs, the same legs as a storm of duplicates, the latency of
dial-outs, a stop of dial-outs, an alert, a verified ledger and a receipt. The command needs the
address of a deployment and an administrator's key in PERMINUTE_KEY. It creates all resources under
a name of this run, so you can repeat it. It writes a report in Markdown and returns exit code 1 if
a step fails. It needs the standard library only.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.tools.smoke import (
    RATES,
    TO,
    VERSION,
    Answer,
    Deployment,
    SmokeError,
)

LEG_AMOUNT_MICROS = 200  # 61 seconds at 0.0001 a minute
POST_LEGS = 100
LEGS_MAX = 40_000  # 8 of the 10 dollars of credits
UNEXPECTED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""Answers in another form than the API's."""
STORM_COPIES = 5
AT_ONCE = 8
CHARGED_SECONDS_MAX = 600.0
DIAL_OUTS = 90
DIAL_OUT_MS_MAX = 500.0
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step: its name, whether it passed, and the figure or the failure in a sentence."""

    step: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Run:
    """A deployment and the names of this run. `legs` is how many legs are charged."""

    deployment: Deployment
    name: str
    secret: str
    legs: int

    @property
    def account(self) -> str:
        """Path of the account."""
        return f"v1/accounts/{self.name}"

    def signed(self, path: str, message_id: str, content: object) -> Answer:
        """A request as the bridge sends it. Raises SmokeError without an answer."""
        body = json.dumps(content).encode()
        now = str(int(time.time()))
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        proof = hmac.new(key, f"{message_id}.{now}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": now,
            "webhook-signature": "v1," + base64.b64encode(proof).decode(),
        }
        return self.deployment.send("POST", f"v1/bridges/{self.name}/{path}", body, headers)

    def dial_out(self, number: int) -> Answer:
        """A request for a call of five minutes."""
        body = {"conference_id": self.name, "to": TO, "requested_seconds": 300}
        return self.signed("dial-outs", f"{self.name}-dial-{number}", body)


def main(arguments: list[str] | None = None) -> int:
    """Run all steps and write the report. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.acceptance")
    parser.add_argument("--url", default=os.environ.get("PERMINUTE_URL"), help="of the deployment")
    parser.add_argument("--legs", type=int, default=1_000, help=f"1 to {LEGS_MAX:,}")
    parser.add_argument("--report", type=Path, default=Path("build/acceptance.md"))
    options = parser.parse_args(arguments)
    if not options.url or not os.environ.get("PERMINUTE_KEY"):
        parser.error("--url (or PERMINUTE_URL) and PERMINUTE_KEY are needed")
    if not 1 <= options.legs <= LEGS_MAX:
        parser.error(f"--legs is 1 to {LEGS_MAX:,}")
    try:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text("", "utf-8")
    except OSError as error:
        parser.error(f"--report can not be written: {error}")
    try:
        deployment = Deployment(options.url, os.environ["PERMINUTE_KEY"].strip())
        outcomes = accept(deployment, options.legs)
    except (SmokeError, *UNEXPECTED) as error:
        outcomes = [Outcome("prepare", False, f"{type(error).__name__}: {error}")]
        print(f"FAILED prepare: {outcomes[0].detail}")
    options.report.write_text(report(options.url, outcomes), "utf-8")
    print(f"{options.report} written")
    return 0 if all(each.passed for each in outcomes) else 1


def accept(deployment: Deployment, legs: int) -> list[Outcome]:
    """Every step, also after one that failed. Raises SmokeError where nothing can be prepared."""
    run = prepare(deployment, legs)
    outcomes = []
    for step in STEPS:
        name = step.__name__.strip("_").replace("_", " ")
        try:
            outcome = Outcome(name, True, step(run))
        except (SmokeError, *UNEXPECTED) as error:
            outcome = Outcome(name, False, f"{type(error).__name__}: {error}")
        print(f"{'ok    ' if outcome.passed else 'FAILED'} {outcome.step}: {outcome.detail}")
        outcomes.append(outcome)
    return outcomes


def prepare(deployment: Deployment, legs: int) -> Run:
    """Rate card, account with credits, bridge."""
    name = f"acceptance-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    deployment.must({201}, "PUT", f"v1/rate-cards/{name}/versions/{VERSION}", RATES)
    spent_micros = legs * LEG_AMOUNT_MICROS
    below = f"{(10_000_000 - spent_micros // 2) / 1_000_000:.4f}"
    settings = {
        "currency": "USD",
        "name": "Acceptance",
        "rate_card": name,
        "alerts": [{"name": "half", "below": below}],
    }
    deployment.must({201}, "PUT", f"v1/accounts/{name}", settings)
    credit = {"amount": "10.00", "kind": "granted", "reference": "acceptance"}
    key = {"idempotency-key": name}
    deployment.must({201}, "POST", f"v1/accounts/{name}/top-ups", credit, headers=key)
    for path, body in (
        (f"organizers/{name}", {"usage_location": "FR"}),
        (f"conferences/{name}", {"organizer": name}),
    ):
        deployment.must({201}, "PUT", f"v1/accounts/{name}/{path}", body)
    bridge = {"dialect": "perminute", "auth": {"scheme": "standard-webhooks"}, "accounts": [name]}
    made = deployment.must({201}, "PUT", f"v1/bridges/{name}", bridge)
    return Run(deployment, name, made.body["auth"]["secrets"][0], legs)


def health_and_status(run: Run) -> str:
    """Both answer, and name the release."""
    health = run.deployment.must({200}, "GET", "health").body
    status = run.deployment.must({200}, "GET", "v1/status").body
    if health["status"] == "failing" or status["queue"]["messages"] is None:
        raise SmokeError(f"health {health}, queue {status['queue']}")
    reasons = ", ".join(each["code"] for each in status["reasons"]) or "no reason"
    return f"version {health['version']}, {status['status']} ({reasons})"


def thousand_legs(run: Run) -> str:
    """Posted in posts of 100, then charged to the last micro."""
    started = time.monotonic()
    _post_all(run, "first")
    posted = time.monotonic() - started
    _wait_for_balance(run)
    charged = time.monotonic() - started
    return f"{run.legs} legs accepted in {posted:.1f} s, charged in {charged:.1f} s"


def storm_of_duplicates(run: Run) -> str:
    """The same legs again, several times at once: nothing more is charged."""
    before = run.deployment.must({200}, "GET", run.account).body["balance"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda copy: _post_all(run, f"copy-{copy}"), range(STORM_COPIES)))
    _wait_for_quiet(run)
    after = run.deployment.must({200}, "GET", run.account).body["balance"]
    if before != after:
        raise SmokeError(f"the balance was {before}, is {after}")
    return f"{run.legs * STORM_COPIES} repeated legs, balance {after} as before"


def dial_out_latency(run: Run) -> str:
    """Requests one after the other, as a caller sees them; an account may have 100 calls open."""
    spans = []
    for number in range(DIAL_OUTS):
        started = time.monotonic()
        answer = run.dial_out(number)
        spans.append((time.monotonic() - started) * 1_000)
        if answer.status != 200 or answer.body["decision"] != "allow":
            raise SmokeError(f"dial-out {number}: {answer.status} {answer.body}")
    spans.sort()
    median, p95 = spans[DIAL_OUTS // 2], spans[DIAL_OUTS * 95 // 100]
    if p95 > DIAL_OUT_MS_MAX:
        raise SmokeError(f"p95 is {p95:.0f} ms, the limit is {DIAL_OUT_MS_MAX:.0f} ms")
    return f"median {median:.0f} ms, p95 {p95:.0f} ms, slowest {spans[-1]:.0f} ms, network included"


def stop_of_dial_out(run: Run) -> str:
    """A stopped account is denied, a restarted one is not."""
    policy = f"{run.account}/dial-out-policy"
    run.deployment.must({200}, "POST", f"{policy}/stop", {"reason": "acceptance"})
    denied = run.dial_out(1_000).body
    run.deployment.must({200}, "POST", f"{policy}/restart", {})
    allowed = run.dial_out(1_001).body
    if (denied["decision"], allowed["decision"]) != ("deny", "allow"):
        raise SmokeError(f"stopped: {denied}, restarted: {allowed}")
    return f"denied with {denied['reason']}, allowed again after the restart"


def alert_of_low_credit(run: Run) -> str:
    """Half of the legs' cost crossed the threshold."""

    def low() -> list[Any]:
        items = run.deployment.must({200}, "GET", f"{run.account}/alerts").body["items"]
        return [each for each in items if each["type"] == "credits.low"]

    return f"{len(_eventually(low))} alert of the type credits.low"


def ledger_verified(run: Run) -> str:
    """The chain is recomputed."""
    found = run.deployment.must({200}, "GET", f"{run.account}/verify").body
    if not found["ok"] or found["legs"] != run.legs:
        raise SmokeError(f"{found['legs']} legs, problems: {found['problems']}")
    return f"{found['commits']} commits, {found['legs']} legs, balance {found['balance']}"


def receipt_of_a_leg(run: Run) -> str:
    """An interim receipt, whose key is published."""
    path = f"{run.account}/legs/{run.name}~leg-0/receipt?interim=true"
    receipt = run.deployment.must({200}, "GET", path).body
    keys = run.deployment.must({200}, "GET", "v1/proof-keys").body
    if not receipt or not keys:
        raise SmokeError("the receipt or the list of keys is empty")
    return f"a receipt of {len(json.dumps(receipt)):,} bytes; tools/verify_receipt.py checks it"


STEPS: Sequence[Callable[[Run], str]] = (
    health_and_status,
    thousand_legs,
    storm_of_duplicates,
    dial_out_latency,
    stop_of_dial_out,
    alert_of_low_credit,
    ledger_verified,
    receipt_of_a_leg,
)


def report(url: str, outcomes: Sequence[Outcome]) -> str:
    """The report in Markdown."""
    rows = [
        f"| {each.step} | {'ok' if each.passed else '**failed**'} | {_cell(each.detail)} |"
        for each in outcomes
    ]
    head = [
        "# Acceptance",
        "",
        f"{url}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
        "",
        "| step | outcome | found |",
        "| --- | --- | --- |",
    ]
    return "\n".join([*head, *rows, ""])


def _cell(text: str) -> str:
    """Text of an answer, without the characters that end a cell or a row."""
    return " ".join(text.replace("|", "\\|").split())


def _leg(number: int) -> Mapping[str, Any]:
    return {
        "leg_id": f"leg-{number}",
        "kind": "dial_out",
        "to": TO,
        "started_at": VERSION,
        "answered_at": VERSION,
        "ended_at": "2026-01-01T00:01:01Z",
    }


def _post_all(run: Run, post: str) -> None:
    for first in range(0, run.legs, POST_LEGS):
        numbers = range(first, min(first + POST_LEGS, run.legs))
        legs = [{**_leg(number), "account": run.name} for number in numbers]
        while True:
            answer = run.signed("call-ended", f"{run.name}-{post}-{first}", legs)
            if answer.status == 202:
                break
            if answer.status not in {429, 503}:
                raise SmokeError(f"call-ended: {answer.status} {json.dumps(answer.body)[:500]}")
            time.sleep(PAUSE_SECONDS)  # as a bridge does


def _wait_for_balance(run: Run) -> None:
    """Until every leg is charged. Raises SmokeError."""
    right_micros = 10_000_000 - run.legs * LEG_AMOUNT_MICROS

    def is_charged() -> bool:
        account = run.deployment.must({200}, "GET", run.account).body
        return round(float(account["balance"]) * 1_000_000) <= right_micros

    _eventually(is_charged)
    balance = run.deployment.must({200}, "GET", run.account).body["balance"]
    if round(float(balance) * 1_000_000) != right_micros:
        raise SmokeError(f"the balance is {balance}, {right_micros} micros are right")


def _wait_for_quiet(run: Run) -> None:
    """Until the queue is empty."""

    def is_quiet() -> bool:
        found = run.deployment.must({200}, "GET", "v1/status").body["queue"]["messages"]
        return bool(found == 0)

    _eventually(is_quiet)


def _eventually[Found](probe: Callable[[], Found]) -> Found:
    """Call `probe` until its result is true; return the result. Raises SmokeError."""
    deadline = time.monotonic() + CHARGED_SECONDS_MAX
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise SmokeError(f"not within {CHARGED_SECONDS_MAX:.0f} s")
        time.sleep(PAUSE_SECONDS)
    return found


if __name__ == "__main__":
    sys.exit(main())
