import pytest

from geartrain.errors import LedgerTampered
from geartrain.testing.ledger import NOON, MemoryLedger, _adopted, check_ledger


def test_the_fake_keeps_the_promises_of_the_port():
    """The ledger in memory passes the suite that every adapter passes."""
    check_ledger(MemoryLedger)


def test_the_fake_notices_a_changed_event():
    """A fake that cannot tell tampering would let tests pass that must not."""
    ledger = MemoryLedger()
    ledger.append("s", [_adopted(1), _adopted(2)], at=NOON, actor="Ada")
    ledger.events.reverse()

    with pytest.raises(LedgerTampered):
        ledger.verify()


def test_the_suite_refuses_a_ledger_that_ignores_versions():
    """A conformance suite is worth something only if it fails on a wrong adapter."""

    class Careless(MemoryLedger):
        def append(self, stream, events, *, at, actor, expected_version=None):
            return super().append(stream, events, at=at, actor=actor)

    with pytest.raises(AssertionError):
        check_ledger(Careless)
