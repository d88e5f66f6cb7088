"""The room `web`: the pages on which product, domain, engineering and science meet.

In: a workspace, its accounts, and requests of people. Out: pages that are plain HTML,
each with a JSON twin at the same address plus `.json`, and ledger events with the
person who acted as their actor.

>>> from geartrain.web.paging import Page, twin_of
>>> twin_of("/products/{product}/promise")
'/products/{product}/promise.json'
"""
