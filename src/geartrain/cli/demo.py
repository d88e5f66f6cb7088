"""`geartrain demo`: two products from contract to a served, monitored, retrained model."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import moment_of
from geartrain.cli.telling import teller

if TYPE_CHECKING:
    from geartrain.documents.report_nouns import DecisionExample, ProductSection
    from geartrain.domain.finding import Finding
    from geartrain.engine.bench import Document
    from geartrain.engine.products import Product
    from geartrain.engine.workspace import Workspace
    from geartrain.ports.teller import Teller

MARKER = "made-by-geartrain-demo"
#: How long a waiver lasts that the demo's team gives for what is merely unproven.
WAIVER_DAYS = 180
#: Why what is unproven may pass, behind the finding's status.
UNTIL_THEN = "on the patients at hand; every case is seen by a pathologist until then"
READY_S = 60.0


@click.command()
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("geartrain-demo"),
    show_default=True,
    help="The folder for workspace, data and report; an earlier demo there is replaced.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed tells another story.")
@click.option("--days", type=click.IntRange(60), default=None, help="Replay fewer days of payments.")
@answering
def demo(into: Path, seed: int, days: int | None) -> Answer:
    """Take two products through the whole loop: real patients, and a stream of card payments."""
    from geartrain.cli.replay import totals_of, verdict_in_words, write_report
    from geartrain.domain.digest import short

    began, told = time.perf_counter(), teller()
    root = _fresh(into)
    triage, release = _tumour_triage(root, into, seed=seed, told=told)
    fraud, replayed, product = _card_fraud(root, into, seed=seed, days=days, told=told)
    totals = totals_of(replayed)
    seconds = time.perf_counter() - began
    up = f"geartrain up --workspace {root}"
    report = write_report(
        into / "report.html",
        title="Two products, one loop",
        lead=(
            "Real patients whose numbers are too few to prove everything, and a stream of card payments that"
            " changes under the model. Both went through the same contract, gates, signatures and rollout."
        ),
        sections=(triage, fraud),
        seed=seed,
        seconds=seconds,
        next_steps=(
            ("make up", "keeps everything running: API, workers, monitor"),
            ("geartrain new", "begins a product of your own from a file of rows"),
            ("geartrain ledger verify", "checks that nobody changed this history"),
        ),
    )
    told.stage("done")
    told.say(f"{seconds:.0f} s; tumour-triage is live as release {short(release)}")
    return Answer(
        schema="demo/1",
        ok=bool(totals),
        result={"report": str(report), "workspace": str(root), "cost_per_1000": totals, "seconds": seconds},
        text="\n".join(
            [
                "",
                f"card-fraud: {verdict_in_words(product, totals)}",
                "",
                f"the report:    {report.resolve()}",
                f"keep it alive: make up            (or: {up})",
                "your own:      geartrain new my-product --data rows.csv --label the_column",
            ]
        ),
    )


def _fresh(into: Path) -> Path:
    """An empty workspace; only what an earlier demo made is ever removed."""
    root = into / ".geartrain"
    if root.exists():
        if not (into / MARKER).exists():
            raise click.UsageError(
                f"{root} is a workspace that no demo made; choose another folder: --into FOLDER"
            )
        shutil.rmtree(root)
    into.mkdir(parents=True, exist_ok=True)
    (into / MARKER).write_text("`geartrain demo` may replace what is in this folder.\n", encoding="utf-8")
    return root


def _tumour_triage(root: Path, into: Path, *, seed: int, told: Teller) -> tuple[ProductSection, str]:
    """569 real patients: what can be proven, what cannot, and who lets it pass for how long."""
    from geartrain.cli.working import begin, work
    from geartrain.engine.building import order
    from geartrain.engine.examples import example_folder, write_example_data
    from geartrain.engine.ingesting import Door
    from geartrain.engine.products import load_product
    from geartrain.engine.reporting import product_section
    from geartrain.wiring import Settings, open_workspace

    now = moment_of(None)
    product = load_product(example_folder("tumour-triage"))
    space = open_workspace(Settings(root=root))
    told.stage("tumour-triage: 569 patients, a missed tumour costs 50 needless biopsies")
    begin(space, product, now=now)
    told.say(
        f"the contract holds {len(product.contract.clauses)} clauses; it is silent about {_silent(product)}"
    )
    files = write_example_data("tumour-triage", into / "data" / "tumour-triage", seed=seed)
    door = Door(space, product.contract)
    for source, path in files.items():
        taken = door.take_file(source, path, now=now)
        told.say(f"{taken.batch.accepted} rows passed the door, {taken.batch.quarantined} went to quarantine")
    _feasibility(space, product, now=now, seed=seed, told=told)
    document = work(root, space, product, "build", lambda: order(product, now=now, seed=seed))
    release = str(document["release"])
    findings = _findings(space, document)
    _tell_unproven(findings, told)
    _sign(space, product, release, now=now, told=told)
    example = _serve_once(root, product, files["samples"], told=told)
    _look(space, product, told)
    waived = sum(one.blocks for one in findings)
    section = product_section(
        space,
        product.contract,
        document,
        lead=(
            f"{sum(not one.blocks for one in findings)} of {len(findings)} promises are kept on patients that the"
            f" search never saw. {waived} are not proven: this clinic's patients are too few. The roles that own"
            " them let the release pass, for a reason and until a date."
        ),
        outcome=f"live, with {waived} waivers" if waived else "live",
        counted="malignant patients",
        example=example,
    )
    return section, release


def _silent(product: Product) -> str:
    return ", ".join(product.contract.silent) or "nothing"


def _feasibility(space: Workspace, product: Product, *, now: datetime, seed: int, told: Teller) -> None:
    from geartrain.engine.feasible import examine

    asked = examine(space, product, now=now, seed=seed, clock_ns=time.perf_counter_ns)
    verdicts = [str(one.verdict) for one in asked.prospects]
    counted = ", ".join(f"{verdicts.count(one)} {one}" for one in dict.fromkeys(verdicts))
    told.say(f"before training, can each promise be kept at all? {counted}")


def _findings(space: Workspace, document: Document) -> tuple[Finding, ...]:
    from geartrain.domain.finding import Finding
    from geartrain.domain.wire import decode

    return decode(space.blobs.get(document["findings"]), tuple[Finding, ...])


def _tell_unproven(findings: tuple[Finding, ...], told: Teller) -> None:
    for one in findings:
        if one.blocks:
            told.say(f"{one.status}: {one.clause}: {one.message.split(' [')[0]}")


def _sign(space: Workspace, product: Product, release: str, *, now: datetime, told: Teller) -> None:
    """Owners waive what is unproven, four roles sign the exact bytes, the release goes live."""
    from geartrain.engine import releasing
    from geartrain.engine.signing import sign_all, waive_unproven

    waive_unproven(
        space, product.contract, release, now=now, lasts=timedelta(days=WAIVER_DAYS), why=UNTIL_THEN
    )
    sign_all(space, product.contract, release, now=now, reason="")
    record = releasing.releases(space, product.name).record(release)
    for waiver in record.waivers if record else ():
        told.say(f"{waiver.person} ({waiver.role}) waives {waiver.clause} until {waiver.expires_at:%Y-%m-%d}")
    for signed in record.sign_offs if record else ():
        told.say(f"{signed.person} signs for {signed.role}")
    answer = releasing.promote(
        space, product.contract, release=release, now=now, reason="the demo's first release"
    )
    told.say("the release is live" if releasing.accepted(answer) else f"the gates stay closed: {answer}")


def _serve_once(root: Path, product: Product, rows: Path, *, told: Teller) -> DecisionExample | None:
    """Start the real server, ask it about one patient, report the truth, and let it drain."""
    import polars as pl

    frame = pl.read_csv(rows)
    malignant = frame.filter(pl.col("diagnosis") == "malignant").row(0, named=True)
    row = {name: value for name, value in malignant.items() if name != "diagnosis"}
    ready = root / "demo-server.url"
    ready.unlink(missing_ok=True)
    server = subprocess.Popen(  # noqa: S603 - our own command line, no text of anybody else
        [sys.executable, "-m", "geartrain", "serve", "--workspace", str(root), "--port", "0",
         "--ready-file", str(ready)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = _wait_for(ready, server)
        if url is None:
            told.say("the server did not come up; `geartrain serve` tells why")
            return None
        asked = {"row": row, "explain": True}
        _post(f"{url}/v1/products/{product.name}/decisions", asked)
        began = time.perf_counter()
        answer = _post(f"{url}/v1/products/{product.name}/decisions", asked)
        took_ms = (time.perf_counter() - began) * 1e3
        decision = answer["decisions"][0]
        outcome = {"outcomes": [{"decision_id": decision["id"], "label": "malignant"}]}
        _post(f"{url}/v1/products/{product.name}/outcomes", outcome)
        told.say(
            f"asked over HTTP about sample {row['sample_id']}: {decision['action']}, answered in {took_ms:.1f} ms;"
            " the truth was sent back and joined"
        )
        return _example(product, row, decision, took_ms)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=READY_S)


def _wait_for(ready: Path, server: subprocess.Popen[bytes]) -> str | None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and server.poll() is None:
        if ready.exists() and ready.read_text(encoding="utf-8").strip():
            return ready.read_text(encoding="utf-8").strip()
        time.sleep(0.05)
    return None


def _post(url: str, document: dict[str, Any]) -> Any:
    request = urllib.request.Request(  # noqa: S310 - the loopback address of our own server
        url, data=json.dumps(document).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
        return json.loads(answer.read())


def _example(
    product: Product, row: dict[str, Any], decision: dict[str, Any], took_ms: float
) -> DecisionExample:
    from geartrain.documents.report_nouns import DecisionExample
    from geartrain.domain.prediction import Decision

    shown = ("sample_id", "worst radius", "worst concave points", "worst texture", "mean radius")
    return DecisionExample(
        request=tuple((name, f"{row[name]}") for name in shown),
        decision=Decision(
            id=decision["id"],
            product=product.name,
            release=decision["release"],
            key=str(row["sample_id"]),
            decided_at=datetime.fromisoformat(decision["decided_at"]),
            action=decision["action"],
            probabilities=tuple(decision["probabilities"].items()),
            expected_cost=float(decision["expected_cost"] or 0.0),
            abstained=decision["abstained"],
            fallback=decision["fallback"],
            doubt=decision.get("doubt") or "",
            reasons=tuple(decision.get("reasons") or ()),
        ),
        answered_in_ms=took_ms,
        truth="malignant",
    )


def _look(space: Workspace, product: Product, told: Teller) -> None:
    from geartrain.engine.monitoring_live import watch_live

    seen = watch_live(space, product, now=moment_of(None))
    told.say(
        f"the monitor has seen {seen.decisions} decisions, {seen.labelled} with their truth;"
        f" open incidents: {len(seen.open)}"
    )


def _card_fraud(root: Path, into: Path, *, seed: int, days: int | None, told: Teller) -> tuple[Any, Any, Any]:
    """Months of card payments, lived through on a virtual clock."""
    from geartrain.cli.replay import DAY_S, history_files, replay_chapter, run_replay
    from geartrain.engine.examples import example_folder, write_example_data
    from geartrain.engine.folders import remember_folder
    from geartrain.engine.products import load_product
    from geartrain.engine.replaying import ReplayTerms

    product = load_product(example_folder("card-fraud"))
    told.stage("card-fraud: four months of payments, a fraud costs its amount, a false stop about 4 EUR")
    files = write_example_data("card-fraud", into / "data" / "card-fraud", seed=seed)
    told.say(
        "simulated: cards, terminals, thieves, lost and malformed rows, a silent feed, labels a week late"
    )
    given = tuple(f"{name}={path}" for name, path in files.items())
    terms = ReplayTerms(live_after_s=50 * DAY_S, seed=seed, days=days)
    remember_folder(root, product.name, product.folder)
    space, done = run_replay(root, product, history_files(product, given), terms, told=told, beside=True)
    _tell_history(done, told)
    return replay_chapter(space, product, done, schedule_days=30), done, product


def _tell_history(done: Any, told: Teller) -> None:
    """The turning points, one line each."""
    from geartrain.documents.chart_nouns import EventKind
    from geartrain.engine.timeline import timeline_of

    for event in timeline_of(done.history, since=done.began):
        if event.kind is EventKind.NOTE:
            continue
        detail = (
            f": {event.detail.split('; ')[0]}" if event.detail and event.kind is not EventKind.RELEASE else ""
        )
        told.say(f"{event.at:%Y-%m-%d}  {event.title}{detail[:110]}")
