"""Notifications by webhook: one signed JSON object to one address."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from typing import Final

from geartrain.adapters.notifier_outbox import subject, text
from geartrain.domain.digest import canonical
from geartrain.domain.incident import Incident
from geartrain.errors import SettingInvalid

_TIMEOUT_S: Final = 10.0


class _NoWayRound(urllib.request.HTTPRedirectHandler):
    """An address that sends us elsewhere is not the one that was agreed."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


class WebhookNotifier:
    """A `Notifier` that posts to *url*; `text` is what chat services show.

    With a *secret* the header `X-Geartrain-Signature` holds `sha256=` and the HMAC of the
    body, so that the receiver knows who sent it. `Idempotency-Key` is the incident's id and its cause:
    a receiver that knows it may drop the second telling.

    Raises:
        SettingInvalid: The address is not http or https.
    """

    def __init__(self, url: str, *, secret: str = "", timeout_s: float = _TIMEOUT_S) -> None:
        if not url.startswith(("https://", "http://")):
            raise SettingInvalid(
                "a webhook is an http or https address",
                found=url.split(":", 1)[0],
                hint="https://example.org/hook",
            )
        self._url = url
        self._secret = secret.encode()
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(_NoWayRound)

    def resend(self) -> int:
        """Nothing waits here; an `OutboxNotifier` around it keeps what was not taken."""
        return 0

    def notify(self, incident: Incident, people: tuple[str, ...]) -> None:
        """Post it.

        Raises:
            OSError: It was not taken: no connection, too slow, or a status other than 2xx.
        """
        told = {
            "text": f"{subject(incident)}\n\n{text(incident, people)}",
            "people": list(people),
            "incident": json.loads(canonical(incident)),
        }
        body = json.dumps(told, ensure_ascii=False).encode()
        headers = {"content-type": "application/json", "idempotency-key": f"{incident.id}-{incident.cause}"}
        if self._secret:
            signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
            headers["x-geartrain-signature"] = f"sha256={signature}"
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310 - http(s) only, see above
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                status = answer.status
        except HTTPException as error:
            raise OSError(f"the webhook does not answer in HTTP: {error!r}") from error
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise OSError(f"the webhook answered {status}")
