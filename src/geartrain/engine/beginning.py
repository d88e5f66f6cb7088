"""A new product's folder: a contract to argue about, its code with the defaults written out, what to do next."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from geartrain.contract.parsing import parse
from geartrain.contract.scaffolding import ColumnSeen, scaffold
from geartrain.data.describing import describe_columns
from geartrain.data.reading import read_rows
from geartrain.domain.contract import Contract, FieldType
from geartrain.domain.features import FeatureSet, FeatureType, RequestFeature
from geartrain.domain.task import Task
from geartrain.engine.products import CONTRACT_FILE, FEATURES_FILE, MODEL_FILE
from geartrain.errors import ColumnMissing, FeatureInvalid, SettingInvalid
from geartrain.features.checking import default_features
from geartrain.training.recipe import Choice, Dimension, Integer, Recipe, default_recipe

README_FILE = "README.md"
_NOT_SLUG = re.compile(r"[^a-z0-9]+")

#: Stand-in columns for a team that has no data yet: something to rename, not to keep.
_NOTHING_YET = (
    ColumnSeen(name="case_id", type=FieldType.STRING, rows=0),
    ColumnSeen(name="amount", type=FieldType.NUMBER, rows=0),
    ColumnSeen(name="outcome", type=FieldType.STRING, rows=0, distinct=2, values=("no", "yes")),
)


def slug(name: str) -> str:
    """A product's name in the form that the contract asks for.

    >>> slug("My first Product!")
    'my-first-product'
    """
    found = _NOT_SLUG.sub("-", name.lower()).strip("-")
    if not found:
        raise SettingInvalid(
            "a product's name needs a letter or a digit", found=name, hint="such as `wine-classes`"
        )
    return found if found[0].isalpha() else f"p-{found}"


def from_rows(
    folder: Path,
    data: Path | None,
    *,
    label: str | None,
    task: Task | None = None,
    positive: str | None = None,
    person: str = "you",
) -> dict[str, str]:
    """The files of a new product, from a file of rows or, without one, to be filled in.

    Raises:
        SourceUnreadable: The file cannot be read.
        ColumnMissing: No label was named, or no column is called that.
        TrainingImpossible: The label does not fit the task.
    """
    name = slug(folder.resolve().name)
    rows = 0
    if data is None:
        text = scaffold(name, columns=_NOTHING_YET, label="outcome", key="case_id", task=task, person=person)
    else:
        frame = read_rows(data)
        rows = frame.height
        columns = describe_columns(frame)
        if label is None:
            raise ColumnMissing(
                "which column is the truth that is to be predicted?",
                where=str(data),
                found="columns " + ", ".join(one.name for one in columns),
                hint="name it: --label COLUMN",
            )
        location = os.path.relpath(data.resolve(), folder.resolve())
        text = scaffold(
            name,
            columns=columns,
            label=label,
            task=task,
            positive=positive,
            location=location,
            person=person,
        )
    contract = parse(text, origin=CONTRACT_FILE)
    return {
        CONTRACT_FILE: text,
        FEATURES_FILE: _first_features(contract),
        MODEL_FILE: model_text(default_recipe(contract.decision.task, rows), contract.decision.task),
        README_FILE: readme_text(contract, data),
    }


def write_product(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a new product into a folder of its own; nothing is ever overwritten.

    Raises:
        SettingInvalid: There is something in that folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingInvalid(
            "there is something in this place already, and nothing is overwritten",
            where=str(folder),
            hint="choose another name, or move it away",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def features_text(features: FeatureSet) -> str:
    """`features.py` with the default features written out, to be edited."""
    lines = [
        '"""What the model may look at, and why: one line a feature."""',
        "",
        "from __future__ import annotations",
        "",
        "from geartrain.features.declaring import feature_set, request",
        "",
        "# Say who owns a feature and why it should matter:",
        '#     request("amount", unit="EUR", owner="domain", because="thieves take more at once"),',
        "# and what happened before: `window` counts and sums past events of an entity.",
        "features = feature_set(",
    ]
    for one in features.features:
        assert isinstance(one, RequestFeature)
        said = [_text(one.name)]
        if one.type is not FeatureType.NUMBER:
            said.append(f"type={_text(one.type.value)}")
        if one.missing_is_signal:
            said.append("missing_is_signal=True")
        lines.append(f"    request({', '.join(said)}),")
    return "\n".join([*lines, ")", ""])


def _first_features(contract: Contract) -> str:
    """`features.py` with the default features, or with counts over free text where there is nothing else.

    Raises:
        FeatureInvalid: No column may be a feature, and none is free text.
    """
    try:
        return features_text(default_features(contract))
    except FeatureInvalid:
        fields = contract.data.decisions.fields if contract.data is not None else ()
        texts = [one.name for one in fields if one.type is FieldType.TEXT and one.feature]
        if not texts:
            raise
        return _TEXT_FEATURES + _text_lines(texts)


def _text_lines(columns: list[str]) -> str:
    """A line for each count over each of the *columns*."""
    lines = ["features = feature_set("]
    for column in columns:
        place = _text(column)
        lines += [f"    function({_text(f'{column}_{one}')}, {one}, texts=({place},))," for one in _COUNTS]
    return "\n".join([*lines, ")", ""])


_COUNTS = ("characters", "words", "digits", "capitals", "links")
_TEXT_FEATURES = r'''"""What the model may look at, and why: counts over free text, as a start."""

from __future__ import annotations

from geartrain.features.declaring import feature_set, function

# A function is given one batch of texts and gives back a number for each; a missing text stays missing.
# Each rests on its own text and on imports of its own. Write those that you know to matter.


def characters(batch):
    import pyarrow.compute as pc

    return pc.cast(pc.utf8_length(batch.column(0)), "float64")


def words(batch):
    import pyarrow.compute as pc

    return pc.cast(pc.count_substring_regex(batch.column(0), r"\S+"), "float64")


def digits(batch):
    import pyarrow.compute as pc

    return pc.cast(pc.count_substring_regex(batch.column(0), r"[0-9]"), "float64")


def capitals(batch):
    import pyarrow.compute as pc

    return pc.cast(pc.count_substring_regex(batch.column(0), r"\p{Lu}"), "float64")


def links(batch):
    import pyarrow.compute as pc

    return pc.cast(pc.count_substring_regex(batch.column(0), r"(?i)https?://|www\."), "float64")


'''


def model_text(recipe: Recipe, task: Task) -> str:
    """`model.py` with the default recipe written out, to be edited."""
    kinds = sorted({type(dimension).__name__.lower() for _, dimension in recipe.search})
    lines = [
        '"""How the model is found: which algorithm, and what the search may change."""',
        "",
        "from __future__ import annotations",
        "",
        f"from geartrain.training.recipe import {', '.join([*kinds, 'recipe'])}",
        "",
        "# In place of a name stands a function (params, seed) -> estimator for any model of your own.",
        "model = recipe(",
        f"    {_text(recipe.algorithm)},",
        "    search={",
        *(f"        {_text(name)}: {_dimension(dimension)}," for name, dimension in recipe.search),
        "    },",
        *(
            [f"    calibrate={_text(recipe.calibrate.value)},"]
            if task.has_classes
            else ['    calibrate="none",']
        ),
        ")",
        "",
    ]
    return "\n".join(lines)


def _text(value: str) -> str:
    """A Python literal in double quotes: for text, JSON's are the same."""
    return json.dumps(value, ensure_ascii=False)


def _dimension(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return f"choice({', '.join(map(repr, dimension.options))})"
    log = ", log=True" if dimension.log else ""
    kind = "integer" if isinstance(dimension, Integer) else "number"
    return f"{kind}({dimension.low}, {dimension.high}{log})"


def readme_text(contract: Contract, data: Path | None) -> str:
    """What to do next, in the order in which it pays."""
    title = contract.product.title
    place = "" if data is not None else " FILE"
    return f"""# {title}

| file | what it says | who answers for it |
|---|---|---|
| `product.yaml` | the contract: problem, costs, promises, data, team | all four roles |
| `features.py` | what the model may look at | domain, science |
| `model.py` | how the model is found | science |

Run these here, one after the other. Each says what it did and what comes next.

    geartrain contract check            # is the contract whole?
    geartrain contract show             # the same in plain sentences
    geartrain ingest{place}                    # rows through the door into the lake
    geartrain feasibility               # can the promises be kept at all?
    geartrain train
    geartrain compress
    geartrain evaluate                  # opens the sealed rows once, proposes a release
    geartrain release sign --role product --as NAME     # each role that the contract names
    geartrain release promote

Begin with `costs` in `product.yaml`: what does each error really cost? Every decision follows from it.
"""
