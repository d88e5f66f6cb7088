from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.adapters.ledger import SqlLedger
from geartrain.domain.events import ContractAdopted, Refused
from geartrain.engine.workspace import MACHINE, Workspace, identity, stream_of
from geartrain.testing.blobs import MemoryBlobs
from geartrain.testing.lake import MemoryLake
from geartrain.testing.ledger import NOON, MemoryLedger
from geartrain.testing.notifier import MemoryNotifier


def _event(number):
    return Refused(product="p", what="train", subject=str(number), reason="because")


def _workspace(root, ledger):
    return Workspace(
        root=root,
        ledger=ledger,
        lake=MemoryLake(),
        blobs=MemoryBlobs(),
        notifier=MemoryNotifier(),
        signing_key=lambda: b"",
    )


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_threads_of_one_workspace_record_each_event_once(tmp_path, kind):
    """Eight threads that record the same twenty events leave twenty, in a chain that holds."""
    workspace = _workspace(
        tmp_path, MemoryLedger() if kind == "memory" else SqlLedger(tmp_path / "ledger.db")
    )

    def work(thread):
        for number in range(20):
            workspace.record_once("p", [_event((number + thread * 5) % 20)], now=NOON)
            assert len(workspace.history("p")) <= 20

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    subjects = sorted(int(one.event.subject) for one in workspace.history("p"))
    assert subjects == list(range(20))
    assert [one.version for one in workspace.history("p")] == list(range(1, 21))
    assert workspace.ledger.verify() == 20


def test_two_workspaces_on_one_ledger_record_each_event_once(tmp_path):
    """Two processes' views of one ledger, each with its own memory of it, agree on what was recorded."""
    ledger = SqlLedger(tmp_path / "ledger.db")
    views = [_workspace(tmp_path, ledger), _workspace(tmp_path, SqlLedger(tmp_path / "ledger.db"))]

    def work(view):
        for number in range(15):
            view.record_once("p", [_event(number), _event(number + 1)], now=NOON)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, views))

    assert [view.ledger.version(stream_of("p")) for view in views] == [16, 16]
    assert views[0].history("p") == views[1].history("p")


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 6), max_size=5), max_size=8))
def test_recording_once_keeps_the_first_of_each(tmp_path_factory, batches):
    """However events come in batches and repeat, the history is each of them once, in the order first said."""
    workspace = _workspace(tmp_path_factory.getbasetemp(), MemoryLedger())

    for batch in batches:
        workspace.record_once("p", [_event(number) for number in batch], now=NOON)

    first = list(dict.fromkeys(number for batch in batches for number in batch))
    assert [int(one.event.subject) for one in workspace.history("p")] == first


def test_products_have_histories_of_their_own(tmp_path):
    """What was recorded for one product is not in another's history, and is not taken for known there."""
    workspace = _workspace(tmp_path, MemoryLedger())
    adopted = ContractAdopted(product="p", contract="c", text="t")

    first = workspace.record_once("p", [adopted], now=NOON)
    second = workspace.record_once("q", [adopted], now=NOON, actor="Ann")

    assert (len(first), len(second)) == (1, 1)
    assert [one.actor for one in (*workspace.history("p"), *workspace.history("q"))] == [MACHINE, "Ann"]


def test_an_event_is_not_another_because_of_its_kind(tmp_path):
    """Two kinds of events with the same content are two events."""
    del tmp_path
    refused = Refused(product="p", what="", subject="s", reason="")
    assert identity(refused) == identity(Refused(product="p", what="", subject="s", reason=""))
    assert identity(refused) != identity(ContractAdopted(product="p", contract="s", text=""))
