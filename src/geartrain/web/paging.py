"""Pages and actions: a page is a frozen view with two spellings, an action ends in one of three ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from geartrain.domain.accounts import Scope
from geartrain.web.room import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An address, what is shown there, and how it looks.

    Attributes:
        path: A route such as `/products/{product}/promise`; its JSON twin is `twin_of(path)`.
        template: The template that spells the view as HTML.
        view: Gives a frozen noun; the template and the JSON twin get the same one.
    """

    path: str
    template: str
    view: Callable[[Asked], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It was done: go to *to*, where *said* is shown once."""

    to: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """It was not done, for a reason that the person can act on; *to* is where they came from."""

    to: str
    reason: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The page is shown at once: with what is wrong in what was written, or with a secret shown only now."""

    template: str
    view: object
    status: int = 422


Outcome = Done | Denied | Again


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a form does.

    Attributes:
        path: The route that takes the form by POST.
        act: Does it and says how it ended. The actor of every event is `asked.visitor.person`.
        scope: What a program's token must allow.
    """

    path: str
    act: Callable[[Asked], Outcome]
    scope: Scope = Scope.ACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to take away.

    Attributes:
        file: Gives name, media type and content.
    """

    path: str
    file: Callable[[Asked], tuple[str, str, bytes]]


def twin_of(path: str) -> str:
    """The address of a page's JSON twin.

    >>> twin_of("/")
    '/index.json'
    """
    return "/index.json" if path == "/" else f"{path}.json"
