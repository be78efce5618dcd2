"""The identity of tools: a person's `az login`, or a managed identity."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from azure.identity.aio import ChainedTokenCredential, ManagedIdentityCredential

from shared.adapters.credentials import azure_credential
from shared.settings import Settings

SCOPE = "https://storage.azure.com/.default"


def test_the_app_uses_the_identity_that_its_settings_name() -> None:
    assert isinstance(azure_credential("an-id"), ManagedIdentityCredential)


def test_a_person_uses_the_account_of_az_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    az = tmp_path / "az"
    token = json.dumps({"accessToken": "of-a-person", "expires_on": 4_000_000_000})
    az.write_text(f"#!/bin/sh\necho '{token}'\n")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def use() -> str:
        async with azure_credential(None) as credential:
            assert isinstance(credential, ChainedTokenCredential)
            return (await credential.get_token(SCOPE)).token

    assert asyncio.run(use()) == "of-a-person"


@pytest.mark.parametrize("newline", ["", "\n", "\r\n"])
def test_a_password_that_was_piped_into_the_vault_loses_its_newline(newline: str) -> None:
    settings = Settings.from_environment(
        {
            "TABLES_CONNECTION_STRING": "UseDevelopmentStorage=true",
            "ServiceBus": "Endpoint=sb://127.0.0.1",
            "CALL_ENDED_QUEUE": "call-ended",
            "CREDIT_EVENTS_TOPIC": "credit-events",
            "CALL_ENDED_LOCK_SECONDS": "30",
            "PERMINUTE_CHAIN_KEY": "A" * 44,
            "SMTP_HOST": "mail.example.com",
            "SMTP_FROM": "perminute@example.com",
            "SMTP_PASSWORD": f"a secret{newline}",
        }
    )
    assert settings.smtp is not None
    assert settings.smtp.password == "a secret"
