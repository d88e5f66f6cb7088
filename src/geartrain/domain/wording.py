"""Names as people say them."""

from __future__ import annotations


def plain_name(name: str) -> str:
    """A column's name without underscores.

    >>> plain_name("card_id")
    'card id'
    """
    return name.replace("_", " ")


def class_in_words(label: str, name: str) -> str:
    """A class as people say it: with its label where it says nothing by itself.

    >>> class_in_words("is_fraud", "true"), class_in_words("is_fraud", "false")
    ('fraud', 'no fraud')
    >>> class_in_words("bought", "yes"), class_in_words("diagnosis", "malignant")
    ('“bought: yes”', 'malignant')
    """
    said, what = name.casefold(), plain_name(label)
    if what.startswith("is ") and said in {"true", "false"}:
        return f"{'' if said == 'true' else 'no '}{what.removeprefix('is ')}"
    bare = said in {"true", "false", "yes", "no"} or name.replace(".", "").isdigit()
    return f"“{what}: {name}”" if bare else name
