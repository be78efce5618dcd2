"""Settings: what is missing or senseless is named, and no secret is shown."""

import base64
import logging

import pytest

from shared import telemetry
from shared.settings import Settings, SettingsError

GOOD = {
    "TABLES_CONNECTION_STRING": "tables-text",
    "ServiceBus": "bus-text",
    "CALL_ENDED_QUEUE": "call-ended",
    "CREDIT_EVENTS_TOPIC": "credit-events",
    "CALL_ENDED_LOCK_SECONDS": "300",
    "PERMINUTE_CHAIN_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
}


def test_a_laptop_connects_by_text_and_azure_by_identity() -> None:
    laptop = Settings.from_environment(GOOD)
    azure = {
        name: value
        for name, value in GOOD.items()
        if name not in {"TABLES_CONNECTION_STRING", "ServiceBus"}
    } | {
        "TABLES_ENDPOINT": "https://x.table.core.windows.net",
        "ServiceBus__fullyQualifiedNamespace": "x.servicebus.windows.net",
        "AZURE_CLIENT_ID": "an-identity",
    }
    identity = Settings.from_environment(azure)

    assert (laptop.tables_connection_string, laptop.tables_endpoint) == ("tables-text", None)
    assert laptop.chain_key == b"A" * 32
    assert (identity.tables_endpoint, identity.service_bus_namespace) == (
        "https://x.table.core.windows.net",
        "x.servicebus.windows.net",
    )
    assert (identity.service_bus_connection_string, identity.identity_client_id) == (
        None,
        "an-identity",
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"TABLES_CONNECTION_STRING": ""}, "TABLES_CONNECTION_STRING and TABLES_ENDPOINT"),
        ({"ServiceBus": ""}, "ServiceBus and ServiceBus__fullyQualifiedNamespace"),
        ({"CALL_ENDED_QUEUE": " "}, "CALL_ENDED_QUEUE"),
        ({"CREDIT_EVENTS_TOPIC": ""}, "CREDIT_EVENTS_TOPIC"),
        ({"CALL_ENDED_LOCK_SECONDS": ""}, "CALL_ENDED_LOCK_SECONDS"),
        ({"CALL_ENDED_LOCK_SECONDS": "4"}, "CALL_ENDED_LOCK_SECONDS"),
        ({"CALL_ENDED_LOCK_SECONDS": "301"}, "CALL_ENDED_LOCK_SECONDS"),
        ({"CALL_ENDED_LOCK_SECONDS": "30s"}, "CALL_ENDED_LOCK_SECONDS"),
        ({"CALL_ENDED_LOCK_SECONDS": "٣٠"}, "CALL_ENDED_LOCK_SECONDS"),
        ({"PERMINUTE_CHAIN_KEY": ""}, "PERMINUTE_CHAIN_KEY"),
        ({"PERMINUTE_CHAIN_KEY": "c2hvcnQ="}, "PERMINUTE_CHAIN_KEY"),
        ({"PERMINUTE_CHAIN_KEY": "not base64!"}, "PERMINUTE_CHAIN_KEY"),
        ({"PERMINUTE_SECRETS_KEY": "c2hvcnQ="}, "PERMINUTE_SECRETS_KEY"),
        ({"PERMINUTE_BOOTSTRAP_ADMIN_KEY": "short"}, "PERMINUTE_BOOTSTRAP_ADMIN_KEY"),
        (
            {"PERMINUTE_BOOTSTRAP_ADMIN_KEY": "@Microsoft.KeyVault(SecretUri=https://a.test/b)"},
            "PERMINUTE_BOOTSTRAP_ADMIN_KEY refers to a vault",
        ),
    ],
)
def test_a_bad_setting_is_named_and_its_value_is_not(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({**GOOD, **change})

    assert named in str(caught.value)
    for value in change.values():
        assert not value.strip() or value not in str(caught.value)


def test_secrets_stay_out_of_repr() -> None:
    shown = repr(
        Settings.from_environment(
            {
                **GOOD,
                "PERMINUTE_BOOTSTRAP_ADMIN_KEY": "an-admin-key-of-tests",
                "PERMINUTE_SECRETS_KEY": base64.b64encode(b"sealing-" * 4).decode(),
            }
        )
    )

    for secret in ("tables-text", "bus-text", "AAAA", "an-admin-key", "sealing-"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+33170000000", "+3317…00"),
        ("from +442079460000 to +12025550123!", "from +4420…00 to +1202…23!"),
        ("organizer Ken@contoso.com called", "organizer person-7502db21660e called"),
        ("ken%40contoso.com", "person-7502db21660e"),
        ("/service-numbers/%2B33170000000", "/service-numbers/+3317…00"),
        ("+123456 is no number", "+123456 is no number"),
        ('{"at": "2026-11-23T10:00:00+00:00"}', '{"at": "2026-11-23T10:00:00+00:00"}'),
    ],
)
def test_phone_numbers_are_masked(text: str, masked: str) -> None:
    assert telemetry.mask(text) == masked


def test_an_event_is_one_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="perminute")

    telemetry.event("leg_charged", to="+33170000000", amount="0.098", note="two\nlines")

    assert caplog.messages == [
        '{"event": "leg_charged", "to": "+3317…00", "amount": "0.098", "note": "two\\nlines"}'
    ]
