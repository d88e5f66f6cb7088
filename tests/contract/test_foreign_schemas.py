"""Schemas of other tools, out and in: nothing changes its meaning, nothing is dropped in silence."""

import importlib.resources
import json
import warnings

import jsonschema
import pytest
import yaml

from geartrain.contract.foreign import length_pattern, whole_pattern
from geartrain.contract.frame_schemas import from_dataframely, from_pandera, load_schema
from geartrain.contract.odcs import from_odcs, to_odcs
from geartrain.contract.parsing import parse
from geartrain.errors import ContractUnreadable

HEAD = """\
product: {name: shop, title: Shop, problem: which parcel comes back}
team: {product: Ann}
decision: {task: binary, unit: a parcel, label: back, positive: "yes", negative: "no"}
"""
CONTRACT = (
    HEAD
    + """\
data:
  sources:
    parcels:
      kind: decisions
      key: id
      event_time: at
      location: data/parcels.csv
      freshness: {at_most: 2 hours}
      rows_per_day: 300
      on_bad_row: refuse-batch
      clock_ahead: 5 minutes
      every_column_listed: true
      rules: {fee-within: "fee <= amount OR amount IS NULL"}
      csv: {decimal: ",", dates: "%d.%m.%Y"}
      fields:
        id: {type: string, required: true, unique: true}
        at: {type: timestamp, required: true}
        amount: {type: number, min: 0, max: 99.5, unit: EUR, missing: signal, description: what was paid}
        fee: {type: number}
        count: {type: integer, min: 1, path: $.order.count}
        site: {type: string, values: [A, B]}
        code: {type: string, pattern: "[A-Z]{2}|X"}
        customer: {type: string, refers_to: people.name, sensitive: true, feature: false}
        photo: {type: string, file_digest: photo_sha256}
        photo_sha256: {type: string}
        note: {type: text, known_after: 3 days}
        ok: {type: boolean}
        extra: {type: object}
    people:
      kind: events
      key: name
      fields: {name: {type: string}}
    returns:
      kind: labels
      key: return_id
      decision_key: id
      fields: {return_id: {type: string}, id: {type: string}, back: {type: string, values: ["yes", "no"]}}
"""
)


def published_schema():
    package = importlib.resources.files(pytest.importorskip("open_data_contract_standard").__name__)
    return json.loads((package / "schema.json").read_text(encoding="utf-8"))


def test_an_exported_contract_keeps_the_standards_own_schema():
    """Every field stands where ODCS 3.1 wants it, by the JSON Schema that its makers publish."""
    document = json.loads(json.dumps(to_odcs(parse(CONTRACT))))

    assert document["apiVersion"] == "v3.1.0"
    jsonschema.validate(document, published_schema())


def test_what_is_exported_and_taken_back_means_the_same():
    """Every term of every source, also those that only geartrain has words for."""
    contract = parse(CONTRACT)
    taken = from_odcs(yaml.safe_dump(to_odcs(contract)))
    again = parse(HEAD + taken.text())

    assert taken.notes == ()
    assert again.data.sources == contract.data.sources


FOREIGN = """\
apiVersion: v3.1.0
kind: DataContract
id: x
version: 1.0.0
status: active
servers: [{server: s, type: postgres, host: h, port: 1, database: d, schema: p}]
schema:
  - name: Orders
    properties:
      - {name: order_id, logicalType: string, primaryKey: true, logicalTypeOptions: {maxLength: 12}}
      - {name: day, logicalType: date, required: true}
      - name: customer
        logicalType: object
        properties:
          - {name: zip, logicalType: string, logicalTypeOptions: {pattern: "^[0-9]{5}$"}}
      - name: amount
        logicalType: number
        logicalTypeOptions: {minimum: 0, multipleOf: 0.01}
        quality:
          - {type: library, metric: nullValues, mustBe: 0}
          - {type: library, metric: invalidValues, mustBeLessThan: 5, unit: percent, arguments: {validValues: [1]}}
      - name: kind
        quality: [{type: library, metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0}]
        relationships: [{type: foreignKey, to: kinds.name}]
    quality:
      - {type: sql, name: No Debt, query: "SELECT COUNT(*) FROM orders WHERE amount < 0", mustBe: 0}
      - {type: custom, engine: soda, implementation: "checks"}
slaProperties:
  - {property: freshness, value: 2, unit: d, element: orders.day}
  - {property: retention, value: 3, unit: y}
"""


def test_a_foreign_contract_is_taken_over_and_the_rest_is_named():
    """What maps is a clause of ours; every other promise stands in a note, none is dropped."""
    taken = from_odcs(FOREIGN)
    orders = taken.sources["orders"]

    assert orders["key"] == "order_id"
    assert orders["freshness"] == {"at_most": "172800 seconds"}
    assert orders["rules"] == {"no-debt": "NOT (amount < 0)"}
    assert orders["fields"] == {
        "order_id": {"type": "string", "required": True, "pattern": "(?s).{0,12}"},
        "day": {"type": "timestamp", "required": True},
        "customer_zip": {"type": "string", "pattern": "[0-9]{5}", "path": "$.customer.zip"},
        "amount": {"type": "number", "min": 0, "required": True},
        "kind": {"type": "string", "values": ["a", "b"], "refers_to": "kinds.name"},
    }
    told = " | ".join(taken.notes)
    for word in ("servers", "retention 3 y", "multipleOf", "percent", "soda", "kind: events"):
        assert word in told
    assert len(taken.notes) == 6


@pytest.mark.parametrize("text", ["a: [", "just words", "kind: DataContract\napiVersion: v2.2.2\n"])
def test_what_is_no_data_contract_is_refused(text):
    """Broken YAML, another document, another version."""
    with pytest.raises(ContractUnreadable):
        from_odcs(text)


@pytest.mark.parametrize(
    ("anywhere", "whole"),
    [("^a$", "a"), ("a", ".*a.*"), ("^a", "a.*"), ("a$", ".*a"), ("^(?:a|b)$", "a|b"), ("^a|b$", "(?:a|b)")],
)
def test_patterns_keep_what_they_match(anywhere, whole):
    """Here a pattern holds for the whole text."""
    assert whole_pattern(anywhere) == whole
    assert length_pattern(None, 3) == "(?s).{0,3}"


SCHEMAS = '''
import dataframely as dy
import pandera.polars as pa
import polars as pl


class Orders(pa.DataFrameModel):
    """What pandera says."""

    id: str = pa.Field(unique=True)
    amount: float = pa.Field(ge=0, le=10, nullable=True)
    fee: float = pa.Field(gt=0)
    site: str = pa.Field(isin=["A", "B"])
    code: str = pa.Field(str_matches="[A-Z]")
    n: int = pa.Field(notin=[3])

    class Config:
        strict = True
        unique = ["id"]


class Payments(dy.Schema):
    """What dataframely says."""

    id = dy.String(primary_key=True)
    amount = dy.Float64(min=0, max_exclusive=1000)
    site = dy.Enum(["A", "B"])
    code = dy.String(nullable=True, regex="^[A-Z]+$")
    at = dy.Datetime(time_zone="UTC")
    ok = dy.Bool()

    @dy.rule()
    def fee_within(cls):
        return pl.col("amount") > 0
'''


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """A folder with a module of schemas, as a team has one."""
    pytest.importorskip("pandera")
    pytest.importorskip("dataframely")
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "team_schemas.py").write_text(SCHEMAS, encoding="utf-8")
    return folder


def test_a_pandera_schema_is_taken_over(schemas):
    """Types, nulls, keys, ranges, sets and patterns; a check without a word of ours is named."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        taken = from_pandera(load_schema("team_schemas:Orders", folder=schemas), name="orders")
    orders = taken.sources["orders"]

    assert orders["fields"] == {
        "id": {"type": "string", "required": True, "unique": True},
        "amount": {"type": "number", "min": 0, "max": 10},
        "fee": {"type": "number", "required": True},
        "site": {"type": "string", "required": True, "values": ["A", "B"]},
        "code": {"type": "string", "required": True, "pattern": "[A-Z].*"},
        "n": {"type": "integer", "required": True},
    }
    assert (orders["key"], orders["every_column_listed"]) == ("id", True)
    assert orders["rules"] == {"fee-greater_than": '"fee" > 0'}
    assert any("notin" in note for note in taken.notes)


def test_a_dataframely_schema_is_taken_over(schemas):
    """The same from dataframely; a rule in Python is named."""
    taken = from_dataframely(load_schema("team_schemas:Payments", folder=schemas), name="payments")
    payments = taken.sources["payments"]

    assert payments["fields"] == {
        "id": {"type": "string", "required": True, "unique": True},
        "amount": {"type": "number", "required": True, "min": 0},
        "site": {"type": "string", "required": True, "values": ["A", "B"]},
        "code": {"type": "string", "pattern": "[A-Z]+"},
        "at": {"type": "timestamp", "required": True},
        "ok": {"type": "boolean", "required": True},
    }
    assert payments["rules"] == {"amount-max_exclusive": '"amount" < 1000'}
    assert any("fee_within" in note for note in taken.notes)


def test_a_schema_that_is_not_there_is_said(tmp_path):
    """The module, the name, or an object that is no schema."""
    for place in ("nowhere:X", "json:Nothing"):
        with pytest.raises(ContractUnreadable):
            load_schema(place, folder=tmp_path)
    for read in (from_pandera, from_dataframely):
        with pytest.raises(ContractUnreadable):
            read(object(), name="x")
