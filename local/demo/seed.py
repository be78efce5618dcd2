"""The demo's accounts, made by the administration's HTTP routes where they are missing."""

from datetime import UTC, datetime
from urllib.parse import quote

from local.demo.rate_card import rate_card, version_path
from local.demo.wire import Admin, DemoError, Json
from local.stack import refusal

ACCOUNT, SMALL_ACCOUNT, CARD = "contoso", "fabrikam", "default"
CARD_FROM = datetime(2025, 1, 1, tzinfo=UTC)
ALERT_BELOW = "95.00"
FINANCE = "finance@contoso.example"
TOLL_PARIS, TOLL_BERLIN, TOLL_FREE = "+33199001234", "+493023125123", "+18005550199"
KEN_MEETING, MARIA_MEETING, AIKO_MEETING, SAM_MEETING = "3001", "3002", "3003", "4001"

ACCOUNTS: dict[str, Json] = {
    ACCOUNT: {
        "currency": "USD",
        "name": "Contoso SA",
        "usage_location": "FR",
        "time_zone": "Europe/Paris",
        "rate_card": CARD,
        "alerts": [{"name": "low", "below": ALERT_BELOW}],
        "auto_recharge": {"trigger": "20.00", "amount": "50.00"},
        "emails": [FINANCE],
    },
    # Its credit does not pay for the first minute of any call.
    SMALL_ACCOUNT: {"currency": "USD", "name": "Fabrikam Ltd", "usage_location": "GB"},
}
_TOP_UPS: dict[str, list[Json]] = {
    ACCOUNT: [
        {"amount": "80.00", "reference": "invoice 2041"},
        {"amount": "20.00", "kind": "granted", "reference": "welcome credit"},
    ],
    SMALL_ACCOUNT: [{"amount": "0.05", "kind": "granted", "reference": "trial credit"}],
}
_DIRECTORY: dict[str, dict[str, Json]] = {
    ACCOUNT: {
        f"service-numbers/{TOLL_PARIS}": {"kind": "toll"},
        f"service-numbers/{TOLL_BERLIN}": {"kind": "toll"},
        f"service-numbers/{TOLL_FREE}": {"kind": "toll_free"},
        "organizers/ken@contoso.example": {"policy": "DialoutCPCandPSTNInternational"},
        "organizers/maria@contoso.example": {"policy": "DialoutCPCandPSTNDomestic"},
        "organizers/aiko@contoso.example": {
            "policy": "DialoutCPCZoneAPSTNInternational",
            "usage_location": "JP",
        },
        "organizers/noor@contoso.example": {
            "policy": "DialoutCPCandPSTNDisabled",
            "toll_free_dial_in": False,
        },
        f"conferences/{KEN_MEETING}": {"organizer": "ken@contoso.example"},
        f"conferences/{MARIA_MEETING}": {"organizer": "maria@contoso.example"},
        f"conferences/{AIKO_MEETING}": {"organizer": "aiko@contoso.example"},
    },
    SMALL_ACCOUNT: {
        "organizers/sam@fabrikam.example": {"policy": "DialoutCPCandPSTNInternational"},
        f"conferences/{SAM_MEETING}": {"organizer": "sam@fabrikam.example"},
    },
}


def seed(base_url: str, admin_key: str) -> None:
    """Load the missing objects, and leave existing ones unchanged; a repetition changes nothing.

    Raises DemoError when something is refused.
    """
    admin = Admin(base_url, admin_key)
    if admin.ask("GET", f"/api/v1/rate-cards/{CARD}").status != 200:
        admin.put(version_path(CARD, CARD_FROM), rate_card())
    for account, settings in ACCOUNTS.items():
        _ensure(admin, f"/api/v1/accounts/{account}", settings)
        for place, body in _DIRECTORY[account].items():
            _ensure(admin, f"/api/v1/accounts/{account}/{quote(place)}", body)
        for number, top_up in enumerate(_TOP_UPS[account], start=1):
            path = f"/api/v1/accounts/{account}/top-ups"
            answer = admin.ask("POST", path, top_up, idempotency_key=f"demo-lot-{number}")
            if answer.status != 201:
                raise DemoError(refusal(path, answer.status, answer.body))


def _ensure(admin: Admin, path: str, body: Json) -> None:
    """Make it. An existing object is not replaced without If-Match, which 428 shows."""
    answer = admin.ask("PUT", path, body)
    if answer.status not in {201, 428}:
        raise DemoError(refusal(path, answer.status, answer.body))
