"""Compression: a fitted model in, the smallest artifact that is proven to be as good out.

In: a `Fitted` model, a way to fit it again smaller, rows of the pool `select`, the
budget's clauses. Out: ONNX bytes for each variant, what each costs on this machine, and
a `Choice` with the reason for every variant that was not taken.

    >>> from geartrain.compression.measuring import quantile_interval
    >>> import numpy as np
    >>> quantile_interval(np.arange(1000.0), 0.5)
    (468.0, 531.0)
"""
