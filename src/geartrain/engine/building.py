"""Build a release candidate: prepare rows, search, compress, judge, propose.

Each of the five is one durable step. What a step leaves behind lies in the blob store by
digest or in the ledger once; what it returns is a small JSON document with the names of
these things, and the documents of the steps before make the next one's input. A model in
memory does not outlive its process: a step that needs one fits it again from its
recorded parameters, which gives the same model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.digest import digest, short
from geartrain.domain.events import SnapshotTaken, TrialRecorded
from geartrain.domain.model import Pool, Trial
from geartrain.engine.bench import Builder, Document, bench_of, currency_of, remember
from geartrain.engine.lifting import trials_now, tried_on
from geartrain.engine.mitigating import mitigate
from geartrain.engine.pooling import commit_pools, meter_of, open_pool, pool_name, put_losses, taught_losses
from geartrain.engine.products import Product
from geartrain.engine.proposing import judge, offer
from geartrain.engine.rows import frame_bytes, take_rows
from geartrain.engine.shaping import shape
from geartrain.errors import ReleaseRefused
from geartrain.ports.workflow import Steps
from geartrain.training.folds import silent_folds
from geartrain.training.metering import Metering
from geartrain.training.search import search
from geartrain.training.selecting import select


def order(
    product: Product,
    *,
    now: datetime,
    seed: int,
    since: datetime | None = None,
    half_life_s: float | None = None,
    retrained: bool = False,
    trials: int | None = None,
    meter: str | None = None,
) -> Document:
    """What is to be built: the arguments of a run, whose digest names it.

    In *half_life_s* a row's weight in training falls to a half. *meter* names another mechanism than the Ladder for the pool `select` (see `Metering`).
    """
    return {
        "product": product.name,
        "folder": str(product.folder.resolve()),
        "contract": product.contract.id,
        "features": product.features.id,
        "recipe": product.recipe.id,
        "now": now.isoformat(),
        "since": since.isoformat() if since else None,
        "seed": seed,
        "retrained": retrained,
        "trials": trials or (product.contract.retraining.trials if product.contract.retraining else 10),
        **({"half_life_s": half_life_s} if half_life_s else {}),
        **({"meter": Metering(meter).value} if meter else {}),
    }


def run_id(plan: str, ordered: Mapping[str, object]) -> str:
    """The same order is the same run: asked for twice, it is done once."""
    return f"{plan}-{ordered['product']}-{short(digest(ordered))}"


def build(builder: Builder, steps: Steps, ordered: Document) -> Document:
    """All five steps; the answer has the id of the proposed release."""
    return propose(builder, steps, compress(builder, steps, train(builder, steps, ordered)))


def train(builder: Builder, steps: Steps, ordered: Document) -> Document:
    """Prepare rows and search."""
    _same_contract(builder, ordered)
    prepared = steps.step("prepare", lambda: _prepare(builder, ordered))
    done = {**ordered, **prepared}
    return {**done, **steps.step("search", lambda: _search(builder, done))}


def compress(builder: Builder, steps: Steps, trained: Document) -> Document:
    """Make smaller variants, judge each on `select`, choose."""
    _same_contract(builder, trained)
    return {**trained, **steps.step("compress", lambda: shape(builder, trained))}


def propose(builder: Builder, steps: Steps, compressed: Document) -> Document:
    """Open the sealed rows once, judge every clause, bundle the evidence, offer it for signatures."""
    _same_contract(builder, compressed)
    judged = steps.step("judge", lambda: judge(builder, compressed))
    done = {**compressed, **judged}
    return {**done, **steps.step("propose", lambda: offer(builder, done))}


def _same_contract(builder: Builder, document: Document) -> None:
    told = {
        "contract": builder.contract.id,
        "features": builder.product.features.id,
        "recipe": builder.product.recipe.id,
    }
    changed = [name for name, id_ in told.items() if document[name] != id_]
    if changed:
        raise ReleaseRefused(
            f"the {' and '.join(changed)} changed while this run was under way",
            where=str(builder.product.folder),
            hint="run `geartrain train` again: a candidate belongs to one contract, one recipe, one set of features",
        )


def _prepare(builder: Builder, ordered: Document) -> Document:
    contract, now = builder.contract, datetime.fromisoformat(ordered["now"])
    since = datetime.fromisoformat(ordered["since"]) if ordered["since"] else None
    snapshot, rows = take_rows(
        builder.workspace, contract, builder.product.features, known_at=now, since=since
    )
    builder.workspace.record_once(
        contract.product.name, [SnapshotTaken(snapshot=snapshot, id=snapshot.id)], now=now
    )
    labelled = len(rows) - rows.raw.get_column("_label").null_count()
    builder.teller.say(
        f"snapshot {short(snapshot.id)}: {len(rows):,} rows as known on {now:%Y-%m-%d}, {labelled:,} with a label"
    )
    return {
        "snapshot": snapshot.id,
        "raw": builder.workspace.blobs.put(frame_bytes(rows.raw)),
        "values": builder.workspace.blobs.put(frame_bytes(rows.features)),
    }


def _search(builder: Builder, document: Document) -> Document:
    contract, bench = builder.contract, bench_of(builder, document)
    now, product = datetime.fromisoformat(document["now"]), contract.product.name
    trials: list[Trial] = []
    kept: dict[str, str] = {}

    def keep(trial: Trial, losses: NDArray[np.float32]) -> None:
        kept[trial.id] = put_losses(builder.workspace.blobs, losses.astype(np.float64))

    def record(trial: Trial) -> None:
        losses = kept.get(trial.id, "")
        event = TrialRecorded(
            product=product,
            id=trial.id,
            trial=trial,
            losses=losses,
            rows_of=pool_name(bench) if losses else "",
        )
        builder.workspace.record_once(product, [event], now=now)
        trials.append(trial)

    commit_pools(builder, document, bench, now=now)
    silent = silent_folds(bench.split.folds, bench.truth[bench.split.search])
    if silent:
        builder.teller.say(
            f"in {silent} of {len(bench.split.folds)} parts of the free rows there is one class only to learn from;"
            " their rows judge no setting"
        )
    found = search(
        builder.product.recipe,
        bench.examples(Pool.SEARCH),
        bench.split.folds,
        bench.rule,
        trials=document["trials"],
        seed=document["seed"],
        lineage=bench.lineage,
        record=record,
        monotone=bench.monotone,
        keep=keep,
    )
    tried = tried_on(builder, document, bench)
    open_pool(
        builder,
        document,
        bench,
        Pool.SELECT,
        candidate=found.best.id,
        purpose="choose the threshold",
        now=now,
    )
    selected = select(
        [found.fitted],
        bench.examples(Pool.SELECT),
        bench.rule,
        lineage=bench.lineage,
        record=record,
        meter=meter_of(builder, document, bench, now=now),
        taught=lambda fitted, tried: taught_losses(bench, fitted, tried),
    )
    remember(builder, document, found.best.id, found.fitted)
    builder.teller.say(
        f"{len(found.trials)} settings tried on {len(bench.split.search):,} rows;"
        f" the best costs {found.best.score * 1000:,.1f} {currency_of(contract)} per 1000 decisions in cross-validation"
    )
    if selected.spent:
        builder.teller.say(
            "the budget of answers about the metered rows is spent: not every threshold was answered;"
            " gather fresh labels"
        )
    mitigated = mitigate(
        builder,
        document,
        bench,
        found.fitted,
        selected.rule,
        meter=meter_of(builder, document, bench, now=now),
        record=record,
    )
    return {
        "trial": found.best.id,
        "settings": dict(found.settings),
        "class_weights": list(selected.rule.class_weights),
        **mitigated,
        "encoding": bench.encoding.id,
        "commitment": bench.split.commitment,
        # A setting that was tried twice is one trial by its id, as in the ledger.
        "trials_recorded": list(dict.fromkeys(trial.id for trial in trials)),
        "tried": asdict(replace(tried, trials=trials_now(builder, document, bench))),
    }
