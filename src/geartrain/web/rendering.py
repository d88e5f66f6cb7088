"""Views to HTML: one environment, one frame, one style sheet, one small script."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from geartrain.documents.charts import (
    bar_chart,
    chart_style,
    finding_bar,
    line_chart,
    reliability_chart,
    scatter_chart,
)
from geartrain.documents.spelling import day, moment, number, share, size, span
from geartrain.domain.digest import digest_bytes, short
from geartrain.domain.finding import Finding, Status
from geartrain.engine.adopted import contract_in_force
from geartrain.web.addresses import address
from geartrain.web.navigation import Frame, frame_of
from geartrain.web.plain import Plain, plain_of
from geartrain.web.room import Asked

if TYPE_CHECKING:
    from jinja2 import Environment

_TYPES = {"room.css": "text/css", "room.js": "text/javascript", "mark.svg": "image/svg+xml"}
#: Told apart without colour.
GLYPHS = {Status.KEPT: "✓", Status.BROKEN: "✗", Status.UNPROVEN: "?", Status.NOT_MEASURED: "-"}


def rendered(asked: Asked, template: str, view: object, *, said: tuple[str, str]) -> str:
    """The page of *view* inside the room's frame."""
    session = asked.visitor.session
    frame: Frame = frame_of(asked)
    plain = _plain(asked)
    return (
        _environment()
        .get_template(template)
        .render(
            view=view,
            asked=asked,
            frame=frame,
            proof=session.proof if session else "",
            plain=plain.text,
            told=plain.told,
            called=plain.called,
            plain_chart=plain.chart,
            said_kind=said[0],
            said=said[1],
        )
    )


def _plain(asked: Asked) -> Plain:
    contract = (
        contract_in_force(asked.workspace, asked.names["product"]) if "product" in asked.names else None
    )
    return plain_of(asked.workspace, contract) if contract else Plain(names={}, currency="")


def framed(template: str, **facts: Any) -> str:
    """A page outside of the room: the door, an error."""
    return _environment().get_template(template).render(**facts)


async def static_file(request: Request) -> Response:
    """A file of the room's own, at an address that names its content."""
    name = request.path_params["name"]
    if name not in _TYPES or request.path_params["digest"] != static_digest(name):
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is nothing here")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_static(name), media_type=_TYPES[name], headers=headers)


@cache
def static_digest(name: str) -> str:
    """What the address of a static file says about its content."""
    return digest_bytes(_static(name))[:16]


@cache
def _static(name: str) -> bytes:
    own = resources.files("geartrain.web").joinpath("static", name).read_bytes()
    return chart_style().encode() + b"\n" + own if name == "room.css" else own


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def picture(finding: Finding) -> Markup:
        return Markup(finding_bar(finding))  # noqa: S704 - the drawing escapes every name; see the tests on hostile names

    environment = Environment(
        loader=PackageLoader("geartrain.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        share=share,
        size=size,
        span=span,
        day=day,
        moment=moment,
        short=short,
        machine=_machine,
        ago=ago,
        spaced=_spaced,
        called_all=lambda names, called: [called(one) for one in names],
    )
    environment.globals.update(
        static=lambda name: f"/static/{static_digest(name)}/{name}",
        glyph=lambda status: GLYPHS[Status(status)],
        kebab=lambda text: str(text).replace(" ", "-"),
        address=address,
        picture=picture,
        line_svg=lambda chart: Markup(line_chart(chart)),  # noqa: S704
        bar_svg=lambda chart: Markup(bar_chart(chart)),  # noqa: S704
        scatter_svg=lambda chart: Markup(scatter_chart(chart)),  # noqa: S704
        reliability_svg=lambda chart: Markup(reliability_chart(chart)),  # noqa: S704
    )
    return environment


def _spaced(kind: str) -> str:
    """The name of a type of event as words: `ModelTrained` as `model trained`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def _machine(at: datetime) -> str:
    """A time as `<time datetime>` wants it."""
    return at.isoformat()


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that says enough.

    >>> from datetime import UTC, timedelta
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> ago(noon - timedelta(hours=50), noon), ago(noon, noon), ago(noon + timedelta(hours=3), noon)
    ('2 days ago', 'just now', 'in 3 hours')
    """
    seconds = (now - at).total_seconds()
    for length, unit in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        count = round(abs(seconds) / length)  # as durations beside it are
        if abs(seconds) >= length:
            words = f"{count:,} {unit}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now"
