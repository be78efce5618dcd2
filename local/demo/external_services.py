"""The parties outside the product: the payment provider and the mail server of the laptop.

With a data folder, mails are files in its `mail`, and its `payments.json` determines the answers to
recharges: `{"status": "declined", "after_seconds": 5, "hard": false}`; without it they succeed.
"""

from email.message import EmailMessage
from pathlib import Path
from typing import Self

from local.demo.mailbox import Mailbox
from local.demo.payments import PaymentProvider


class ExternalServices:
    """Both listen from the moment that this is made."""

    def __init__(self, data: Path | None = None) -> None:
        self.mailbox = Mailbox(data and data / "mail")
        self.payments = PaymentProvider(data and data / "payments.json")

    @property
    def mails(self) -> list[EmailMessage]:
        """Every mail that came, in order."""
        return self.mailbox.mails

    @property
    def settings(self) -> dict[str, str]:
        """The app settings that the product needs to find them."""
        return self.mailbox.settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.mailbox.close()
        self.payments.close()
