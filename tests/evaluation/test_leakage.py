"""Each check of integrity finds what is planted and passes what is clean; what it finds blocks."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from geartrain.contract.implied import IMPLIED
from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.columns import columns_of
from geartrain.domain.contract import (
    Contract,
    DataTerms,
    DecisionTerms,
    FieldTerms,
    FieldType,
    ProductTerms,
    SourceKind,
    SourceTerms,
)
from geartrain.domain.features import Aggregation, FeatureSet, RequestFeature, WindowFeature
from geartrain.domain.finding import Status
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.evaluation.leakage import Exhibit, judge_integrity
from geartrain.evaluation.leakage_duplicates import nearly_repeated_rows, repeated_rows
from geartrain.evaluation.leakage_pools import known_entities, naming_columns

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
absent = pytest.mark.skipif(not SHARED.exists(), reason="the public data sets are not on this machine")


def clause(name, **changed):
    implied = IMPLIED[name]
    said = {
        "bound": implied.at_most,
        "severity": implied.severity,
        "because": implied.because,
        **changed,
    }
    return Clause(
        path=f"integrity.{name}",
        metric=implied.metric,
        comparison=Comparison.AT_MOST,
        owner=Role.SCIENCE,
        **said,
    )


def contract(*clauses, fields=(), group=None, by_time=False, delay_days=0.0):
    source = SourceTerms(
        name="rows", kind=SourceKind.DECISIONS, key="id", event_time="at", fields=tuple(fields)
    )
    return Contract(
        product=ProductTerms(name="p", title="P", problem="?"),
        decision=DecisionTerms(task=Task.BINARY, unit="row", label="y", label_delay_s=delay_days * 86_400),
        team=(),
        data=DataTerms(sources=(source,), group=group, time_split=by_time),
        clauses=clauses or tuple(clause(name) for name in IMPLIED),
    )


def field(name, kind=FieldType.NUMBER, **more):
    return FieldTerms(name=name, type=kind, **more)


def request(*names):
    return tuple(RequestFeature(name=name, expression=f"`{name}`") for name in names)


def exhibit(raw, truth, *, agreed=None, features=None, pools=None, **more):
    """Rows shared out at random, 60:20:20, every raw column a feature unless said otherwise."""
    rows = len(truth)
    order = np.random.default_rng(0).permutation(rows)
    search, select, verdict = pools or np.split(order, [int(rows * 0.6), int(rows * 0.8)])
    defined = request(*raw) if features is None else features
    return Exhibit(
        contract=agreed or contract(),
        raw=raw,
        features={one.name: raw[one.name] for one in defined if one.name in raw},
        definitions=FeatureSet(features=tuple(defined)),
        truth=np.asarray(truth),
        search=search,
        select=select,
        verdict=verdict,
        **more,
    )


def judged(shown, name, **changed):
    """The finding about one clause."""
    agreed = replace(shown.contract, clauses=(clause(name, **changed),))
    (found,) = judge_integrity(replace(shown, contract=agreed), stage=Stage.RELEASE, now=NOW)
    return found


def people(rows=900, *, seed=0):
    """An honest table: some causes, a truth that follows from them with noise."""
    chance = np.random.default_rng(seed)
    raw = {f"x{i}": chance.normal(size=rows) for i in range(5)}
    truth = (sum(raw.values()) + chance.normal(size=rows) > 0).astype(np.int64)
    return raw, truth, chance


def test_an_honest_run_keeps_every_clause():
    """Eight checks, no alarm; each finding is one sentence that ends with its status."""
    raw, truth, chance = people()
    times = np.arange(900) * DAY_US
    pools = np.arange(540), np.arange(540, 720), np.arange(720, 900)
    shown = exhibit(
        raw,
        truth,
        agreed=contract(by_time=True),
        pools=pools,
        times_us=times,
        fitting=lambda: (
            repeated_rows({"x": chance.normal(size=9)}, judged=pools[0][:3], known=pools[0][3:9]).measurement
        ),
    )
    found = judge_integrity(shown, stage=Stage.RELEASE, now=NOW)

    assert {one.clause.removeprefix("integrity."): one.status for one in found} == dict.fromkeys(
        IMPLIED, Status.KEPT
    )
    assert all(one.message.endswith(": kept") for one in found)
    at_release = replace(shown, contract=contract(clause("groups", stages=(Stage.RELEASE,))))
    assert judge_integrity(at_release, stage=Stage.LIVE, now=NOW) == ()


class TestCopies:
    """Rows that stand on both sides."""

    def test_planted_copies_block(self):
        """Twenty judged rows taken from those to learn from are found, label and all, and block."""
        raw, truth, _ = people()
        shown = exhibit(raw, truth)
        for name in raw:
            raw[name][shown.verdict[:20]] = raw[name][shown.search[:20]]
        shown.truth[shown.verdict[:20]] = shown.truth[shown.search[:20]]
        found = judged(shown, "duplicates")

        assert (found.status, found.blocks, found.rows) == (Status.BROKEN, True, 180)
        assert found.message == (
            "20 of 180 judged rows equal one that was learned from, label and all; by chance about 0.0;"
            " 11.1 %, promised at most 1 %: broken;"
            " it was promised because a row that was learned from proves nothing"
        )

    def test_an_opposite_label_is_no_copy(self):
        """Two people who are alike and whose truths differ flatter nobody."""
        raw, truth, _ = people()
        shown = exhibit(raw, truth)
        for name in raw:
            raw[name][shown.verdict[:20]] = raw[name][shown.search[:20]]
        shown.truth[shown.verdict[:20]] = 1 - shown.truth[shown.search[:20]]

        assert judged(shown, "duplicates", bound=0.0).status is Status.KEPT

    def test_coarse_columns_meet_by_chance_and_that_is_said(self):
        """Two columns of three values: nearly every row meets a like one, and about as many would by chance."""
        chance = np.random.default_rng(0)
        raw = {name: chance.integers(0, 3, 600).astype(float) for name in ("a", "b")}
        found = judged(exhibit(raw, chance.integers(0, 2, 600)), "duplicates")

        assert found.status is Status.BROKEN
        assert "120 of 120" in found.message
        assert "by chance about 120" in found.message

    def test_missing_equals_missing_and_key_and_arrival_do_not_count(self):
        """A row delivered twice under two names is one row; NaN and None are no difference."""
        raw = {
            "id": np.arange(6.0),
            "x": np.array([1, np.nan, 2, 1, np.nan, 3.0]),
            "c": np.array(["a", None, "b", "a", None, "b"], dtype=object),
        }
        shown = exhibit(
            raw,
            np.array([0, 1, 0, 0, 1, 0]),
            pools=(np.array([0, 1]), np.array([2]), np.array([3, 4, 5])),
        )
        assert judged(shown, "duplicates").value == pytest.approx(2 / 3)

    @absent
    def test_twenty_three_adults(self):
        """Of the official test rows of Adult 23 equal a training row in every column and the label."""
        frame = pl.read_parquet(SHARED / "tabular" / "adult.parquet")
        of = frame["split"].to_numpy()
        columns = columns_of(frame.drop("split"))
        copies = repeated_rows(
            columns, judged=np.flatnonzero(of == "test"), known=np.flatnonzero(of == "train")
        )
        assert len(copies.judged) == 23
        assert copies.measurement.value == pytest.approx(23 / 16_281)

    @absent
    def test_short_messages_repeat(self):
        """403 of 5,574 messages stand there more than once; a random split carries them across, near ones too."""
        texts = pl.read_parquet(SHARED / "text" / "sms_spam.parquet")["text"]
        assert len(texts) - texts.n_unique() == 403

        order = np.random.default_rng(0).permutation(len(texts))
        known, asked = order[:3344], order[3344:]
        columns = {"text": texts.to_numpy().astype(object)}
        exact = repeated_rows(columns, judged=asked, known=known)
        near = nearly_repeated_rows(columns, judged=asked, known=known)
        assert len(exact.judged) > 150
        assert set(exact.judged) < set(near.judged)
        assert near.measurement.low > 0.05

        unique = np.unique(columns["text"], return_index=True)[1]
        apart = repeated_rows(columns, judged=unique[:1000], known=unique[1000:])
        assert apart.measurement.value == 0.0

    @absent
    def test_x_rays_of_one_kind_are_alike_but_few_are_copies(self):
        """Of 270 validation images 3 equal a training image to the byte; the hash alone would suspect hundreds."""
        frame = pl.read_parquet(SHARED / "images" / "pneumoniamnist_28.parquet")
        of = frame["split"].to_numpy()
        columns = {"pixels": np.array(frame["pixels_uint8_28x28"].to_list(), dtype=object)}
        train, val, test = (np.flatnonzero(of == name) for name in ("train", "val", "test"))

        assert len(nearly_repeated_rows(columns, judged=val, known=train).judged) == 3
        assert len(repeated_rows(columns, judged=val, known=train).judged) == 3
        assert len(nearly_repeated_rows(columns, judged=test, known=train).judged) == 0

    def test_planted_near_texts_block_and_numbers_are_not_asked(self):
        """A text column that nobody declared is found by its words; a table of numbers has none, and says so."""
        raw, truth, chance = people(300)
        words = np.array(
            [
                "the",
                "quick",
                "brown",
                "fox",
                "jumps",
                "over",
                "a",
                "lazy",
                "dog",
                "while",
                "rain",
                "falls",
                "on",
                "tin",
                "roofs",
            ]
        )
        texts = np.array([" ".join(chance.permutation(words)) for _ in range(300)], dtype=object)
        shown = exhibit({**raw, "text": texts}, truth, features=request(*raw))
        assert judged(shown, "near_duplicates").status is Status.KEPT

        texts[shown.verdict[:9]] = [text.upper() + "!" for text in texts[shown.search[:9]]]
        assert judged(shown, "near_duplicates").status is Status.BROKEN
        assert "no column holds a text or an image" in judged(exhibit(raw, truth), "near_duplicates").message


class TestPeople:
    """Somebody who stands on both sides."""

    @absent
    def test_patients_come_back(self):
        """101,766 visits of 71,518 patients: split by row a third of the judged visits leak, by patient none."""
        frame = pl.read_parquet(SHARED / "tabular" / "diabetes130.parquet")
        assert (frame.height, frame["patient_nbr"].n_unique()) == (101_766, 71_518)
        few = frame.select("patient_nbr", "gender", "race", "age", "time_in_hospital", "num_medications")
        columns = columns_of(few)
        rows = np.random.default_rng(0).permutation(frame.height)
        by_row = known_entities(columns, judged=rows[:20_000], known=rows[20_000:], named=["patient_nbr"])
        patients = few["patient_nbr"].to_numpy()
        held = np.isin(patients, np.unique(patients)[:14_000])
        by_patient = known_entities(
            columns, judged=np.flatnonzero(held), known=np.flatnonzero(~held), named=["patient_nbr"]
        )

        assert by_row.value > 0.3
        assert by_patient.value == 0.0
        # Nobody has to name the column: sex and race give away that it names people.
        assert naming_columns(columns) == ("patient_nbr",)

    @absent
    @pytest.mark.parametrize(
        "name", ["adult", "german_credit", "bank_additional_full", "credit_card_default_taiwan", "ricci"]
    )
    def test_measurements_name_nobody(self, name):
        """Amounts and weights repeat as well (28,523 weights of 48,842 adults), and name nobody."""
        frame = pl.read_parquet(SHARED / "tabular" / f"{name}.parquet")
        assert naming_columns(columns_of(frame[:20_000])) == ()

    def test_a_named_group_on_both_sides_blocks(self):
        """Under `data.split.group` not one row may have a known group."""
        raw, truth, chance = people()
        raw["patient"] = chance.integers(0, 300, 900).astype(float)
        shown = exhibit(raw, truth, agreed=contract(group="patient"), features=request("x0"))
        assert judged(shown, "groups").status is Status.BROKEN

        raw["patient"] = np.arange(900.0)
        assert judged(shown, "groups").status is Status.KEPT

    def test_a_window_s_entity_is_somebody(self):
        """Nobody named the card as a group, yet features are made of its past: a split by row leaks it."""
        raw, truth, chance = people()
        raw["card"] = np.array([f"c{i}" for i in chance.integers(0, 300, 900)], dtype=object)
        features = (
            *request("x0"),
            WindowFeature(name="n", source="rows", entity="card", aggregation=Aggregation.COUNT),
        )
        shown = exhibit(raw, truth, features=features)
        found = judged(shown, "groups")

        assert found.status is Status.BROKEN
        assert "by `card`" in found.message
        assert judged(shown, "groups", parameters=(("accept", ("card",)),)).status is Status.KEPT
        later = exhibit(raw, truth, features=features, agreed=contract(by_time=True))
        assert judged(later, "groups").status is Status.KEPT

    def test_an_identity_kept_from_the_model_is_somebody(self):
        """A text or whole number that the contract sets aside (`feature: false`) and that comes back is asked."""
        raw, truth, chance = people()
        raw["customer"] = chance.integers(0, 400, 900).astype(float)
        fields = [field("customer", FieldType.INTEGER, feature=False)]
        shown = exhibit(raw, truth, agreed=contract(fields=fields), features=request("x0"))
        assert judged(shown, "groups").status is Status.BROKEN


class TestTime:
    """What was not known yet."""

    def shown(self, *, delay_days=0.0, **more):
        raw, truth, _ = people()
        times = np.arange(900) * DAY_US
        pools = np.arange(500), np.arange(540, 700), np.arange(720, 900)
        return exhibit(
            raw,
            truth,
            agreed=contract(by_time=True, delay_days=delay_days),
            pools=pools,
            times_us=times,
            **more,
        )

    def test_a_gap_of_the_label_delay_keeps_it(self):
        """The last row learned from happened on day 699, the first judged one on day 720."""
        assert judged(self.shown(delay_days=21), "time").status is Status.KEPT
        found = judged(self.shown(delay_days=40), "time")
        assert found.status is Status.BROKEN
        assert "19 had their truth due after it" in found.message

    def test_rows_of_the_future_block(self):
        """A split by chance over rows that have a time learns from the future."""
        raw, truth, _ = people()
        found = judged(exhibit(raw, truth, times_us=np.arange(900) * DAY_US), "time")
        assert found.status is Status.BROKEN
        assert "happened after the first judged row" in found.message

    def test_truths_that_came_later_than_promised_block(self):
        """The contract's delay is a promise; the clock of the label source says what was so."""
        arrived = np.arange(900.0) * DAY_US + DAY_US
        assert judged(self.shown(label_times_us=arrived), "time").status is Status.KEPT
        arrived[100:130] = 900 * DAY_US
        found = judged(self.shown(label_times_us=arrived), "time")
        assert found.status is Status.BROKEN
        assert "30 had their truth in fact later than promised" in found.message

    def test_rows_written_in_hindsight_block(self):
        """A row that arrives after its own truth may have been written by somebody who knew it."""
        told = np.arange(900.0) * DAY_US + DAY_US
        assert (
            judged(self.shown(label_times_us=told, arrivals_us=told - DAY_US / 2), "time").status
            is Status.KEPT
        )
        found = judged(self.shown(label_times_us=told, arrivals_us=told + 1), "time")
        assert found.status is Status.BROKEN
        assert "arrived after their own truth was known" in found.message

    def test_a_column_that_is_known_later_blocks(self):
        """`known_after` of a column that a feature reads, also inside an expression; and it is no alarm where it is 0."""
        raw, truth, _ = people()
        fields = [field("x0", known_after_s=3 * 86_400.0), field("x1", known_after_s=0.0)]
        features = (RequestFeature(name="sum", expression="x0 + x1"), *request("x1"))
        shown = exhibit(raw, truth, agreed=contract(fields=fields), features=features)
        found = judged(shown, "availability")

        assert (found.status, found.value) == (Status.BROKEN, 1.0)
        assert "`sum` reads `x0`, known 3 days later" in found.message
        clean = exhibit(raw, truth, agreed=contract(fields=fields), features=request("x1"))
        assert judged(clean, "availability").status is Status.KEPT


class TestProxies:
    """Columns that give the truth away, in the contract's terms."""

    def shown(self, **more):
        raw, truth, chance = people(1500)
        # Five strong causes beside it: what is lost without the leak is then little.
        raw["late"] = truth + chance.normal(size=1500) * 0.3
        return exhibit(raw, truth, **more)

    def test_the_proxy_blocks_and_says_what_to_do(self):
        """The column is named, with what it alone can do and where the contract can answer."""
        found = judged(self.shown(), "target_proxy")
        assert found.status is Status.BROKEN
        assert "`late`" in found.message
        assert "integrity.target_proxy.accept" in found.message

    def test_the_expert_accepts_or_says_when_it_is_known(self):
        """By name, also where the feature only reads the column; or by `known_after: 0 days`."""
        by_name = (("accept", ("late",)),)
        assert judged(self.shown(), "target_proxy", parameters=by_name).status is Status.KEPT
        known = contract(fields=[field("late", known_after_s=0.0)])
        assert judged(self.shown(agreed=known), "target_proxy").status is Status.KEPT

    def test_one_class_is_not_measured(self):
        """Where there is nothing to tell apart, no column can be asked: said, and no release."""
        raw, _, _ = people(200)
        found = judged(exhibit(raw, np.zeros(200, dtype=np.int64)), "target_proxy")
        assert found.status is Status.NOT_MEASURED
        assert found.blocks
        assert "second class" in found.message


class TestSampling:
    """Another world among the judged rows."""

    def test_a_shifted_world_warns_and_names_the_column(self):
        """A column whose level changed is what tells the pools apart; it warns and does not block."""
        raw, truth, _ = people()
        shown = exhibit(raw, truth)
        assert judged(shown, "sampling").status is Status.KEPT

        raw["x3"][shown.verdict] += 3
        found = judged(exhibit(raw, truth), "sampling")
        assert (found.status, found.blocks) == (Status.BROKEN, False)
        assert "most by `x3`" in found.message

    def test_too_few_rows_are_said(self):
        """Five judged rows cannot be told apart from anything."""
        raw, truth, _ = people(40)
        pools = np.arange(30), np.arange(30, 35), np.arange(35, 40)
        found = judged(exhibit(raw, truth, pools=pools), "sampling")
        assert found.status is Status.NOT_MEASURED
        assert "fewer than 6 rows" in found.message
