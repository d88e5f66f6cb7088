"""The labelling budget of what is live: how many labels would settle it, draw them, and what the answers say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from geartrain.domain.contract import MonitoringTerms
from geartrain.engine.bundles import load_bundle
from geartrain.engine.decided import decisions_of, with_truth
from geartrain.engine.estimated_live import LATEST, Foreseen, estimated_live, foretold
from geartrain.engine.label_requests import LabelRequest, latest_request, request_labels
from geartrain.engine.products import Product
from geartrain.engine.reference_rows import kept_reference
from geartrain.engine.reviewing import not_an_outcome
from geartrain.engine.runs import run_of_release
from geartrain.engine.workspace import Workspace
from geartrain.release.bundle_nouns import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Where the labels of a live release stand.

    Attributes:
        release: What is live; None where nothing is.
        foreseen: What is estimated, from which labels, and which would settle it.
        request: The latest request; None where nobody asked yet, or it cannot be read any more.
        refused: Why nothing was drawn; empty where something was, or nobody wanted it.
        answers_count: Whether a person's answer in the review queue counts as the truth here.
        instead: How the truth comes where it does not.
    """

    release: str | None
    foreseen: Foreseen
    request: LabelRequest | None = None
    refused: str = ""
    answers_count: bool = True
    instead: str = ""


def label_budget(workspace: Workspace, product: Product, *, now: datetime) -> Budget:
    """How many labels would settle what is open, and what those that were asked for say."""
    found = _live(workspace, product, now=now)
    return _budget(workspace, product, *found, now=now) if found else _nothing_live()


def ask_for_labels(
    workspace: Workspace, product: Product, *, labels: int | None, now: datetime, actor: str
) -> Budget:
    """Draw decisions for labels and put them into the review queue: *labels* of them, or as many as would settle it.

    Refused, with the reason, where no decision is open or no number of labels would be enough and none was named.
    """
    found = _live(workspace, product, now=now)
    if found is None:
        return _nothing_live()
    loaded, known = found
    before = _budget(workspace, product, loaded, known, now=now)
    plan = before.foreseen.settling
    wanted = labels or plan.labels
    if plan.of == 0 or wanted is None:
        return _refused(before, plan.reason or "no decision's truth is open")
    rows, told = foretold(workspace, product.contract, loaded.rule, known.tail(LATEST), now=now)
    request_labels(
        workspace,
        product.contract,
        release=loaded.release.id,
        rows=rows,
        told=told,
        settling=plan,
        labels=wanted,
        now=now,
        actor=actor,
    )
    return _budget(workspace, product, loaded, known, now=now)


def _live(workspace: Workspace, product: Product, *, now: datetime) -> tuple[Loaded, pl.DataFrame] | None:
    release = workspace.releases(product.name).champion
    if release is None:
        return None
    log = decisions_of(workspace, product.name, now=now, release=release)
    return load_bundle(workspace, release), with_truth(workspace, product.contract, log, now=now)


def _budget(
    workspace: Workspace, product: Product, loaded: Loaded, known: pl.DataFrame, *, now: datetime
) -> Budget:
    contract, release = product.contract, loaded.release.id
    window_s = (contract.monitoring or MonitoringTerms()).window_s
    instead = not_an_outcome(contract)
    return Budget(
        release=release,
        foreseen=estimated_live(
            workspace,
            contract,
            loaded,
            known,
            kept_reference(
                workspace, loaded, run_of_release(workspace.root, contract.product.name, loaded.release.id)
            ),
            window_s=window_s,
            now=now,
        ),
        request=latest_request(workspace, contract.product.name, release=release, now=now),
        answers_count=not instead,
        instead=instead,
    )


def _nothing_live() -> Budget:
    reason = "no release is live"
    return Budget(release=None, foreseen=Foreseen.nothing(reason), refused=reason)


def _refused(before: Budget, reason: str) -> Budget:
    return Budget(
        release=before.release,
        foreseen=before.foreseen,
        request=before.request,
        refused=reason,
        answers_count=before.answers_count,
        instead=before.instead,
    )
