"""Errors over HTTP: one body shape, and never a 5xx for what a client got wrong.

The family in `geartrain.errors` knows no HTTP; this is the one place that maps its
stable codes to statuses. A body tells what is so, where and what to do; `found` is
only given where it says nothing about anybody's data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from geartrain.errors import GeartrainError

Headers = tuple[tuple[bytes, bytes], ...]
JSON: Final = b"application/json"

#: The HTTP status of each error code; a code that is not here is our fault: 500.
STATUS: Final[Mapping[str, int]] = {
    "serving.request-invalid": 400,
    "contract.expression": 400,
    "source.unreadable": 422,
    "source.column-missing": 422,
    "product.unknown": 404,
    "serving.model-unknown": 404,
    "serving.decision-unknown": 404,
    "release.unknown": 404,
    "release.refused": 409,
    "ledger.conflict": 409,
    "serving.overloaded": 503,
    "serving.not-ready": 503,
    "disk.full": 503,
    "workspace.busy": 503,
    "ledger.unavailable": 503,
    "bus.unavailable": 503,
    "online.unavailable": 503,
}


class Refusal(Exception):
    """A request that HTTP itself has a status for: too large, wrong type, wrong method, too slow."""

    def __init__(
        self, status: int, code: str, message: str, *, hint: str = "", headers: Headers = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = headers


class Reply(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole answer: status, headers besides the type and length, body."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON


def json_reply(document: object, status: int = 200) -> Reply:
    """The answer that is *document* as JSON."""
    return Reply(status=status, body=msgspec.json.encode(document))


def status_of(error: GeartrainError) -> int:
    """The status that an error of the family is answered with."""
    return STATUS.get(error.code, 500)


def document_of(error: GeartrainError | Refusal) -> dict[str, str]:
    """The fields of the error body.

    An error that is ours keeps its details in the log: they may speak of other people's data.
    """
    match error:
        case Refusal():
            return {
                "code": error.code,
                "message": error.message,
                "where": "",
                "found": "",
                "hint": error.hint,
            }
        case GeartrainError() if status_of(error) < 500:
            fields = (error.message, error.where, error.found, error.hint)
        case _:
            fields = (error.message, "", "", error.hint)
    return dict(zip(("code", "message", "where", "found", "hint"), (error.code, *fields), strict=True))


def reply_to(error: GeartrainError | Refusal) -> Reply:
    """The answer to a request that failed with *error*: `{"error": {...}}`."""
    return _reply(error, {"error": document_of(error)})


def inference_reply_to(error: GeartrainError | Refusal) -> Reply:
    """The same for the Open Inference Protocol, whose `error` is one sentence."""
    return _reply(error, {"error": inference_sentence(error)})


def inference_sentence(error: GeartrainError | Refusal) -> str:
    """What the Open Inference Protocol says of *error*, by whichever transport."""
    document = document_of(error)
    place = f" at {document['where']}" if document["where"] else ""
    hint = f" ({document['hint']})" if document["hint"] else ""
    return f"{document['message']}{place}{hint}"


OUR_BUG_SENTENCE: Final = "the server met a bug of its own; nothing was decided"
#: What a client sees of a bug of ours; the log has the rest.
OUR_BUG: Final = Reply(
    status=500,
    body=msgspec.json.encode(
        {
            "error": {
                "code": "internal",
                "message": OUR_BUG_SENTENCE,
                "where": "",
                "found": "",
                "hint": "the server's log has the details",
            }
        }
    ),
)


def _reply(error: GeartrainError | Refusal, body: object) -> Reply:
    status = error.status if isinstance(error, Refusal) else status_of(error)
    headers = error.headers if isinstance(error, Refusal) else ()
    if status == 503 and not any(name == b"retry-after" for name, _ in headers):
        headers = (*headers, (b"retry-after", b"1"))
    return Reply(status=status, body=msgspec.json.encode(body), headers=headers)
