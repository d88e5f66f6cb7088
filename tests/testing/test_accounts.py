from geartrain.testing.accounts import MemoryAccounts, check_accounts


def test_the_fake_keeps_every_promise_of_the_port():
    check_accounts(MemoryAccounts)
