"""Notifications by e-mail, through the team's own SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from geartrain.adapters.notifier_outbox import subject, text
from geartrain.domain.incident import Incident
from geartrain.errors import SettingInvalid

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed over.

    Attributes:
        scheme: `smtp` (plain: a relay on this machine), `smtp+tls` (STARTTLS) or `smtps` (TLS from the start).
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)


def mail_server(url: str) -> MailServer:
    """Read `smtp+tls://user:password@host:587`.

    Raises:
        SettingInvalid: It is not such an address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise SettingInvalid(
            "the mail server's address is not known here",
            found=parts.scheme or "no scheme",
            hint="smtp+tls://user:password@mail.example.org:587, smtps://... or smtp://127.0.0.1",
        )
    return MailServer(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def addresses(told: str) -> dict[str, str]:
    """Read `Priya Nair=priya@example.org; Tom Akiyama=tom@example.org`; `*` gets every mail.

    Raises:
        SettingInvalid: A part is no `name=address`.
    """
    pairs = [one.strip() for one in told.split(";") if one.strip()]
    found = {}
    for pair in pairs:
        person, _, address = (part.strip() for part in pair.partition("="))
        if not person or "@" not in address or any(mark in address for mark in " \r\n,"):
            raise SettingInvalid(
                "this is no person with an address", found=pair, hint="Priya Nair=priya@example.org; ..."
            )
        found[person] = address
    return found


class MailNotifier:
    """A `Notifier` that writes to the holders of the owning role, and to `*` where it is set.

    Args:
        server: Where mail is handed over.
        sender: The address in `From`.
        people: Person to address; somebody without one is named in the text, not written to.
    """

    def __init__(
        self, server: MailServer, *, sender: str, people: Mapping[str, str], timeout_s: float = 20.0
    ) -> None:
        self._server = server
        self._sender = sender
        self._people = dict(people)
        self._timeout_s = timeout_s

    def resend(self) -> int:
        """Nothing waits here; an `OutboxNotifier` around it keeps what was not taken."""
        return 0

    def notify(self, incident: Incident, people: tuple[str, ...]) -> None:
        """Hand one mail over.

        Raises:
            OSError: The server did not take it, or nobody of those called has an address.
        """
        to = sorted({self._people[one] for one in (*people, "*") if one in self._people})
        if not to:
            raise OSError(f"nobody of {', '.join(people) or 'the owning role'} has an address")
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._sender, ", ".join(to), subject(incident)
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=self._sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text(incident, people))
        with self._connected() as server:
            server.send_message(mail)

    def _connected(self) -> smtplib.SMTP:
        told, context = self._server, ssl.create_default_context()
        if told.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                told.host, told.port, timeout=self._timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(told.host, told.port, timeout=self._timeout_s)
        if told.scheme == "smtp+tls":
            server.starttls(context=context)
        if told.user:
            server.login(told.user, told.password)
        return server
