from geartrain.testing.accounts import MemoryAccounts, check_accounts


def test_the_fake_keeps_every_promise_of_the_port():
    """The accounts in memory pass the suite that databases pass."""
    check_accounts(MemoryAccounts)
