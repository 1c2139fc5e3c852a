"""E-mail through an SMTP server."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING

from moodlemlbackend.deadline import within
from moodlemlbackend.errors import DeliveryError, RefusedError, UsageError

if TYPE_CHECKING:
    from moodlemlbackend.settings.analytics import AnalyticsSettings

TIMEOUT_SECONDS = 30.0
CALL_SECONDS = 120.0
"""The first for each step, the second for a whole message."""

_UNSENDABLE = 500
"""Reply codes from here on are final."""


@dataclass(frozen=True)
class Email:
    """An e-mail to one person: ``time`` is when it was written, in Unix seconds.

    ``key`` is the same whenever the same e-mail is sent again, so that its reader's mail program can recognise it.
    ``html`` is empty for one that is plain text only; ``personal`` says that a person wrote it, who gets the answers at
    ``reply_to`` unless that is empty.
    """

    address: str
    subject: str
    text: str
    html: str
    time: int
    key: str
    reply_to: str = ""
    personal: bool = False


class Mailer:
    """Sends e-mails through one connection, opened when the first one is sent."""

    def __init__(self, settings: AnalyticsSettings) -> None:
        self._settings = settings
        self._server: smtplib.SMTP | None = None
        if settings.smtp_user and settings.smtp_security == "none":
            raise UsageError(
                "With smtp_user set, the password would be sent unencrypted; set smtp_security to starttls or tls."
            )

    def __enter__(self) -> Mailer:
        return self

    def __exit__(self, *_: object) -> None:
        self._quit()

    def send(self, email: Email) -> None:
        """Send one e-mail to its address.

        Raises
        ------
        RefusedError
            The address is none, or the server does not take this message.
        DeliveryError
            The server cannot be used now.
        """
        message = self._message(email)
        try:
            within(CALL_SECONDS, lambda: self._open().send_message(message))
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            self._refuse(code, reply, email.address)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            self._refuse(error.smtp_code, error.smtp_error, email.address)
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            raise DeliveryError(self._unreachable(error)) from error

    def connect(self) -> None:
        """Connect and log in, sending nothing; DeliveryError when that cannot be done."""
        try:
            within(CALL_SECONDS, self._open)
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            raise DeliveryError(self._unreachable(error)) from error

    def _refuse(self, code: int, reply: bytes | str, address: str) -> None:
        text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
        sentence = f"The mail server refused the e-mail to {address}: {code} {' '.join(text.split())}."
        raise RefusedError(sentence, final=code >= _UNSENDABLE)

    def _unreachable(self, error: Exception) -> str:
        place = f"{self._settings.smtp_host}:{self._settings.smtp_port}"
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return f"The mail server {place} refused the login; check smtp_user and smtp_password."
        if isinstance(error, ssl.SSLError):
            return f"The mail server {place} is not trusted ({error.reason}); check its certificate."
        return f"The mail server {place} cannot be used ({error}); check smtp_host, smtp_port and smtp_security."

    def _open(self) -> smtplib.SMTP:
        if self._server is not None:
            return self._server
        chosen = self._settings
        secure = ssl.create_default_context()
        if chosen.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                chosen.smtp_host, chosen.smtp_port, timeout=TIMEOUT_SECONDS, context=secure
            )
        else:
            server = smtplib.SMTP(chosen.smtp_host, chosen.smtp_port, timeout=TIMEOUT_SECONDS)
        self._server = server
        if chosen.smtp_security == "starttls":
            server.starttls(context=secure)
        if chosen.smtp_user:
            server.login(chosen.smtp_user, chosen.smtp_password)
        return server

    def _quit(self) -> None:
        if self._server is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._server.quit()
            self._server = None

    def _close(self) -> None:
        """End without a word: the server may not answer any more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _message(self, email: Email) -> EmailMessage:
        sender = self._settings.mail_from or f"moodlemlbackend@{self._settings.smtp_host}"
        try:
            message = EmailMessage()
            message["From"] = sender
            message["To"] = Address(addr_spec=email.address)
            message["Subject"] = " ".join(email.subject.split())
            message["Date"] = formatdate(email.time)
            message["Message-ID"] = self._message_id(email, sender)
            if not email.personal:
                message["Auto-Submitted"] = "auto-generated"
            if email.reply_to:
                message["Reply-To"] = Address(addr_spec=email.reply_to)
        except (ValueError, IndexError, AttributeError, MessageError) as error:
            raise RefusedError(f"E-mail cannot be sent from {sender} to {email.address!r}: {error}.") from error
        message.set_content(email.text)
        if email.html:
            message.add_alternative(email.html, subtype="html")
        return message

    def _message_id(self, email: Email, sender: str) -> str:
        digest = hashlib.sha256(f"{email.key} {email.time} {email.address}".encode()).hexdigest()
        kind = "message" if email.personal else "insight"
        return f"<{kind}-{digest[:32]}@{sender.rpartition('@')[2].strip('>') or 'localhost'}>"
