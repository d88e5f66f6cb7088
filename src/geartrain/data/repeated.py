"""JSON objects in which a key stands twice: whoever reads one gets one of the two values."""

from __future__ import annotations

import json
from collections.abc import Mapping


def repeated_key(content: bytes, document: object) -> str | None:
    """A key that stands twice in one object of *content*, or None; *document* is what it was decoded to.

    >>> repeated_key(b'{"a":1,"a":2}', {"a": 2})
    'a'
    """
    spaced = b'" :' in content or b'"\t:' in content or b'"\n:' in content or b'"\r:' in content
    if not spaced and content.count(b'":') == _keys(document):
        return None  # every key that was written is there
    twice: list[str] = []

    def one_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        twice.extend(sorted({name for name in names if names.count(name) > 1}))
        return dict(pairs)

    json.loads(content, object_pairs_hook=one_each)
    return twice[0] if twice else None


def _keys(document: object) -> int:
    match document:
        case Mapping():
            return len(document) + sum(_keys(value) for value in document.values())
        case list():
            return sum(_keys(value) for value in document)
    return 0
