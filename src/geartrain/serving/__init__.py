"""Serving: rows come in, decisions go out, and none that was answered is lost.

In: a `Served` release (its rule and its two callables, handed over by whoever loaded
it), raw rows, the time. Out: `Decision` nouns, a prediction log on the disk, and a host
in which releases are swapped without a failed request. Nothing here knows HTTP.

    served = Served(release="r1", product="p", rule=rule, columns=("x",), predict=..., encode=...)
    log = PredictionLog(folder, sink, session="7f3a")
    host = ServingHost(log=log, now=clock.now, new_id=new_id, record_outcomes=...)
    host.swap("p", served)
    answered = decide_rows(served, [{"x": 1.0}], now, ["d-1"])
"""
