"""The room `contract`: what the team promised each other, from text to frozen clauses.

In comes the text of `product.yaml`. Out comes a `geartrain.domain.contract.Contract`, or
every problem at once with its line and column; the JSON Schema for editors; the meaning
of a change between two contracts and who must sign again; and a first contract to begin
from. The room reads no file and no clock.

    contract = parsing.parse(text, origin="product.yaml")      # ContractInvalid lists all problems
    changes = diff.diff(live, contract)                        # tighter, looser, different
    print(diff.describe(changes), changes.must_sign)
    for said in wording.in_words(contract):
        print(said.sentence)
"""
