"""A mail server for the laptop: it delivers nothing and keeps the mails for reading.

As much of SMTP (RFC 5321) as a client needs that sends without TLS or login.
"""

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage
from pathlib import Path

from local.parts import LOOPBACK

LINE_BYTES_MAX = 1_000
MAIL_BYTES_MAX = 1_000_000
CLIENT_SECONDS_MAX = 60.0
SENDER = "Perminute <perminute@localhost>"


class Mailbox:
    """Receives mail on loopback from its creation on, in separate threads, and stores it in
    `mails`; with a `folder`, each is a file there, too."""

    def __init__(self, folder: Path | None = None) -> None:
        self.mails: list[EmailMessage] = []
        self._folder = folder
        self._lock = threading.Lock()
        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def settings(self) -> dict[str, str]:
        """The app settings that lead here."""
        return {
            "SMTP_HOST": LOOPBACK,
            "SMTP_PORT": str(self._server.server_address[1]),
            "SMTP_SECURITY": "none",
            "SMTP_FROM": SENDER,
        }

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, text: bytes) -> None:
        mail = email.message_from_bytes(text, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        with self._lock:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                number = len(list(self._folder.glob("*.eml"))) + 1
                (self._folder / f"{number:06d}.eml").write_bytes(text)
            self.mails.append(mail)

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        mailbox = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = CLIENT_SECONDS_MAX

            def handle(self) -> None:
                self._say("220 mail sink of Perminute's laptop stack")
                while line := self.rfile.readline(LINE_BYTES_MAX):
                    match line[:4].upper().strip():
                        case b"EHLO" | b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                            self._say("250 OK")
                        case b"DATA":
                            self._say("354 end with a line of one dot")
                            if not self._take_data():
                                return
                        case b"QUIT":
                            self._say("221 bye")
                            return
                        case _:
                            self._say("502 not here")

            def _take_data(self) -> bool:
                """True if a whole mail came, and was kept."""
                text = bytearray()
                while (line := self.rfile.readline(MAIL_BYTES_MAX)) != b".\r\n":
                    text += line.removeprefix(b".")
                    if not line or len(text) > MAIL_BYTES_MAX:
                        return False
                mailbox._keep(bytes(text))
                self._say("250 kept")
                return True

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        return Handler
