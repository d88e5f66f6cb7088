"""The outside world, one adapter a file; each passes the suite of its port in `geartrain.testing`.

In: settings such as a path or a URL. Out: objects that keep a port's promises.

>>> from geartrain.adapters.clock import SystemClock
>>> SystemClock().now().utcoffset()
datetime.timedelta(0)
"""
