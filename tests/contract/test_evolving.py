"""What a changed schema asks of rows: each kind of change by its name, and its reverse by the opposite one."""

from dataclasses import replace

import pytest

from geartrain.contract.evolving import schema_changes
from geartrain.contract.parsing import parse
from geartrain.domain.contract import FieldTerms, FieldType, SourceKind, SourceTerms
from geartrain.errors import ContractInvalid

BASE = FieldTerms(
    name="x", type=FieldType.INTEGER, minimum=0, maximum=9, values=("1", "2"), pattern=None, refers_to="b.id"
)
SOURCE = SourceTerms(name="s", kind=SourceKind.EVENTS, key="id", fields=(BASE,), rules=(("r", "x > 0"),))
OPPOSITE = {"tighter": "looser", "looser": "tighter", "different": "different"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"type": FieldType.NUMBER}, "looser"),
        ({"type": FieldType.BOOLEAN}, "different"),
        ({"required": True}, "tighter"),
        ({"unique": True}, "tighter"),
        ({"minimum": 1.0}, "tighter"),
        ({"minimum": None}, "looser"),
        ({"maximum": 8.0}, "tighter"),
        ({"values": ("1",)}, "tighter"),
        ({"values": ("1", "3")}, "different"),
        ({"values": ()}, "looser"),
        ({"pattern": "[0-9]"}, "tighter"),
        ({"refers_to": None}, "looser"),
        ({"refers_to": "c.id"}, "different"),
        ({"unit": "EUR"}, "different"),
        ({"path": "$.a.x"}, "different"),
    ],
)
def test_each_change_of_a_field_has_its_kind(change, kind):
    """And taken back it has the opposite one."""
    changed = replace(SOURCE, fields=(replace(BASE, **change),))

    assert [one.kind.value for one in schema_changes((SOURCE,), (changed,))] == [kind]
    assert [one.kind.value for one in schema_changes((changed,), (SOURCE,))] == [OPPOSITE[kind]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"fields": (BASE, FieldTerms(name="y", type=FieldType.STRING))},
            "s.y: new, may be missing (looser)",
        ),
        (
            {"fields": (BASE, FieldTerms(name="y", type=FieldType.STRING, required=True))},
            "s.y: new, required (tighter)",
        ),
        ({"fields": ()}, "s.x: is not asked for any more (looser)"),
        ({"key": "name"}, "s.key: id -> name (different)"),
        ({"rules": ()}, "s.rules.r: x > 0 -> None (looser)"),
        ({"rules": (("r", "x > 1"),)}, "s.rules.r: x > 0 -> x > 1 (different)"),
    ],
)
def test_each_change_of_a_source_is_told(change, told):
    """Fields that come and go, the key, the rules."""
    assert [str(one) for one in schema_changes((SOURCE,), (replace(SOURCE, **change),))] == [told]
    assert schema_changes((SOURCE,), (SOURCE,)) == ()


CONTRACT = """\
product: {{name: shop, title: Shop, problem: which parcel comes back}}
team: {{product: Ann}}
decision: {{task: binary, unit: a parcel, label: back, positive: "yes", negative: "no"}}
data:
  sources:
    parcels:
      kind: decisions
      key: id
      rules: {{r: "{rule}"}}
      fields:
        id: {{type: string}}
        n: {{type: number, {more}}}
        back: {{type: string, values: ["yes", "no"]}}
"""


@pytest.mark.parametrize(
    ("rule", "more", "said"),
    [
        ("n >", "min: 0", "no condition in SQL"),
        ("select 1", "min: 0", "no condition in SQL"),
        ("n > 0", "refers_to: people.name", "no source has this column"),
        ("n > 0", "file_digest: sha", "a file is named by text"),
    ],
)
def test_what_the_door_could_not_ask_is_told_when_the_contract_is_read(rule, more, said):
    """With the place in the file, long before a row arrives."""
    with pytest.raises(ContractInvalid) as told:
        parse(CONTRACT.format(rule=rule, more=more))
    assert said in str(told.value)
    assert parse(CONTRACT.format(rule="n > 0", more="min: 0")).data.decisions.rules == (("r", "n > 0"),)
