from datetime import timedelta

import polars as pl
import pytest

from geartrain.domain.digest import digest_bytes
from geartrain.engine.products import load_product
from geartrain.features.checking import check_features


def _examples(request):
    return request.config.rootpath / "examples"


@pytest.mark.parametrize("name", ["card-fraud", "employee-performance", "loan-decision", "tumour-triage"])
def test_the_examples_load_and_their_features_hold(request, name):
    """Each example is a product: its contract parses, its features agree with it, its recipe is one."""
    product = load_product(_examples(request) / name)

    check_features(product.features, product.contract)
    assert product.name == name
    assert product.recipe.search
    assert len(product.contract.clauses) > 5
    assert load_product(_examples(request) / name).features.id == product.features.id


def _digests(files):
    return {name: digest_bytes(path.read_bytes()) for name, path in files.items()}


def test_triage_rows_are_the_same_for_the_same_seed(tmp_path, example_data):
    """The same seed writes the same bytes; another seed orders the same patients differently."""
    write = example_data("tumour-triage").write
    first, again, other = (write(tmp_path / part, seed=seed) for part, seed in (("a", 1), ("b", 1), ("c", 2)))

    assert _digests(first) == _digests(again)
    assert _digests(first) != _digests(other)
    ordered = [pl.read_csv(files["samples"]).sort("sample_id") for files in (first, other)]
    assert ordered[0].equals(ordered[1])
    assert ordered[0].height == 569


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    """The whole card-fraud world, once."""
    import importlib.util
    import sys

    path = _examples(request) / "card-fraud" / "data.py"
    spec = importlib.util.spec_from_file_location("card_fraud_world", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    files = module.write(tmp_path_factory.mktemp("world"), seed=7)
    feed = pl.read_ndjson(files["transactions"], infer_schema_length=None).with_columns(
        pl.col("at", "received_at").str.to_datetime(time_zone="UTC", time_unit="us")
    )
    return module, feed, pl.read_parquet(files["chargebacks"])


def test_card_fraud_rows_are_the_same_for_the_same_seed(tmp_path, example_data):
    """The same seed writes the same bytes, another seed writes others."""
    module = example_data("card-fraud")
    small = module.World(
        days=12, cards=60, terminals=40, habits_change=5, new_attack=8, feed_stops=3, cents_for_euros=4
    )
    first, again, other = (
        module.write(tmp_path / part, seed=seed, world=small) for part, seed in (("a", 1), ("b", 1), ("c", 2))
    )

    assert _digests(first) == _digests(again)
    for source in ("transactions", "chargebacks"):
        assert _digests(first)[source] != _digests(other)[source]


def test_the_feed_is_silent_for_half_a_day_and_catches_up(world):
    """Nothing arrives for twelve hours; what happened meanwhile arrives within ten minutes after."""
    module, feed, _ = world
    stop = module.START + timedelta(days=module.World().feed_stops, hours=9)
    resume = stop + timedelta(hours=12)

    arrived = pl.col("received_at")
    assert feed.filter((arrived >= stop) & (arrived < resume)).height == 0
    happened = feed.filter(pl.col("at").is_between(stop, resume - timedelta(hours=1)))
    assert happened.height > 50
    caught_up = happened.filter(arrived.is_between(resume, resume + timedelta(minutes=10))).height
    assert caught_up / happened.height > 0.97


def test_rows_are_malformed_and_doubled_at_the_stated_rates(world):
    """About 3 in 1000 amounts are no amount, 2 in 100 channels are missing, 4 in 1000 rows come twice."""
    _, feed, _ = world
    rows = feed.height
    amount = pl.col("amount")
    broken = feed.filter(amount.is_null() | amount.str.contains("EUR") | (amount == "-1.00")).height
    doubled = rows - feed["transaction_id"].n_unique()

    assert broken / rows == pytest.approx(0.003, rel=0.3)
    assert feed["card_id"].null_count() / rows == pytest.approx(0.0005, rel=0.6)
    assert 0.01 < feed["channel"].null_count() / rows < 0.025
    assert doubled / rows == pytest.approx(0.004, rel=0.3)
    assert (feed["received_at"] >= feed["at"]).all()


def test_one_acquirer_sends_cents_for_a_day(world):
    """On that day a third of the terminals send amounts a hundred times as large, and only then."""
    module, feed, _ = world
    first = module.START + timedelta(days=module.World().cents_for_euros)
    day = feed.filter(pl.col("at").is_between(first, first + timedelta(days=1), closed="left"))
    cents = pl.col("amount").str.contains(r"^\d+$")
    third = pl.col("terminal_id").str.slice(1).cast(pl.Int64) % 3 == 0

    assert day.filter(cents).height > 20
    assert day.filter(cents & ~third).height == 0
    assert feed.filter(cents).height == day.filter(cents).height


def test_fraud_becomes_known_about_seven_days_later_or_never(world):
    """Settlements come 7 to 9 days after the payment, and about 2 in 100 never come."""
    _, feed, labels = world
    late = (labels["settled_at"] - labels["at"]).dt.total_hours() / 24

    assert late.min() >= 7.0 - 1e-9
    assert 7.0 <= late.median() < 7.5
    assert late.quantile(0.99) < 9
    assert 1 - labels.height / feed["transaction_id"].n_unique() == pytest.approx(0.02, abs=0.004)


def test_fraud_rises_with_the_new_attack_and_comes_at_night(world):
    """From the day of the new attack on there is more fraud, and most of what is new is small and at night."""
    module, feed, labels = world
    begins = module.START + timedelta(days=module.World().new_attack)
    before, after = (labels.filter(part) for part in (pl.col("at") < begins, pl.col("at") >= begins))

    assert after["is_fraud"].mean() > 1.5 * before["is_fraud"].mean()

    def at_night(frame):
        return frame.filter("is_fraud")["at"].dt.hour().is_between(0, 4).mean()

    assert at_night(after) > 0.25 > at_night(before)
    changed = module.START + timedelta(days=module.World().habits_change)
    number = pl.col("amount").cast(pl.Float64, strict=False)
    usual = pl.col("at").is_between(changed - timedelta(days=8), changed - timedelta(days=1))
    new = pl.col("at").is_between(changed, changed + timedelta(days=7))
    assert (
        feed.filter(new).select(number.mean()).item() > 1.2 * feed.filter(usual).select(number.mean()).item()
    )
