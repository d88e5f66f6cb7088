"""The pencil: frames for two widths, axes, shapes, legends and the table under every chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geartrain.documents.spelling import text
from geartrain.domain.digest import digest

#: How many series look different from each other by colour, dash and end shape.
LOOKS = 6
#: About how wide a character is, as a part of the type's size.
CHARACTER = 0.56


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The paper: its size and margins in its own units, one unit about one pixel.

    A phone and a desk get a drawing each: text that was scaled down with the picture
    could not be read on the one, text scaled up would shout on the other.
    """

    name: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    type: float

    @property
    def x_end(self) -> float:
        """The right end of the plot."""
        return self.width - self.right

    @property
    def y_end(self) -> float:
        """The lower end of the plot."""
        return self.height - self.bottom


WIDE = Frame(name="wide", width=960, height=360, left=84, right=190, top=30, bottom=34, type=13)
NARROW = Frame(name="narrow", width=360, height=270, left=46, right=10, top=28, bottom=32, type=12)


def figure(
    chart: object,
    title: str,
    description: str,
    drawings: Iterable[tuple[Frame, float, str]],
    *,
    legend: str = "",
    table: str,
    kind: str = "",
) -> str:
    """One chart: its drawings (frame, height, content), the legend and the table of the same numbers."""
    key = f"chart-{digest(chart)[:10]}"
    pictures = "".join(
        f'<svg class="{frame.name}" role="img" viewBox="0 0 {place(frame.width)} {place(height)}"'
        f' aria-labelledby="{key}-{frame.name}-t {key}-{frame.name}-d" font-size="{place(frame.type)}">'
        f'<title id="{key}-{frame.name}-t">{text(title)}</title>'
        f'<desc id="{key}-{frame.name}-d">{text(description)}</desc>{content}</svg>'
        for frame, height, content in drawings
    )
    return (
        f'<figure class="chart{f" {kind}" if kind else ""}"><figcaption>{text(title)}</figcaption>{legend}{pictures}'
        f"<details><summary>The numbers</summary>{table}</details></figure>"
    )


def numbers_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row; it scrolls sideways where the page is narrow."""
    top = "".join(f'<th scope="col">{text(one)}</th>' if one else "<td></td>" for one in head)
    body = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>'
        + "".join(f"<td>{text(one)}</td>" for one in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        # A group, not a region: a page may have many, and landmarks of one name lead nowhere.
        f'<div class="scroll" tabindex="0" role="group" aria-label="The numbers of the chart">'
        f'<table class="numbers"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a *kind* that the style sheet knows."""
    return f'<line class="{kind}" x1="{place(x1)}" y1="{place(y1)}" x2="{place(x2)}" y2="{place(y2)}"/>'


def words(x: float, y: float, said: str, kind: str, anchor: str = "start") -> str:
    """Text at a place."""
    return f'<text class="{kind}" x="{place(x)}" y="{place(y)}" text-anchor="{anchor}">{text(said)}</text>'


def shape(look: int, x: float, y: float, radius: float = 4.0, kind: str = "dot") -> str:
    """A filled mark: a circle, square, triangle, diamond, cross or bar, so that colour is not needed."""
    r = radius
    match look % LOOKS:
        case 0:
            return f'<circle class="{kind}" cx="{place(x)}" cy="{place(y)}" r="{place(r)}"/>'
        case 1:
            corners = [(-r, -r), (r, -r), (r, r), (-r, r)]
        case 2:
            corners = [(0, -1.25 * r), (1.2 * r, r), (-1.2 * r, r)]
        case 3:
            corners = [(0, -1.35 * r), (1.35 * r, 0), (0, 1.35 * r), (-1.35 * r, 0)]
        case 4:
            a, b = 0.4 * r, 1.25 * r
            corners = [
                (-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a),
                (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a),
            ]  # fmt: skip
        case _:
            corners = [(-1.4 * r, -0.5 * r), (1.4 * r, -0.5 * r), (1.4 * r, 0.5 * r), (-1.4 * r, 0.5 * r)]
    return polygon(x, y, corners, kind)


def polygon(x: float, y: float, corners: Iterable[tuple[float, float]], kind: str) -> str:
    """A filled outline around a place."""
    points = " ".join(f"{place(x + dx)},{place(y + dy)}" for dx, dy in corners)
    return f'<polygon class="{kind}" points="{points}"/>'


def legend(names: Iterable[tuple[str, bool]]) -> str:
    """What each line looks like: its colour, its dash and its mark, beside its name."""
    items = "".join(
        f'<li class="s{look % LOOKS}{" leading" if leading else ""}">'
        '<svg class="key" viewBox="0 0 34 12" aria-hidden="true">'
        f'<path class="line" d="M1 6H33"/>{shape(look, 17, 6, 3.6)}</svg>{text(name)}</li>'
        for look, (name, leading) in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def place(value: float) -> str:
    """A coordinate with a tenth of a unit, which is finer than a pixel.

    >>> place(3.0), place(2.26), place(-0.04)
    ('3', '2.3', '0')
    """
    rounded = f"{value:.1f}".removesuffix(".0")
    return "0" if rounded == "-0" else rounded
