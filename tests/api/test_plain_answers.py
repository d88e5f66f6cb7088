"""The short way of writing an answer says what the long one says."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from geartrain.api.plain_answers import PlainAnswers
from geartrain.api.tensors import InferReply, TensorOutput

TEXTS = st.text(max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    model=TEXTS,
    release=TEXTS,
    labels=st.lists(TEXTS, min_size=2, max_size=4),
    name=st.none() | TEXTS,
    data=st.data(),
)
def test_an_answer_with_classes_is_the_reply_that_the_protocol_names(
    model, release, labels, name, data
) -> None:
    """Byte for byte, whatever the names, the numbers and the request's own name are."""
    rows = data.draw(st.integers(1, 5))
    values = data.draw(st.lists(NUMBERS, min_size=rows * len(labels), max_size=rows * len(labels)))
    best = data.draw(st.lists(st.integers(0, len(labels) - 1), min_size=rows, max_size=rows))
    outputs = [
        TensorOutput(name="probabilities", datatype="FP64", shape=[rows, len(labels)], data=values),
        TensorOutput(name="label", datatype="BYTES", shape=[rows], data=[labels[place] for place in best]),
    ]
    said = PlainAnswers(model, release, tuple(labels)).write(values, best, name=name)
    assert said == msgspec.json.encode(
        InferReply(model_name=model, model_version=release, outputs=outputs, id=name)
    )


@given(values=st.lists(NUMBERS, min_size=1, max_size=5), name=st.none() | TEXTS)
def test_a_number_is_answered_without_labels(values, name) -> None:
    """A regression has one output, and no label beside it."""
    outputs = [TensorOutput(name="value", datatype="FP64", shape=[len(values)], data=values)]
    assert PlainAnswers("m", "r", None).write(values, (), name=name) == msgspec.json.encode(
        InferReply(model_name="m", model_version="r", outputs=outputs, id=name)
    )
