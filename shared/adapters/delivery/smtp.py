"""Mail by SMTP: the standard library's client, in a thread, since it waits."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from hashlib import sha256

from shared.domain.common import limits
from shared.domain.delivery.webhooks import ReceiverResponse
from shared.ports.deliveries import Mail
from shared.settings import Smtp

TAKEN = 250


class SmtpMailer:
    """Implements the port `Mailer`: a connection for each mail, so nothing has to be kept open."""

    def __init__(self, settings: Smtp) -> None:
        self._settings = settings

    async def send(self, mail: Mail) -> ReceiverResponse:
        try:
            async with asyncio.timeout(limits.MAIL_SECONDS_MAX):
                await asyncio.to_thread(self._send, mail)
        except TimeoutError:
            return ReceiverResponse(None, f"no answer within {limits.MAIL_SECONDS_MAX:.0f} s")
        except smtplib.SMTPResponseException as error:
            return ReceiverResponse(int(error.smtp_code), type(error).__name__)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return ReceiverResponse(None, type(error).__name__)
        return ReceiverResponse(TAKEN)

    def _send(self, mail: Mail) -> None:
        """Raises SMTPRecipientsRefused when no recipient was accepted; one is enough, since a
        repetition would reach that one twice."""
        settings = self._settings
        context = ssl.create_default_context()
        seconds = limits.MAIL_SECONDS_MAX / 2
        connection: smtplib.SMTP
        if settings.security == "tls":
            connection = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=seconds, context=context
            )
        else:
            connection = smtplib.SMTP(settings.host, settings.port, timeout=seconds)
        with connection:
            if settings.security == "starttls":
                connection.starttls(context=context)
            if settings.username:
                connection.login(settings.username, settings.password or "")
            connection.send_message(_message(mail, settings.sender))


def _message(mail: Mail, sender: str) -> EmailMessage:
    """The same Message-ID however often a mail is sent, so that a mail box shows it once."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(mail.to)
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    domain = sender.rpartition("@")[2].rstrip(">") or "localhost"
    message["Message-ID"] = f"<{sha256(mail.mail_id.encode()).hexdigest()[:32]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message
