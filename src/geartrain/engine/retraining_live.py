"""Whether a live product is to be retrained now: the facts from ledger and lake, and what follows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from geartrain.data.labels import LABEL
from geartrain.domain.clause import Parameter
from geartrain.domain.contract import Contract, RetrainingAction, RetrainingTerms
from geartrain.domain.digest import short
from geartrain.domain.events import BatchIngested, Refused, RetrainingAsked, RetrainingStarted
from geartrain.domain.incident import Signal
from geartrain.domain.release import ReleaseStage
from geartrain.engine import releasing
from geartrain.engine.bench import Document
from geartrain.engine.building import order
from geartrain.engine.live_course import Course
from geartrain.engine.pooling import verdicts_left_of
from geartrain.engine.products import Product
from geartrain.engine.releasing import releases
from geartrain.engine.rows import classes_of, data_of, take_rows
from geartrain.engine.runs import run_of_release
from geartrain.engine.watching import open_incidents
from geartrain.engine.windows import window_for
from geartrain.engine.workspace import Workspace
from geartrain.errors import SnapshotEmpty
from geartrain.release.answers import Answer
from geartrain.release.conditions import next_step, stage_of
from geartrain.retraining.policy import ALARMS, ASKED, Facts, Refusal, Trigger, should_retrain
from geartrain.retraining.window import Incumbent, Window

#: How far back arrivals count for the share in quarantine where the contract names no window.
_RECENT = timedelta(days=7)
#: The same refusal is not written down again before so much time has passed.
REPEAT = timedelta(days=7)
_RETRAIN = "retrain"
_ENTER = f"enter {ReleaseStage.SHADOW}"
#: Why a retraining was ordered, in the order itself: whoever goes on with it can still say so.
_WHY = "retraining"


def ask(
    workspace: Workspace,
    product: Product,
    *,
    now: datetime,
    person: str | None = None,
    course: Course | None = None,
    seed: int = 0,
) -> Trigger | Refusal | None:
    """Ask the contract's policy; a *person* who asks counts as an alarm, but repeals no refusal.

    *course* is what the log says of the champion's cost and of releases that stand by. Whether sealed
    rows are left that may still be opened is asked last, where nothing else forbids a
    retraining. A refusal is written down.
    """
    terms = product.contract.retraining or RetrainingTerms()
    state = releases(workspace, product.name)
    facts = facts_of(workspace, product, terms, now=now, course=course)
    if person is not None:
        terms = replace(terms, on_alarm=True)
        facts = replace(facts, alarm=facts.alarm or _asked_by(person))
    answer = should_retrain(terms, facts, now)
    if isinstance(answer, Trigger):
        left = verdicts_left_of(workspace, product, changed=answer.since, now=now, seed=seed)
        facts = replace(facts, verdicts_left=left)
        answer = should_retrain(terms, facts, now)
    if isinstance(answer, Refusal):
        refuse(workspace, product, state.champion, answer.reason, now=now)
    return answer


def person_asking(workspace: Workspace, product: str) -> str | None:
    """Who asked for a retraining that neither began nor was refused since, or None."""
    person = None
    for recorded in workspace.history(product):
        match recorded.event:
            case RetrainingAsked(person=asking):
                person = asking
            case RetrainingStarted():
                person = None
            case Refused() as refused if refused.what == _RETRAIN:
                person = None
            case _:
                continue
    return person


def refuse(
    workspace: Workspace, product: Product, champion: str | None, reason: str, *, now: datetime
) -> None:
    """Write down that no retraining began, and why; the same no to the same question tells nothing new.

    It is the same within `REPEAT`, unless a person asked or a retraining began meanwhile.
    """
    event = Refused(product=product.name, what=_RETRAIN, subject=short(champion or ""), reason=reason)
    for recorded in reversed(workspace.history(product.name)):
        match recorded.event:
            case Refused() as before if before.what == _RETRAIN:
                if before == event and timedelta(0) <= now - recorded.at < REPEAT:
                    return
                break
            case RetrainingAsked() | RetrainingStarted():
                break
            case _:
                continue
    workspace.record(product.name, [event], now=now)


def facts_of(
    workspace: Workspace,
    product: Product,
    terms: RetrainingTerms,
    *,
    now: datetime,
    course: Course | None = None,
) -> Facts:
    """What the policy must know, as known at *now*; the sealed rows are counted by `ask`."""
    contract = product.contract
    state = releases(workspace, product.name)
    reign = next((one for one in reversed(state.reigns) if one.until is None), None)
    begun = now - timedelta(seconds=terms.window_s) if terms.window_s else None
    counts = _labels(workspace, product, since=begun, now=now)
    incidents = open_incidents(workspace, product.name)
    alarms = [one for incident in incidents for one in incident.signals if one.kind in ALARMS]
    return Facts(
        live_since=reign.since if reign else None,
        last_retraining=_last(workspace, product.name),
        alarm=max(alarms, key=lambda one: one.evidence, default=None),
        mature_labels=sum(counts.values()),
        per_class=tuple(counts.items()),
        quarantined_share=_quarantined(workspace, contract, since=begun or now - _RECENT, now=now),
        open_incidents=incidents,
        gap=course.gap if course else None,
        cheaper=short(course.back.release) if course and course.back else "",
    )


def _labels(
    workspace: Workspace, product: Product, *, since: datetime | None, now: datetime
) -> dict[str, int]:
    """How many labels of each class are known; none where no row came since, which is a reason to refuse and no error."""
    contract = product.contract
    try:
        _, rows = take_rows(workspace, contract, product.features, known_at=now, since=since)
    except SnapshotEmpty:
        return {}
    counts = Counter(label for label in rows.texts(LABEL) if label is not None)
    return {name: counts.get(name, 0) for name in classes_of(contract, rows)}


def ordered(
    workspace: Workspace,
    product: Product,
    champion: str | None,
    trigger: Trigger,
    *,
    incumbent: Incumbent | None,
    now: datetime,
    seed: int,
    trials: int | None,
) -> Document:
    """Choose the rows to learn from and say what is to be built, and why; nothing is written down yet.

    *incumbent* is what the champion's decisions cost; None where a person asked, who wants a new model whatever
    the windows promise.

    Raises:
        SnapshotEmpty: No labelled row is known.
        TrainingImpossible: No window promises a model that could be proven better than the champion.
    """
    window, why = _window(
        workspace, product, champion, trigger=trigger, incumbent=incumbent, now=now, seed=seed
    )
    ordered = order(
        product,
        now=now,
        seed=seed,
        since=window.since,
        half_life_s=window.half_life_s,
        retrained=True,
        trials=trials,
    )
    said = f"{trigger.occasion}: {trigger.reason}; {why}"
    return {**ordered, _WHY: {"trigger": said, "champion": champion or ""}}


def began(workspace: Workspace, product: Product, ordered: Document) -> None:
    """Write down, once, that the retraining which was *ordered* began."""
    why, now = ordered.get(_WHY), datetime.fromisoformat(ordered["now"])
    if why is None:
        return
    started = RetrainingStarted(
        product=product.name,
        trigger=why["trigger"],
        champion=why["champion"],
        since=datetime.fromisoformat(ordered["since"]) if ordered["since"] else None,
        until=now,
    )
    workspace.record_once(product.name, [started], now=now)


def move_on(workspace: Workspace, product: Product, release: str, *, now: datetime) -> Answer | None:
    """Take a retrained release as far as the contract lets a machine: into shadow, or not at all.

    What is in shadow already stays there, and a release that was refused is not asked about again:
    None, as where nothing is to be done. Canary and promotion follow from what the shadow shows; that is not decided here.
    """
    contract = product.contract
    action = contract.retraining.action if contract.retraining else RetrainingAction.PROPOSE
    record = releases(workspace, product.name).record(release)
    step = next_step(contract, record) if record is not None else None
    if action is RetrainingAction.PROPOSE or step is None or stage_of(step.kind) is not ReleaseStage.SHADOW:
        return None
    if any(
        isinstance(one.event, Refused) and (one.event.what, one.event.subject) == (_ENTER, release)
        for one in workspace.history(product.name)
    ):
        return None
    return releasing.enter(
        workspace,
        contract,
        release=release,
        stage=ReleaseStage.SHADOW,
        share=step.share,
        now=now,
        reason="retrained",
    )


def _window(
    workspace: Workspace,
    product: Product,
    champion: str | None,
    *,
    trigger: Trigger,
    incumbent: Incumbent | None,
    now: datetime,
    seed: int,
) -> tuple[Window, str]:
    """Which rows are learned from, and why."""
    if data_of(product.contract).decisions.event_time is None:
        return Window(
            name="all", since=None
        ), "the rows do not say when they happened, so all of them are learned from"
    document = run_of_release(workspace.root, product.name, champion) if champion else None
    settings: dict[str, Parameter] = dict(document["settings"]) if document is not None else {}
    found = window_for(workspace, product, settings, trigger=trigger, incumbent=incumbent, now=now, seed=seed)
    return found.window, found.reason


def _asked_by(person: str) -> Signal:
    return Signal(
        kind=ASKED,
        about="retraining",
        measure="",
        size=0.0,
        evidence=1.0,
        since=None,
        rows=0,
        message=f"{person} asked for it",
    )


def _last(workspace: Workspace, product: str) -> datetime | None:
    for recorded in reversed(workspace.history(product)):
        if isinstance(recorded.event, RetrainingStarted):
            return recorded.at
    return None


def _quarantined(workspace: Workspace, contract: Contract, *, since: datetime, now: datetime) -> float:
    """The share of the rows that arrived since then which went to quarantine."""
    batches = [
        one.event.batch
        for one in workspace.history(contract.product.name)
        if isinstance(one.event, BatchIngested) and since <= one.event.batch.arrived_at <= now
    ]
    rows = sum(one.rows for one in batches)
    return sum(one.quarantined for one in batches) / rows if rows else 0.0
