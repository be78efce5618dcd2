"""Entra tokens are verified here, against a key set of our own: no tenant is called."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.adapters.directory.entra import EntraTokens, fetch_from, read_keys
from shared.domain.common import limits
from shared.domain.common.errors import NotAuthenticated, Unavailable
from shared.domain.directory.access import Principal, Role
from shared.settings import Settings, SettingsError
from shared.usecases.directory.authenticate_admin import Administrators
from tests.support.product import ManualClock
from tests.unit.directory.test_settings import GOOD

TENANT = "11111111-2222-3333-4444-555555555555"
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"
AUDIENCE = "aaaaaaaa-2222-3333-4444-555555555555"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FOREIGN_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Tenant:
    """The tenant's key endpoint: counts its requests, and may be away."""

    def __init__(self, *kids: str) -> None:
        self.kids = list(kids)
        self.requests = 0
        self.is_away = False

    async def keys(self) -> Mapping[str, Any]:
        self.requests += 1
        if self.is_away:
            raise Unavailable("away")
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        return {"keys": [{**public, "kid": kid, "use": "sig", "alg": "RS256"} for kid in self.kids]}


def _claims(**changes: Any) -> dict[str, Any]:
    claims = {
        "aud": AUDIENCE,
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "tid": TENANT,
        "oid": "person-1",
        "ver": "2.0",
        "azp": "bbbbbbbb-2222-3333-4444-555555555555",
        "iat": int(NOW.timestamp()),
        "nbf": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(hours=1)).timestamp()),
        "roles": ["finance", "account.contoso"],
    }
    return {name: value for name, value in (claims | changes).items() if value is not ...}


def _token(kid: str = "one", key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    return jwt.encode(_claims(**changes), key, algorithm=algorithm, headers={"kid": kid})


def _verifier(tenant: Tenant, clock: ManualClock | None = None) -> EntraTokens:
    return EntraTokens(TENANT, AUDIENCE, tenant.keys, clock or ManualClock(NOW))


async def test_roles_and_accounts_are_those_of_the_app_roles() -> None:
    who = await _verifier(Tenant("one")).verify(_token())

    assert who == Principal("entra:person-1", frozenset({Role.FINANCE}), frozenset({"contoso"}))


@pytest.mark.parametrize(
    ("roles", "held", "accounts"),
    [
        (["reader", "accounts.all"], {Role.READER}, {"*"}),
        (["reader", "account.a", "account.b"], {Role.READER}, {"a", "b"}),
        (["admin"], {Role.ADMIN}, set()),
        (["reader", "account.*", "account.", "account.A B"], {Role.READER}, set()),
        (["reader", "someone.elses", 7], {Role.READER}, set()),
    ],
)
async def test_no_account_is_seen_unless_a_role_names_it(
    roles: list[Any], held: set[Role], accounts: set[str]
) -> None:
    """Not even by an administrator: `accounts.all` is a role to be given."""
    who = await _verifier(Tenant("one")).verify(_token(roles=roles))

    assert (who.roles, who.accounts) == (held, accounts)


SEALED = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(_token(key=FOREIGN_KEY), id="signed by another key"),
        pytest.param(_token(kid="made-up"), id="a key that the tenant does not have"),
        pytest.param(_token(aud="api://somebody-else"), id="for another audience"),
        pytest.param(_token(aud=...), id="for nobody"),
        pytest.param(_token(aud=[AUDIENCE]), id="a list of audiences"),
        pytest.param(_token(aud=[AUDIENCE, "other"]), id="for several audiences"),
        pytest.param(_token(azp=...), id="an ID token: no client uses it"),
        pytest.param(_token(azp=""), id="an empty client"),
        pytest.param(_token(nonce="n"), id="an ID token with a nonce"),
        pytest.param(_token(at_hash="h"), id="an ID token beside an access token"),
        pytest.param(_token(c_hash="h"), id="an ID token beside a code"),
        pytest.param(_token(iss="https://login.example.test/"), id="another issuer"),
        pytest.param(
            _token(iss=f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"),
            id="another tenant as issuer",
        ),
        pytest.param(_token(tid=OTHER_TENANT), id="another tenant"),
        pytest.param(_token(ver="1.0"), id="version 1"),
        pytest.param(_token(exp=int(NOW.timestamp()) - 61), id="out of date"),
        pytest.param(_token(nbf=int(NOW.timestamp()) + 61), id="not yet"),
        pytest.param(_token(exp=...), id="for ever"),
        pytest.param(_token(exp=True), id="until true"),
        pytest.param(_token(oid=...), id="of nobody"),
        pytest.param(_token(roles=[]), id="no role"),
        pytest.param(_token(roles=...), id="no list of roles"),
        pytest.param(_token(filler="x" * limits.ENTRA_TOKEN_CHARS_MAX), id="too long"),
        pytest.param(
            jwt.encode(
                _claims(),
                FOREIGN_KEY,
                algorithm="RS256",
                headers={
                    "kid": "one",
                    "jku": "https://keys.example.test/",
                    "jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(FOREIGN_KEY.public_key())),
                },
            ),
            id="brings its own key",
        ),
        pytest.param(_token(roles="admin"), id="roles that are no list"),
        pytest.param(_token(roles=["owner"]), id="another API's role"),
        pytest.param(_token(key="secret" * 8, algorithm="HS256"), id="a shared secret"),
        pytest.param(_token(key=KEY, algorithm="RS512"), id="another algorithm"),
        pytest.param(f"{SEALED}.e30.", id="no signature"),
        pytest.param(_token()[:-3] + "abc", id="a bent signature"),
        pytest.param("a.b.c", id="no token at all"),
    ],
)
async def test_anything_else_is_refused_with_the_same_words(token: str) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        await _verifier(Tenant("one")).verify(token)

    assert caught.value.detail.startswith("The credentials are missing, wrong or expired. ")


async def test_the_public_key_is_no_shared_secret() -> None:
    """The oldest trick: a token signed by HMAC with the key that everybody may know."""
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one","typ":"JWT"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(_claims()).encode()).rstrip(b"=")
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signed = base64.urlsafe_b64encode(hmac.sign(head + b"." + body, public)).rstrip(b"=")

    with pytest.raises(NotAuthenticated):
        await _verifier(Tenant("one")).verify((head + b"." + body + b"." + signed).decode())


async def test_keys_are_fetched_once_and_again_when_a_new_one_is_named() -> None:
    tenant, clock = Tenant("one"), ManualClock(NOW)
    verifier = _verifier(tenant, clock)
    for _ in range(3):
        await verifier.verify(_token())
    assert tenant.requests == 1

    tenant.kids.append("two")
    clock.moment += timedelta(seconds=limits.ENTRA_FETCH_PAUSE_SECONDS)
    await verifier.verify(_token(kid="two"))

    assert tenant.requests == 2


async def test_made_up_key_ids_don_t_make_us_request_more_than_once_a_minute() -> None:
    tenant = Tenant("one")
    verifier = _verifier(tenant)
    for number in range(20):
        with pytest.raises(NotAuthenticated):
            await verifier.verify(_token(kid=f"made-up-{number}"))

    assert tenant.requests == 1


@pytest.mark.parametrize("days", [1, 2, 30])
async def test_known_keys_serve_on_while_the_tenant_is_away(days: int) -> None:
    tenant, clock = Tenant("one"), ManualClock(NOW)
    verifier = _verifier(tenant, clock)
    await verifier.verify(_token())
    clock.moment += timedelta(days=days)
    tenant.is_away = True
    late = {"nbf": int(clock.moment.timestamp()), "exp": int(clock.moment.timestamp()) + 60}

    assert await verifier.verify(_token(**late))


class Hanging(Tenant):
    """Never answers, once it is away."""

    async def keys(self) -> Mapping[str, Any]:
        if self.is_away:
            self.requests += 1
            await asyncio.Event().wait()
        return await super().keys()


async def test_made_up_key_ids_delay_no_one_while_the_tenant_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty of them share one fetch; an administrator with a known key waits for none."""
    monkeypatch.setattr(limits, "ENTRA_FETCH_SECONDS_MAX", 0.05)
    tenant, clock = Hanging("one"), ManualClock(NOW)
    verifier = _verifier(tenant, clock)
    await verifier.verify(_token())
    tenant.is_away = True
    clock.moment += timedelta(seconds=limits.ENTRA_FETCH_PAUSE_SECONDS)
    junk = [
        asyncio.create_task(verifier.verify(_token(kid=f"made-up-{number}")))
        for number in range(20)
    ]
    await asyncio.sleep(0)

    assert await verifier.verify(_token())
    assert not any(task.done() for task in junk)
    answers = await asyncio.gather(*junk, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    with pytest.raises(Unavailable):  # the failure is remembered
        await verifier.verify(_token(kid="made-up-again"))
    assert tenant.requests == 2


async def test_after_a_failure_the_keys_are_fetched_again_soon() -> None:
    tenant, clock = Tenant("one"), ManualClock(NOW)
    verifier = _verifier(tenant, clock)
    tenant.is_away = True
    with pytest.raises(Unavailable):
        await verifier.verify(_token())
    tenant.is_away = False
    with pytest.raises(Unavailable):
        await verifier.verify(_token())
    clock.moment += timedelta(seconds=limits.ENTRA_RETRY_PAUSE_SECONDS)

    assert await verifier.verify(_token())


JUNK = {
    "too long": (_token(filler="x" * limits.ENTRA_TOKEN_CHARS_MAX, aud="x"), "too long"),
    "unreadable": ("a.b.c", "can't be read"),
    "algorithm": (_token(key="secret" * 8, algorithm="HS256", iss="x"), "RS256"),
    "issuer": (_token(iss="x", tid="x", ver="1.0", aud="x", azp=...), "issuer"),
    "tenant": (_token(tid="x", ver="1.0", aud="x", azp=...), "tenant"),
    "version": (_token(ver="1.0", aud="x", azp=...), "version"),
    "audience": (_token(aud=[AUDIENCE], azp=...), "audience"),
    "ID token": (_token(azp=..., exp=1), "ID token"),
}


@pytest.mark.parametrize("name", JUNK)
async def test_the_first_rule_that_fails_refuses_and_no_key_is_fetched(name: str) -> None:
    token, why = JUNK[name]
    tenant = Tenant("one")

    with pytest.raises(NotAuthenticated) as caught:
        await _verifier(tenant).verify(token)

    assert why in caught.value.__notes__[0]
    assert tenant.requests == 0


async def test_the_signature_comes_before_the_times_and_the_times_before_the_roles() -> None:
    verifier = _verifier(Tenant("one"))
    for token, why in [
        (_token(kid="unknown", exp=1, roles=[]), "a key that the tenant does not have"),
        (_token(key=FOREIGN_KEY, exp=1, roles=[]), "InvalidSignatureError"),
        (_token(exp=1, roles=[]), "out of date"),
        (_token(roles=[]), "no role"),
    ]:
        with pytest.raises(NotAuthenticated) as caught:
            await verifier.verify(token)
        assert why in caught.value.__notes__[0]


async def test_without_keys_no_one_is_let_in_and_no_one_is_refused() -> None:
    """503: the token may be good."""
    tenant = Tenant("one")
    tenant.is_away = True

    with pytest.raises(Unavailable):
        await _verifier(tenant).verify(_token())


async def test_a_withdrawn_key_opens_nothing_once_the_keys_are_fetched_again() -> None:
    tenant, clock = Tenant("one"), ManualClock(NOW)
    verifier = _verifier(tenant, clock)
    await verifier.verify(_token())
    tenant.kids[:] = ["two"]
    clock.moment += 2 * timedelta(seconds=limits.ENTRA_KEYS_SECONDS_MAX)
    late = {"nbf": int(clock.moment.timestamp()), "exp": int(clock.moment.timestamp()) + 60}

    with pytest.raises(NotAuthenticated):
        await verifier.verify(_token(**late))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"keys"'])
def test_what_is_no_key_set_is_reported(body: bytes) -> None:
    with pytest.raises(Unavailable):
        read_keys(body)


@asynccontextmanager
async def _authority(*pieces: bytes, status: int = 200) -> AsyncIterator[str]:
    """Microsoft's address, here: it sends its key set in pieces, some while apart."""

    async def keys(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            for _ in range(50):  # the reader's turn
                await asyncio.sleep(0)
        return response

    app = web.Application()
    app.router.add_get(f"/{TENANT}/discovery/v2.0/keys", keys)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_key_set_that_comes_in_pieces_is_read_whole() -> None:
    document = json.dumps(await Tenant("one", "two").keys()).encode()
    async with _authority(document[:100], document[100:300], document[300:]) as authority:
        verifier = EntraTokens(TENANT, AUDIENCE, fetch_from(TENANT, authority), ManualClock(NOW))

        assert await verifier.verify(_token(kid="two"))


@pytest.mark.parametrize(
    ("status", "pieces"),
    [
        pytest.param(500, [b"{}"], id="it fails"),
        pytest.param(200, [b'{"keys": ['], id="cut off"),
        pytest.param(200, [b" " * 4096] * (limits.ENTRA_KEYS_BYTES_MAX // 4096 + 1), id="too long"),
    ],
)
async def test_what_microsoft_can_t_answer_is_503(status: int, pieces: list[bytes]) -> None:
    async with _authority(*pieces, status=status) as authority:
        with pytest.raises(Unavailable):
            await EntraTokens(
                TENANT, AUDIENCE, fetch_from(TENANT, authority), ManualClock(NOW)
            ).verify(_token())


async def test_administrators_come_in_by_token_or_key() -> None:
    """A credential in the form of a token is never read as a key."""

    class NoKeys:
        async def api_key(self, key_id: str, *, fresh: bool) -> Any:
            raise AssertionError(f"{key_id} is read")

    verifier = _verifier(Tenant("one"))
    door = Administrators(NoKeys(), "bootstrap-key-of-20-characters", None, None, verifier)  # type: ignore[arg-type]

    assert (await door.authenticate({"authorization": f"Bearer {_token()}"})).name == (
        "entra:person-1"
    )
    with pytest.raises(AssertionError, match="0123456789abcdef is read"):
        await door.authenticate({"authorization": "Bearer pm_0123456789abcdef_secretsecretsecret"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"ENTRA_TENANT_ID": TENANT},
        {"ENTRA_AUDIENCE": AUDIENCE},
        {"ENTRA_TENANT_ID": "contoso.onmicrosoft.com", "ENTRA_AUDIENCE": AUDIENCE},
        {"ENTRA_TENANT_ID": "common", "ENTRA_AUDIENCE": AUDIENCE},
    ],
)
def test_a_tenant_is_named_by_its_id_with_its_audience(wrong: dict[str, str]) -> None:
    """`common` would let every tenant in."""
    with pytest.raises(SettingsError, match="ENTRA_"):
        Settings.from_environment(GOOD | wrong)
    assert Settings.from_environment(GOOD).entra_tenant is None
