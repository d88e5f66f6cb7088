"""Pure maths shared by rooms: costs and decisions, intervals, distances, e-processes.

In: arrays and domain nouns. Out: arrays, measurements and p- or e-values, each with
its formula and source. Nothing here knows a clock, a file or a seed of its own.

    >>> import numpy as np
    >>> from geartrain.stats.deciding import threshold_of
    >>> round(threshold_of(false_negative=50.0, false_positive=1.0), 4)
    0.0196
"""
