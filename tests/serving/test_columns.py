"""Raw rows as columns: the same values as a table of the same rows would give."""

from __future__ import annotations

import json

import numpy as np
import pytest

from geartrain.domain.columns import columns_of_row
from geartrain.domain.contract import FieldTerms, FieldType
from geartrain.domain.expression import parse
from geartrain.serving.columns import columns_of, logged_row

FIELDS = (
    FieldTerms(name="amount", type=FieldType.NUMBER),
    FieldTerms(name="at", type=FieldType.TIMESTAMP),
    FieldTerms(name="home", type=FieldType.BOOLEAN),
    FieldTerms(name="country", type=FieldType.STRING),
)


def test_each_kind_has_its_form():
    """Numbers are float64 with NaN, whole times int64, whole booleans boolean, all else objects with None."""
    rows = [
        {"amount": 3, "at": "1970-01-01T00:00:01Z", "home": True, "country": "NL", "extra": 2},
        {"amount": None, "at": 5, "home": False, "country": None},
    ]
    columns = columns_of(rows, ("amount", "at", "home", "country", "extra", "never"), FIELDS)

    assert columns["amount"].tolist() == [3.0, pytest.approx(float("nan"), nan_ok=True)]
    assert (columns["at"].dtype, columns["at"].tolist()) == (np.int64, [1_000_000, 5])
    assert (columns["home"].dtype, columns["home"].tolist()) == (bool, [True, False])
    assert columns["country"].tolist() == ["NL", None]
    assert (columns["extra"].dtype, columns["extra"][0]) == (np.float64, 2.0)
    assert columns["never"].tolist() == [None, None]


@pytest.mark.parametrize(
    "text", ["amount * 2", "is_null(amount)", "5 if home else 1", "1 if country == 'NL' else 2"]
)
def test_an_expression_has_the_value_that_it_has_for_one_row(text):
    """A cost over a batch is, row by row, the cost over each row alone."""
    rows = [
        {"amount": 3.5, "home": True, "country": "NL"},
        {"amount": None, "home": None, "country": "BE"},
        {"amount": 0, "home": False, "country": None},
    ]
    expression = parse(text)
    together = expression.evaluate(columns_of(rows, expression.columns, FIELDS), rows=3)
    alone = [expression.evaluate(columns_of_row(row), rows=1)[0] for row in rows]

    assert together.astype(float).tolist() == pytest.approx([float(one) for one in alone], nan_ok=True)


def test_a_logged_row_holds_scalars_only():
    """Nested values are kept as JSON text, integers that no column can hold as floats."""
    row = logged_row({"a": [1, {"b": None}], "n": 2**70, "t": "x", "z": None})

    assert json.loads(row) == {"a": '[1,{"b":null}]', "n": float(2**70), "t": "x", "z": None}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b'{"a": 1.50, "n": 7}', b'{"a": 1.50, "n": 7}'),
        (rb'{"a": "M\u00fcller"}', '{"a":"Müller"}'.encode()),
        (b'{"a": {"b": 1}}', rb'{"a":"{\"b\":1}"}'),
        (b'{"a": 100000000000000000000}', b'{"a":1e20}'),
    ],
)
def test_what_was_sent_is_kept_as_it_came_where_it_can_be_found_again(sent, kept):
    """Escapes are resolved, nested values and numbers that no column holds rewritten; the rest stays to the byte."""
    assert logged_row(json.loads(sent), sent) == kept
