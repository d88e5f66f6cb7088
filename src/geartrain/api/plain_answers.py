"""The answer to an inference request that wishes for nothing: every output, as JSON.

Nearly all of such an answer is the same for every request that a release answers, so it is
written once; what is left are the numbers and the labels. For one row this takes a fifth of
the time of encoding the whole answer anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from geartrain.serving.runtime import Served

PROBABILITIES: Final = "probabilities"
LABEL: Final = "label"
VALUE: Final = "value"

_ENCODE: Final = msgspec.json.Encoder().encode


class PlainAnswers:
    """Writes the answers of one release; equal to encoding an `InferReply`."""

    __slots__ = ("_head", "_labels", "_one_row", "_width")

    def __init__(self, model: str, release: str, labels: tuple[str, ...] | None) -> None:
        name, width = (VALUE, 1) if labels is None else (PROBABILITIES, len(labels))
        self._width = width
        self._labels = () if labels is None else tuple(_ENCODE(label) for label in labels)
        self._head = (
            b'{"model_name":%b,"model_version":%b,"outputs":[{"name":%b,"datatype":"FP64","shape":['
            % (_ENCODE(model), _ENCODE(release), _ENCODE(name))
        )
        self._one_row = self._head + self._shape(1)

    def write(self, values: Sequence[float], best: Sequence[int], *, name: str | None) -> bytes:
        """The answer to a request called *name*: *values* row by row, and the place of each row's label."""
        rows = len(values) // self._width
        start = self._one_row if rows == 1 else self._head + self._shape(rows)
        end = b"}]}" if name is None else b'}],"id":%b}' % _ENCODE(name)
        if not self._labels:
            return b"%b%b%b" % (start, _ENCODE(values), end)
        labels = self._labels
        told = labels[best[0]] if rows == 1 else b",".join([labels[place] for place in best])
        return b'%b%b},{"name":"label","datatype":"BYTES","shape":[%d],"data":[%b]%b' % (
            start,
            _ENCODE(values),
            rows,
            told,
            end,
        )

    def _shape(self, rows: int) -> bytes:
        width = b"" if not self._labels else b",%d" % self._width
        return b'%d%b],"data":' % (rows, width)


def plain_answers(model: str, served: Served) -> PlainAnswers:
    """What writes the answers of *served* under the name *model*."""
    return _of(model, served.release, served.outputs if served.has_classes else None)


@lru_cache(maxsize=256)
def _of(model: str, release: str, labels: tuple[str, ...] | None) -> PlainAnswers:
    return PlainAnswers(model, release, labels)
