"""`python3 infra/tools/smoke.py --release R`: does a deployment work, from the outside?

Health, a quote, a signed leg on the account `canary`, its charge, and that ledger verified. The leg
of a release is the same each time, so that repeating it costs nothing. Reads PERMINUTE_URL,
PERMINUTE_SMOKE_KEY (role `reader` on `canary`) and PERMINUTE_SMOKE_SECRET (the bridge's).

With `--prepare` it makes account, rate card, bridge and key instead, using the administrator's key
in PERMINUTE_SMOKE_KEY, and prints what the environment needs. Standard library only: it runs in a
workflow that installs nothing.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CANARY = "canary"
VERSION = "2026-01-01T00:00:00Z"
TO = "+442079460000"
TALK_SECONDS = 61
READY_SECONDS_MAX = 600.0  # roles take minutes to reach every server
CHARGED_SECONDS_MAX = 180.0
PAUSE_SECONDS = 2.0
REQUEST_SECONDS_MAX = 30.0
RATES = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [
        {
            "kind": "dial_out",
            "prefix": "44",
            "destination": "United Kingdom",
            "slots": [
                {
                    "from_second": 0,
                    "price": "0.0001",
                    "unit_seconds": 60,
                    "increment_seconds": 60,
                }
            ],
        }
    ],
}


class SmokeError(Exception):
    """The deployment failed a step; the text names the failure."""


@dataclass(frozen=True)
class Answer:
    """An answer of the deployment."""

    status: int
    body: Any


@dataclass(frozen=True)
class Deployment:
    """A deployment under test; `key` is sent as bearer token."""

    url: str
    key: str

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.url)
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            is_address = False
        if not is_address or not self.url.isascii() or re.search(r"[\s?#]", self.url):
            raise SmokeError(f"PERMINUTE_URL is no address of a deployment: {self.url!r}")
        if not re.fullmatch(r"[!-~]+", self.key):
            raise SmokeError("the API key is empty or has a character that no header carries")

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; an answer that is no 2xx is an answer too. Raises SmokeError without one."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is the deployer's own
            self.url.rstrip("/") + "/api/" + path,
            data=None if body is None else content,
            method=method,
            headers={
                "content-type": "application/json",
                "authorization": f"Bearer {self.key}",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS_MAX) as response:  # noqa: S310
                return Answer(response.status, _read(response.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _read(error.read()))
        except (OSError, http.client.HTTPException) as error:
            raise SmokeError(f"{method} {path}: no answer: {error}") from error

    def must(self, expected: set[int], method: str, path: str, *rest: Any, **more: Any) -> Answer:
        """One request that must be answered so. Raises SmokeError."""
        answer = self.send(method, path, *rest, **more)
        if answer.status not in expected:
            raise SmokeError(f"{method} {path}: {answer.status} {json.dumps(answer.body)[:500]}")
        return answer


def main() -> int:
    """Try or prepare a deployment. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="smoke.py")
    parser.add_argument("--release", default="by-hand", help="names the leg that is charged")
    parser.add_argument("--prepare", action="store_true", help="make what the test needs")
    options = parser.parse_args()
    try:
        deployment = Deployment(_setting("PERMINUTE_URL"), _setting("PERMINUTE_SMOKE_KEY"))
        if options.prepare:
            prepare(deployment)
        else:
            try_out(deployment, _setting("PERMINUTE_SMOKE_SECRET"), options.release)
    except (SmokeError, KeyError, IndexError, TypeError) as error:
        kind = (
            "" if isinstance(error, SmokeError) else f"unexpected answer: {type(error).__name__} "
        )
        print(f"FAILED: {kind}{error}", file=sys.stderr)
        return 1
    return 0


def try_out(deployment: Deployment, secret: str, release: str) -> None:
    """All steps in order. Raises SmokeError."""
    health = _wait(lambda: deployment.send("GET", "health"), 200, READY_SECONDS_MAX)
    print(f"health: {health.body['status']}, version {health.body['version']}")
    question = {"account": CANARY, "kind": "dial_out", "to": TO, "at": VERSION}
    quote = deployment.must({200}, "POST", "v1/quotes", {**question, "talk_seconds": TALK_SECONDS})
    print(f"quote: {quote.body['amount']} {quote.body['currency']}")
    leg_id = "smoke-" + re.sub(r"[^A-Za-z0-9._-]", "-", release)[:150]
    posted = post_leg(deployment, secret, leg_id)
    print(f"leg {leg_id}: {posted.body['legs'][0]['status']}")
    path = f"v1/accounts/{CANARY}/legs/{CANARY}~{leg_id}"
    leg = _wait(lambda: deployment.send("GET", path), 200, CHARGED_SECONDS_MAX)
    if (leg.body["status"], leg.body["amount"]) != ("charged", quote.body["amount"]):
        raise SmokeError(f"the leg is {leg.body['status']}, {leg.body.get('amount')}")
    print(f"charged: {leg.body['amount']}, balance after {leg.body['balance_after']}")
    verified = deployment.must({200}, "GET", f"v1/accounts/{CANARY}/verify")
    if not verified.body["ok"]:
        raise SmokeError(f"the ledger does not verify: {verified.body['problems']}")
    print(f"verified: {verified.body['entries']} entries")


def post_leg(deployment: Deployment, secret: str, leg_id: str) -> Answer:
    """Post the leg as the bridge `canary` would, signed. Raises SmokeError."""
    body = json.dumps(
        {
            "leg_id": leg_id,
            "kind": "dial_out",
            "account": CANARY,
            "to": TO,
            "started_at": VERSION,
            "answered_at": VERSION,
            "ended_at": "2026-01-01T00:01:01Z",
        }
    ).encode()
    now = str(int(time.time()))
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"))
    except ValueError as error:
        raise SmokeError("PERMINUTE_SMOKE_SECRET is no base64 text") from error
    signed = hmac.new(key, f"{leg_id}.{now}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "webhook-id": leg_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }
    path = f"v1/bridges/{CANARY}/call-ended"
    return deployment.must({202}, "POST", path, body, headers=headers)


def prepare(deployment: Deployment) -> None:
    """Create missing resources; print the key and the secret. Raises SmokeError."""
    there = {412, 428}
    deployment.must({200, 201} | there, "PUT", f"v1/rate-cards/{CANARY}/versions/{VERSION}", RATES)
    account = {"currency": "USD", "name": "Smoke tests", "rate_card": CANARY}
    deployment.must({201} | there, "PUT", f"v1/accounts/{CANARY}", account)
    credit = {"amount": "10.00", "kind": "granted", "reference": "smoke tests"}
    deployment.must(
        {201},
        "POST",
        f"v1/accounts/{CANARY}/top-ups",
        credit,
        headers={"idempotency-key": "smoke-tests"},
    )
    bridge = {
        "dialect": "perminute",
        "auth": {"scheme": "standard-webhooks"},
        "accounts": [CANARY],
    }
    made = deployment.must({201} | there, "PUT", f"v1/bridges/{CANARY}", bridge)
    key_body = {"name": "smoke tests", "roles": ["reader"], "accounts": [CANARY]}
    key = deployment.must({201}, "POST", "v1/api-keys", key_body)
    print(f"PERMINUTE_SMOKE_KEY={key.body['key']}")
    if made.status in there:
        print("the bridge was there already, with its secret", file=sys.stderr)
    else:
        print(f"PERMINUTE_SMOKE_SECRET={made.body['auth']['secrets'][0]}")


def _setting(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SmokeError(f"{name} is not set")
    return value


def _wait(request: Callable[[], Answer], expected: int, seconds_max: float) -> Answer:
    deadline = time.monotonic() + seconds_max
    while True:
        try:
            answer = request()
            if answer.status == expected:
                return answer
            detail = f"{answer.status} {json.dumps(answer.body)[:500]}"
        except SmokeError as error:
            detail = str(error)
        if time.monotonic() > deadline:
            raise SmokeError(f"not {expected} within {seconds_max:.0f} s: {detail}")
        time.sleep(PAUSE_SECONDS)


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
