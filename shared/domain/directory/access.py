"""Permissions: administrators' roles, and the accounts that they see."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.common.errors import NotAllowed

ALL_ACCOUNTS = "*"


class Role(StrEnum):
    """The purposes of an API key (docs/access.md). `admin` holds all others."""

    READER = "reader"
    FINANCE = "finance"
    OPERATOR = "operator"
    PAYMENTS = "payments"
    ADMIN = "admin"


# Who sees anything but changes only their own part; payment providers see nothing.
READERS = frozenset({Role.READER, Role.FINANCE, Role.OPERATOR})


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `name` goes into the ledger and the log as actor; `accounts` holds
    `"*"` for all, or account ids; `key` is the id of the API key, since names of keys may repeat,
    "" for callers without one."""

    name: str
    roles: frozenset[Role]
    accounts: frozenset[str]
    key: str = ""

    @property
    def sees_all_accounts(self) -> bool:
        """True if the principal may use every account."""
        return ALL_ACCOUNTS in self.accounts

    def sees(self, account: str) -> bool:
        """True if the principal may use the account."""
        return self.sees_all_accounts or account in self.accounts

    def holds_one_of(self, roles: frozenset[Role]) -> bool:
        """True if the principal holds one of the roles, or is an administrator."""
        return Role.ADMIN in self.roles or bool(roles & self.roles)

    def require_one_of(self, roles: frozenset[Role]) -> None:
        """Raises NotAllowed `role_missing` unless the principal has one of the roles, or
        `admin`."""
        if not self.holds_one_of(roles):
            names = ", ".join(sorted({*roles, Role.ADMIN}))
            raise NotAllowed(
                f"The route needs one of the roles {names}. Use a key that has one of them.",
                code="role_missing",
            )

    def require_account(self, account: str) -> None:
        """Raises NotAllowed `account_not_allowed`, whether the account exists or not."""
        if not self.sees(account):
            raise NotAllowed(
                "The key is not for this account. "
                "Use a key that names the account, or a key for all accounts.",
                code="account_not_allowed",
            )

    def require_all_accounts(self) -> None:
        """Raises NotAllowed: objects that all accounts share are hidden from a caller who sees only
        some accounts."""
        if not self.sees_all_accounts:
            raise NotAllowed(
                'The route needs a key for all accounts. Use a key whose accounts are ["*"].',
                code="account_not_allowed",
            )
