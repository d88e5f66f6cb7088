"""The rights of the pools, acted on: what is fixed, opened and answered is written down before it is used."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from geartrain.compression.choosing import worst_change
from geartrain.domain.columns import microseconds
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest, short
from geartrain.domain.events import (
    Event,
    PoolAnswered,
    PoolOpened,
    PoolsCommitted,
    Refused,
    TrialRecorded,
)
from geartrain.domain.model import ModelVersion, Pool
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.engine.bench import Bench, Builder, Document, row_facts
from geartrain.engine.products import Product
from geartrain.engine.rows import Rows, classes_of, data_of, take_rows, truth_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import PoolClosed, ReleaseRefused, TrainingImpossible
from geartrain.ports.blobs import Blobs
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import row_costs
from geartrain.training.metering import Answered, Meter, Metering, ladder_of, thresholdout_of
from geartrain.training.pools import (
    Kin,
    Names,
    Permission,
    kin_of,
    may_open,
    sealed_names,
    verdicts_left,
)
from geartrain.training.split import split
from geartrain.training.thresholdout import Thresholdout


def commit_pools(builder: Builder, document: Document, bench: Bench, *, now: datetime) -> None:
    """Write down which row is in which pool, before anything is tried on them."""
    product, pools = builder.contract.product.name, bench.split
    builder.workspace.record_once(
        product,
        [
            PoolsCommitted(
                product=product,
                contract=builder.contract.id,
                snapshot=document["snapshot"],
                commitment=pools.commitment,
                sealed=builder.workspace.blobs.put(_sealed(builder, bench).astype("<u8").tobytes()),
                rows=(len(pools.search), len(pools.select), len(pools.verdict)),
            )
        ],
        now=now,
    )


def demand_committed(builder: Builder, document: Document, bench: Bench) -> None:
    """Nothing where the ledger fixed these very pools before the first trial on them.

    Raises:
        TrainingImpossible: It did not: the sealed rows may have been chosen after the fact.
    """
    for event in _history(builder):
        match event:
            case PoolsCommitted(snapshot=snapshot, commitment=commitment) if (
                snapshot == document["snapshot"] and commitment == bench.split.commitment
            ):
                return
            case TrialRecorded(id=trial) if trial == document["trial"]:
                break
    raise TrainingImpossible(
        "the pools are not those that were fixed before the search",
        where="verdict",
        found=f"commitment {short(bench.split.commitment)}",
        hint="train again; the sealed rows of this run cannot judge it",
    )


def kin_now(builder: Builder, document: Document, bench: Bench) -> Kin:
    """Earlier runs that sealed these rows, or most of them."""
    blobs = builder.workspace.blobs
    return kin_of(
        _history(builder),
        product=builder.contract.product.name,
        snapshot=document["snapshot"],
        sealed=_sealed(builder, bench),
        load=lambda name: np.frombuffer(blobs.get(name), dtype="<u8"),
    )


def open_pool(
    builder: Builder,
    document: Document,
    bench: Bench,
    pool: Pool,
    *,
    candidate: str,
    purpose: str,
    now: datetime,
) -> Permission:
    """Write down that a pool is looked at, before it is, and say at which confidence it may be told.

    Raises:
        PoolClosed: It may not be looked at; the refusal is written down too.
    """
    product, history = builder.contract.product.name, _history(builder)
    for event in history:
        if (
            isinstance(event, PoolOpened)
            and (event.pool, event.candidate, event.purpose) == (pool, candidate, purpose)
            and (event.contract, event.snapshot) == (builder.contract.id, document["snapshot"])
        ):
            # The same look by the same run, cut off before it saw an answer.
            return Permission(pool=pool, allowed=True, look=event.look, confidence=event.confidence)
    permission = may_open(
        history,
        product=product,
        pool=pool,
        candidate=candidate,
        contract=builder.contract.id,
        snapshot=document["snapshot"],
        kin=kin_now(builder, document, bench) if pool is Pool.VERDICT else None,
    )
    if not permission.allowed:
        refusal = Refused(
            product=product, what=f"open {pool}", subject=short(candidate), reason=permission.reason
        )
        builder.workspace.record_once(product, [refusal], now=now)
        raise PoolClosed(
            permission.reason,
            where=f"pool {pool}",
            found=f"look {permission.look} at these rows",
            hint=permission.hint,
        )
    opening = PoolOpened(
        product=product,
        pool=pool,
        contract=builder.contract.id,
        snapshot=document["snapshot"],
        candidate=candidate,
        purpose=purpose,
        commitment=bench.split.commitment,
        look=permission.look,
        confidence=permission.confidence,
    )
    builder.workspace.record_once(product, [opening], now=now)
    return permission


def verdicts_left_of(
    workspace: Workspace, product: Product, *, changed: datetime | None, now: datetime, seed: int
) -> int | None:
    """How many more candidates the sealed rows of a retraining may judge, before any row is looked at.

    Which rows will be sealed depends on the window; the windows are all of them, the contract's and
    that since *changed*, and the one that has most left counts. None where no rows can be shared out
    yet: then the split itself says why.
    """
    contract, name = product.contract, product.name
    _, every = take_rows(workspace, contract, product.features, known_at=now)
    history = [recorded.event for recorded in workspace.history(name)]
    terms = contract.retraining
    begins = [None, changed, now - timedelta(seconds=terms.window_s) if terms and terms.window_s else None]
    timed = data_of(contract).decisions.event_time is not None
    found = []
    for since in dict.fromkeys(begins if timed else [None]):
        rows = every if since is None else every.take(np.flatnonzero(every.times_us >= microseconds(since)))
        classes = classes_of(contract, rows)
        truth = truth_of(contract, rows, classes)
        try:
            sealed = split(row_facts(contract, rows, truth), contract, classes=classes, seed=seed).verdict
        except TrainingImpossible:
            continue
        found.append(
            verdicts_left(
                history,
                product=name,
                sealed=_names(contract, rows, sealed),
                load=lambda one: np.frombuffer(workspace.blobs.get(one), dtype="<u8"),
            )
        )
    return max(found, default=None)


def pool_name(bench: Bench) -> str:
    """What a metered pool is: its rows, and what errors on them cost."""
    return digest((bench.split.commitment, bench.rule))


def meter_of(builder: Builder, document: Document, bench: Bench, *, now: datetime) -> Meter:
    """The meter of `select`, as every earlier question left it; what it answers is written down.

    Raises:
        TrainingImpossible: Thresholdout was ordered where nothing bounds a loss.
    """
    product, name = builder.contract.product.name, pool_name(bench)
    kind = Metering(document.get("meter", Metering.LADDER))

    def keep(answered: Answered) -> None:
        step = answered.step
        event = PoolAnswered(
            product=product,
            rows_of=name,
            question=answered.question,
            meter=kind,
            improved=step.improved,
            shown=step.shown,
            needed=step.needed,
            losses="" if answered.losses is None else put_losses(builder.workspace.blobs, answered.losses),
            charged=answered.charged,
        )
        builder.workspace.record_once(product, [event], now=now)

    history = _history(builder)
    if kind is Metering.LADDER:
        return ladder_of(
            history, rows_of=name, load=lambda one: losses_at(builder.workspace.blobs, one), keep=keep
        )
    examples = bench.examples(Pool.SELECT)
    worst = worst_change(bench.rule, examples.columns, len(examples))
    if worst is None:
        raise TrainingImpossible(
            "Thresholdout needs losses that something bounds, and a predicted value may be off by anything",
            where="--meter thresholdout",
            hint="use the Ladder, which needs no bound",
        )
    return thresholdout_of(
        history,
        rows_of=name,
        state=Thresholdout.over(len(examples), seed=document["seed"]),
        low=-worst,
        high=worst,
        keep=keep,
    )


def taught_losses(bench: Bench, fitted: Fitted, rule: DecisionRule) -> Floats:
    """What *rule* with *fitted* costs on the free rows that taught it, shape (m,), rows without a price left out."""
    examples = bench.examples(Pool.SEARCH)
    costs = row_costs(rule, fitted.predict(examples.matrix), examples)
    return np.asarray(costs[np.isfinite(costs)])


def put_losses(blobs: Blobs, losses: Floats) -> str:
    """Keep per-row losses, shape (n,); the digest."""
    return blobs.put(np.asarray(losses, dtype="<f8").tobytes())


def losses_at(blobs: Blobs, name: str) -> Floats:
    """What `put_losses` kept."""
    return np.frombuffer(blobs.get(name), dtype="<f8")


def demand_recorded(builder: Builder, model: ModelVersion) -> None:
    """Nothing where the trial that chose *model*'s settings is in the ledger, on the free rows of its snapshot.

    Raises:
        ReleaseRefused: It is not, so nobody can say how many tries the model survived.
    """
    for event in _history(builder):
        if (
            isinstance(event, TrialRecorded)
            and event.id == event.trial.id == model.trial
            and event.trial.pool is Pool.SEARCH
            and event.trial.snapshot == model.snapshot
        ):
            return
    raise ReleaseRefused(
        "the trial that chose this model's settings is not in the ledger",
        where=f"model {short(model.id)}",
        found=f"trial {short(model.trial)}",
        hint="only what was tried through `geartrain train` can be released: an unrecorded search cannot be counted",
    )


def _sealed(builder: Builder, bench: Bench) -> Names:
    return _names(builder.contract, bench.rows, bench.split.verdict)


def _names(contract: Contract, rows: Rows, places: NDArray[np.int64]) -> Names:
    keys = rows.take(places).texts(data_of(contract).decisions.key)
    return sealed_names([str(key) for key in keys])


def _history(builder: Builder) -> list[Event]:
    return [recorded.event for recorded in builder.workspace.history(builder.contract.product.name)]
