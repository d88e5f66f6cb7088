"""Training: rows and a recipe in, a fitted model and every recorded trial out.

In: a recipe (`model.py` of a product), the encoded rows of the pool `search` as
`Examples`, the decision rule that the contract implies. Out: `Searched` (a `Fitted`
model and its trials) and, after a metered look at `select`, `Selected` (the model and
the rule that decides with it). Nothing here sees the pool `verdict`.

    >>> from geartrain.training.recipe import integer, number, recipe
    >>> model = recipe("lightgbm", search={"num_leaves": integer(4, 31),
    ...                                    "learning_rate": number(0.02, 0.2, log=True)})
    >>> model.names
    ('learning_rate', 'num_leaves')
"""
