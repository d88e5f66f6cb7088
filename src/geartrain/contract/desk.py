"""Where the sections meet while a contract is compiled: what each may refer to, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from geartrain.contract.models import (
    CostsText,
    DataText,
    DecisionText,
    FieldText,
    SourceText,
)
from geartrain.contract.promises import BudgetText, SuccessText
from geartrain.contract.reading import Document, Path, dotted, shown
from geartrain.contract.validating import Shape
from geartrain.domain.columns import outermost
from geartrain.domain.contract import SourceKind
from geartrain.domain.expression import parse as parse_expression
from geartrain.errors import Problem


@dataclass(slots=True, kw_only=True)
class Desk:
    """One compilation: the document, the sections as they stand, and the problems so far.

    Checks against a section that lost something are left out, for a name that seems
    unknown may be the one that was cut.

    Attributes:
        features: The features' own names; where they are given, every other name must be a listed column.
    """

    document: Document
    shape: Shape
    features: frozenset[str] | None = None
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, path: Path, message: str, *, found: object = "", expected: str = "") -> None:
        """Note a problem at *path*."""
        mark = self.document.mark(path)
        self.problems.append(
            Problem(
                path=dotted(path),
                line=mark.line,
                column=mark.column,
                message=message,
                found=found if isinstance(found, str) else shown(found),
                expected=expected,
            )
        )

    def section(self, name: str) -> Any:
        """The section's model, or None where it is missing or could not be read."""
        return self.shape.sections.get(name)

    def whole(self, name: str) -> bool:
        """Whether the section lost nothing."""
        return name not in self.shape.damaged

    @property
    def decision(self) -> DecisionText | None:
        """The decision section."""
        section: DecisionText | None = self.section("decision")
        return section

    @property
    def costs(self) -> CostsText | None:
        """The costs section."""
        section: CostsText | None = self.section("costs")
        return section

    @property
    def success(self) -> SuccessText | None:
        """The success section."""
        section: SuccessText | None = self.section("success")
        return section

    @property
    def budget(self) -> BudgetText | None:
        """The budget section."""
        section: BudgetText | None = self.section("budget")
        return section

    @property
    def data(self) -> DataText | None:
        """The data section."""
        section: DataText | None = self.section("data")
        return section

    @property
    def decisions(self) -> tuple[str, SourceText] | None:
        """The source whose rows are decided about."""
        sources = self.data.sources.items() if self.data else ()
        return next(((name, one) for name, one in sources if one.kind is SourceKind.DECISIONS), None)

    @property
    def label_field(self) -> tuple[Path, FieldText] | None:
        """The field that holds the label, wherever it is listed."""
        if self.data is None or self.decision is None:
            return None
        wanted = (SourceKind.LABELS, SourceKind.DECISIONS)
        for name, source in self.data.sources.items():
            if source.kind in wanted and self.decision.label in source.fields:
                path = ("data", "sources", name, "fields", self.decision.label)
                return path, source.fields[self.decision.label]
        return None

    def check_expression(self, path: Path, text: str, *, besides: Iterable[str] = ()) -> None:
        """Check the columns that the expression *text* reads, a decision row's unless named *besides*."""
        for column in parse_expression(text).columns:
            if column not in besides:
                self.check_column(path, column)

    def check_column(self, path: Path, column: str, *, source: tuple[str, SourceText] | None = None) -> None:
        """Check that *column* may stand in a source's rows, the decision source's by default.

        A list of fields may be partial, and features have names of their own; so an
        unlisted name is wrong only where the source lists every column, where it is a
        listed one with a slip of the pen, or where the features' names are known too.
        """
        where = source or self.decisions
        if where is None or not where[1].fields or not self.whole("data"):
            return
        known = list(where[1].fields)
        if self.decision is not None:
            known.append(self.decision.label)
        if column not in known:
            self._refuse_column(path, column, where=where, known=known)

    def check_label(self) -> None:
        """Check that the label stands in the rows that are said to bring it."""
        if self.decision is None or self.data is None or self.label_field is not None:
            return
        brings = [(name, one) for name, one in self.data.sources.items() if one.kind is SourceKind.LABELS]
        where = brings[0] if brings else self.decisions
        if where is not None and where[1].fields and self.whole("data"):
            path = ("decision", "label")
            self._refuse_column(path, self.decision.label, where=where, known=list(where[1].fields))

    def _refuse_column(
        self, path: Path, column: str, *, where: tuple[str, SourceText], known: list[str]
    ) -> None:
        name, terms = where
        near = next((one for one in known if _is_a_slip(column, one)), None)
        if near is not None:
            expected = f"did you mean `{near}`? Otherwise list `{column}` in data.sources.{name}.fields"
        elif terms.every_column_listed:
            expected = "one of " + ", ".join(known)
        elif self.features is not None and column not in self.features | _implied(terms):
            listed = ", ".join(dict.fromkeys((*known, *sorted(self.features))))
            expected = f"one of {listed}; or list `{column}` in data.sources.{name}.fields"
        else:
            return
        self.wrong(path, f"there is no column `{column}` in `{name}`", found=column, expected=expected)


def _implied(terms: SourceText) -> frozenset[str]:
    """Columns that a source's rows have though they are not among its fields."""
    outer = {outermost(one.path) for one in terms.fields.values()}
    digests = {one.file_digest for one in terms.fields.values()}
    named = {terms.key, terms.event_time, terms.arrival_time, terms.decision_key}
    return frozenset(name for name in outer | digests | named if name)


def _is_a_slip(found: str, known: str) -> bool:
    """Whether two names differ by case, separators or one letter; digits tell columns apart on purpose.

    >>> _is_a_slip("amout", "amount"), _is_a_slip("v1", "v2"), _is_a_slip("worst_radius", "worst radius")
    (True, False, True)
    """
    one, other = (re.sub(r"[\s_\-.]+", "", name.lower()) for name in (found, known))
    if one == other:
        return True
    digits = [re.sub(r"\D", "", name) for name in (one, other)]
    if digits[0] != digits[1] or min(len(one), len(other)) < 5:
        return False
    return abs(len(one) - len(other)) <= 1 and SequenceMatcher(None, one, other).ratio() >= 0.9
