"""Microsoft Entra access tokens, verified here: signature, issuer, audience, time, app roles.

The keys of the tenant are fetched when a token names one that is not known, and kept by their id.
docs/access.md defines the roles of a token.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.common import limits
from shared.domain.common.errors import Unavailable
from shared.domain.common.ids import is_id
from shared.domain.directory.access import ALL_ACCOUNTS, Principal, Role
from shared.domain.directory.request_signatures import refused
from shared.pacing import NO_REQUEST
from shared.ports.clock import Clock

if TYPE_CHECKING:
    from jwt import PyJWK

AUTHORITY = "https://login.microsoftonline.com"
ALGORITHM = "RS256"
EVERY_ACCOUNT = "accounts.all"
ONE_ACCOUNT = "account."
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
# What tokens about a sign-in have, and tokens for an API never.
_ID_TOKEN_ONLY = ("nonce", "at_hash", "c_hash")
_REQUIRED = ["exp", "nbf", "iat", "iss", "aud", "tid", "oid", "ver", "azp"]

type FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""The tenant's JSON Web Key Set, `{"keys": [...]}`. Raises Unavailable."""


class EntraTokens:
    """Verifies the tokens of one tenant for one audience.

    `audience` is the client id of the app registration that describes this API.
    """

    def __init__(self, tenant: str, audience: str, fetch_keys: FetchKeys, clock: Clock) -> None:
        self._tenant = tenant
        self._issuer = f"{AUTHORITY}/{tenant}/v2.0"
        self._audience = audience
        self._fetch_keys = fetch_keys
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._has_failed = False
        self._refreshing: asyncio.Task[None] | None = None

    def are_meant(self, token: str) -> bool:
        """True if a bearer token is a JSON Web Token rather than an API key."""
        return _TOKEN.fullmatch(token) is not None

    async def verify(self, token: str) -> Principal:
        """The principal of the token, with its roles and accounts.

        Raises NotAuthenticated, always with the same words, and Unavailable when the tenant's keys
        are needed and can't be had.
        """
        import jwt

        if len(token) > limits.ENTRA_TOKEN_CHARS_MAX:
            raise refused("the token is too long")
        try:
            unverified = jwt.decode_complete(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise refused("the token can't be read") from None
        header = unverified["header"]
        if header.get("alg") != ALGORITHM or not isinstance(header.get("kid"), str):
            raise refused("the token is not signed by RS256 with a named key")
        self._check_claims(unverified["payload"])  # what is not for us is no reason to fetch keys
        key = await self._key(header["kid"])
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                # Its times are held against our own clock below.
                options={
                    "require": _REQUIRED,
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise refused(f"the token is refused: {type(error).__name__}") from None
        self._check_times(claims)
        return _principal(claims)

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        """Whether this claims to be an access token of the tenant for this API, in a fixed
        order."""
        if claims.get("iss") != self._issuer:
            raise refused("the token has another issuer")
        if claims.get("tid") != self._tenant:
            raise refused("the token is another tenant's")
        if claims.get("ver") != "2.0":
            raise refused("the token is of version 1")
        if claims.get("aud") != self._audience:  # one text: a list of audiences is another API's
            raise refused("the token is for another audience")
        if any(name in claims for name in _ID_TOKEN_ONLY) or not _is_text(claims.get("azp")):
            raise refused("the token is an ID token: it names no client that uses it")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now().timestamp()
        leeway = limits.ENTRA_LEEWAY_SECONDS
        times = [claims["nbf"], claims["exp"]]
        if not all(isinstance(each, int) and not isinstance(each, bool) for each in times):
            raise refused("the token's times are no numbers")
        if not claims["nbf"] - leeway <= now < claims["exp"] + leeway:
            raise refused("the token is out of date")

    async def _key(self, kid: str) -> "PyJWK":
        """The key. A known one is given without waiting for the tenant, until it is very old."""
        age = self._age()
        is_known = kid in self._keys
        kept = timedelta(seconds=limits.ENTRA_KEYS_SECONDS_MAX)
        if is_known and age < kept:
            return self._keys[kid]
        self._refresh_soon()
        if not (is_known and age < 2 * kept) and self._refreshing is not None:
            await asyncio.shield(self._refreshing)
        if kid in self._keys:
            return self._keys[kid]
        if self._has_failed:
            raise Unavailable("The keys of the tenant cannot be read.")
        raise refused("the token is signed by a key that the tenant does not have")

    def _age(self) -> timedelta:
        return timedelta.max if self._fetched_at is None else self._clock.now() - self._fetched_at

    def _refresh_soon(self) -> None:
        """One fetch at a time, and a pause after each: a made-up key id costs nothing more."""
        if self._refreshing is not None:
            return
        seconds = (
            limits.ENTRA_RETRY_PAUSE_SECONDS
            if self._has_failed
            else limits.ENTRA_FETCH_PAUSE_SECONDS
        )
        now = self._clock.now()
        if self._tried_at is not None and now - self._tried_at < timedelta(seconds=seconds):
            return
        self._tried_at = now
        self._refreshing = asyncio.create_task(self._refresh(), context=NO_REQUEST())

    async def _refresh(self) -> None:
        """Fetch the keys again. A failure is remembered and leaves the known keys."""
        import jwt

        try:
            async with asyncio.timeout(limits.ENTRA_FETCH_SECONDS_MAX):
                document = await self._fetch_keys()
            fetched = jwt.PyJWKSet.from_dict(dict(document))
        except Exception:  # noqa: BLE001 - whatever was sent, the known keys serve on
            self._has_failed = True
        else:
            self._keys = {
                key.key_id: key
                for key in fetched.keys[: limits.ENTRA_KEYS_MAX]
                if key.key_id and key.algorithm_name == ALGORITHM
            }
            self._has_failed, self._fetched_at = False, self._clock.now()
        finally:
            self._tried_at = self._clock.now()
            self._refreshing = None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def fetch_from(tenant: str, authority: str = AUTHORITY) -> FetchKeys:
    """Fetches the keys of a tenant from Microsoft. Raises Unavailable."""

    async def fetch() -> Mapping[str, Any]:
        import aiohttp

        address = f"{authority}/{tenant}/discovery/v2.0/keys"
        body = bytearray()
        try:
            async with aiohttp.ClientSession() as session, session.get(address) as response:
                response.raise_for_status()
                # Piece by piece: one read gives what has come so far, seldom all of it.
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > limits.ENTRA_KEYS_BYTES_MAX:
                        raise Unavailable("Microsoft Entra sent too long a key set.")
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable("Microsoft Entra does not answer.") from error
        return read_keys(bytes(body))

    return fetch


def read_keys(body: bytes) -> Mapping[str, Any]:
    """A key set as it came over the wire. Raises Unavailable."""
    import json

    try:
        document = json.loads(body)
    except ValueError as error:
        raise Unavailable("Microsoft Entra returned no key set.") from error
    if not isinstance(document, dict):
        raise Unavailable("Microsoft Entra returned no key set.")
    return document


def _principal(claims: Mapping[str, Any]) -> Principal:
    """Roles by their names; accounts by `accounts.all` and `account.{id}`: without, none."""
    stated = claims.get("roles", [])
    names = {name for name in stated if isinstance(name, str)} if isinstance(stated, list) else ()
    roles = frozenset(Role(name) for name in names if name in set(Role))
    one = (name.removeprefix(ONE_ACCOUNT) for name in names if name.startswith(ONE_ACCOUNT))
    accounts = {ALL_ACCOUNTS} if EVERY_ACCOUNT in names else {name for name in one if is_id(name)}
    if not roles:
        raise refused("the token has no role of this API")
    return Principal(f"entra:{claims['oid']}", roles, frozenset(accounts))
