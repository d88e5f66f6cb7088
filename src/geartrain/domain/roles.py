"""The roles that own an AI product together."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Who speaks for a clause, signs a release, or is called for an incident."""

    PRODUCT = "product"
    DOMAIN = "domain"
    ENGINEERING = "engineering"
    SCIENCE = "science"
