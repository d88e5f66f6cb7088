"""For tests of your own: fakes of every port, clocks, and the suites that adapters pass.

In: a function that makes an empty adapter. Out: nothing, or an AssertionError that
names the promise which was not kept.

>>> from geartrain.testing.ledger import MemoryLedger, check_ledger
>>> check_ledger(MemoryLedger)
>>> from geartrain.testing.blobs import MemoryBlobs, check_blobs
>>> check_blobs(MemoryBlobs)
"""
