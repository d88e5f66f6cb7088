import hashlib
import hmac
import json
import socketserver
import threading
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geartrain.adapters.notifier_mail import MailNotifier, MailServer, addresses, mail_server
from geartrain.adapters.notifier_outbox import EveryNotifier, OutboxNotifier, subject, text
from geartrain.adapters.notifier_webhook import WebhookNotifier
from geartrain.domain.contract import Cause
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.errors import SettingInvalid
from geartrain.testing.notifier import MemoryNotifier

INCIDENT = Incident(
    id="i1", product="p", cause=Cause.FEED, owner=Role.ENGINEERING, opened_at=datetime(2026, 1, 2, tzinfo=UTC),
    began_at=None, message="the feed is silent", first_action=FirstAction.REPAIR_FEED, signals=(),
)  # fmt: skip

DRIFTED = replace(
    INCIDENT,
    id="i2",
    message="`amount` has drifted",
    cost_per_day=31.5,
    signals=(
        Signal(kind="drift", about="amount", measure="PSI", size=0.3, evidence=1e4, since=None, rows=900,
               message="mean 47 -> 72"),
    ),
)  # fmt: skip


@pytest.fixture
def hook():
    """A webhook on this machine: what came, and the status that it answers with."""

    class Handler(BaseHTTPRequestHandler):
        came, status = [], 204

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            type(self).came.append((dict(self.headers), body))
            self.send_response(type(self).status)
            if type(self).status == 302:
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield Handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def mailbox():
    """An SMTP server that takes every mail, or says that it is full."""

    class Handler(socketserver.StreamRequestHandler):
        mails, full = [], False

        def say(self, line):
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self):
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                match line.split()[0].upper():
                    case "DATA":
                        self.say("354 go on")
                        mail = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            mail += part
                        type(self).mails.append(mail.decode())
                        self.say("250 taken")
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case "RCPT" if type(self).full:
                        self.say("452 full")
                    case _:
                        self.say("250 fine")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.at = MailServer(scheme="smtp", host="127.0.0.1", port=server.server_address[1])
    yield Handler
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_the_whole_incident_signed(hook):
    """The receiver can check who sent it and drop what it was told before."""
    WebhookNotifier(hook.url, secret="shared").notify(DRIFTED, ("Tom",))
    headers, body = hook.came[0]
    told = {name.lower(): value for name, value in headers.items()}
    signed = hmac.new(b"shared", body, hashlib.sha256).hexdigest()
    assert told["x-geartrain-signature"] == f"sha256={signed}"
    assert told["idempotency-key"] == f"i2-{DRIFTED.cause}"
    document = json.loads(body)
    assert document["people"] == ["Tom"]
    assert document["incident"]["signals"][0]["message"] == "mean 47 -> 72"
    assert "31.50" in document["text"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_a_webhook_does_not_take_is_kept_and_told_later(hook, tmp_path, status):
    """An error or a redirect is no yes; nothing is lost while the other side is down."""
    hook.status = status
    notifier = OutboxNotifier(WebhookNotifier(hook.url), tmp_path)
    notifier.notify(INCIDENT, ("Emil",))
    notifier.notify(DRIFTED, ("Tom",))
    assert notifier.resend() == 2
    hook.status, before = 200, len(hook.came)
    again = OutboxNotifier(WebhookNotifier(hook.url), tmp_path)
    assert again.resend() == 0
    assert [json.loads(body)["incident"]["id"] for _, body in hook.came[before:]] == ["i1", "i2"]
    assert again.resend() == 0
    assert len(hook.came) == before + 2


def test_a_webhook_that_is_not_there_costs_a_log_line(tmp_path):
    """Nobody listens on the port: the incident is kept."""
    notifier = OutboxNotifier(WebhookNotifier("http://127.0.0.1:9/hook", timeout_s=1), tmp_path)
    notifier.notify(INCIDENT, ("Emil",))
    assert notifier.resend() == 1


def test_mail_goes_to_the_holders_of_the_role(mailbox):
    """Whoever has an address gets it; whoever has none is named in it."""
    people = addresses("Tom Akiyama = tom@example.org; *=team@example.org")
    notifier = MailNotifier(mailbox.at, sender="geartrain@example.org", people=people)
    notifier.notify(DRIFTED, ("Tom Akiyama", "No Address"))
    mail = mailbox.mails[0]
    assert "To: team@example.org, tom@example.org" in mail
    assert "No Address" in mail
    assert "mean 47 -> 72" in mail
    assert "Subject: [p] engineering: feed: `amount` has drifted" in mail


def test_nothing_in_an_incident_can_add_a_header(mailbox):
    """A line break in a message stays inside the subject's line."""
    evil = replace(INCIDENT, message="silent\r\nBcc: eve@example.org")
    MailNotifier(mailbox.at, sender="g@example.org", people={"*": "team@example.org"}).notify(evil, ())
    head = mailbox.mails[0].split("\r\n\r\n", 1)[0]
    assert not [line for line in head.splitlines() if line.lower().startswith("bcc")]


def test_mail_that_is_not_taken_is_kept(mailbox, tmp_path):
    """A full mailbox, or nobody with an address, is not silence."""
    mailbox.full = True
    way = MailNotifier(mailbox.at, sender="g@example.org", people={"Emil": "emil@example.org"})
    notifier = OutboxNotifier(way, tmp_path)
    notifier.notify(INCIDENT, ("Emil",))
    assert notifier.resend() == 1
    mailbox.full = False
    assert notifier.resend() == 0
    with pytest.raises(OSError, match="has an address"):
        way.notify(INCIDENT, ("Nobody",))


def test_one_way_that_fails_does_not_silence_the_others():
    """Everybody else is told before the failure is."""

    class Broken(MemoryNotifier):
        def notify(self, incident, people):
            raise OSError("down")

    heard = MemoryNotifier()
    with pytest.raises(OSError, match="down"):
        EveryNotifier((Broken(), heard)).notify(INCIDENT, ("Emil",))
    assert heard.told == [(INCIDENT, ("Emil",))]


@pytest.mark.parametrize("url", ["mail.example.org", "ftp://x", "smtp://"])
def test_a_mail_server_that_cannot_be_read_is_said(url):
    """A setting that cannot be used is refused when the workspace is opened."""
    with pytest.raises(SettingInvalid):
        mail_server(url)


def test_settings_of_mail_are_read_as_people_write_them():
    """Ports follow from the scheme, and a password may hold any sign."""
    server = mail_server("smtp+tls://me:p%40ss@mail.example.org")
    assert (server.port, server.user, server.password) == (587, "me", "p@ss")
    assert "p@ss" not in repr(server)
    assert addresses("") == {}
    for wrong in ("Tom", "Tom=tom", "Tom=a@b.c\nBcc: x@y.z"):
        with pytest.raises(SettingInvalid):
            addresses(wrong)
    with pytest.raises(SettingInvalid):
        WebhookNotifier("file:///etc/passwd")


def test_the_words_name_owner_action_and_cost():
    """One subject line, and a text that says what to do first."""
    assert subject(DRIFTED) == "[p] engineering: feed: `amount` has drifted"
    said = text(DRIFTED, ("Emil Berg",))
    for words in (
        "Owner: engineering (Emil Berg)",
        "First action: repair the feed",
        "31.50",
        "mean 47 -> 72",
    ):
        assert words in said
