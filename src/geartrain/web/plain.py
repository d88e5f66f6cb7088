"""What the machinery wrote, in plain words: a page shows these first and the exact sentence behind them.

The ledger, the terminal and the JSON twins keep every sentence as it was written. Here
names become what people call the thing, and figures that only statisticians read are left
to the details of the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from geartrain.contract.wording import promise_in_words
from geartrain.documents.chart_nouns import LineChart
from geartrain.documents.spelling import MINUS, moment, number, share, span
from geartrain.domain.clause import Clause, Comparison, Parameter
from geartrain.domain.contract import Cause, Contract
from geartrain.domain.finding import Finding
from geartrain.engine.bench import currency_of
from geartrain.engine.costs_counted import dividing
from geartrain.engine.costs_over_time import policy_in_words
from geartrain.engine.feature_words import described
from geartrain.engine.release_words import live_reading
from geartrain.engine.workspace import Workspace
from geartrain.evaluation.groups import expressions_of

#: What happened, by the cause that triage found.
CAUSES: Final = {
    Cause.FEED: "a feed fell silent or broke",
    Cause.COLUMN: "a column changed its meaning or broke",
    Cause.LABEL_FEED: "the labels stopped or broke",
    Cause.POPULATION: "other cases than before arrive",
    Cause.CONCEPT: "the same cases end differently than before",
    Cause.MODEL: "something changed on the model's side",
}
#: What a monitor noticed, by the kind of its signal, before the name of what it is about.
NOTICED: Final = {
    "drift": "a change of",
    "nulls": "missing values of",
    "constant": "one and the same value of",
    "new-category": "new values of",
    "attribution": "another weight of",
    "unlike": "values unlike those of before, of",
    "refused": "refused rows because of",
    "silent-feed": "silence of",
    "label-feed": "missing labels from",
    "low-volume": "too few rows from",
    "duplicates": "repeated rows from",
    "clock": "a wrong clock of",
    "unit": "another unit of",
    "swap": "exchanged columns at",
    "categories": "renamed values of",
    "latency": "slow answers against",
    "cost": "dearer decisions against",
    "cost-trigger": "dearer decisions against",
    "abstention": "more cases left to people against",
    "abstention-trigger": "more cases left to people against",
    "calibration": "probabilities that do not come true, of",
    "fairness": "a broken promise of fairness,",
    "plausibility": "a broken rule,",
    "success": "a broken promise,",
    "skew": "values unlike those of training, of",
    "errors": "answers that failed, of",
}
#: What the names of metrics mean, for those who have never had to know.
_MEANS: Final = {
    "recall": "recall is the share that is found, of all cases that should be",
    "precision": "precision is the share that is right, of all cases that are picked out",
    "specificity": "specificity is the share that is left alone, of all cases that should be",
    "f1": "F1 is one figure for both how many are found and how many of those are right",
    "accuracy": "accuracy is the share of answers that are right",
    "auc": "it is how often, of two cases of which one is of the class, that one gets the higher number; 0.5 is chance",
    "average_precision": "it is the precision on the way down the list, from the likeliest case on",
    "calibration_error": "it is how far the probabilities that are told lie from what then comes true",
    "calibration_at_threshold": "it is how far probabilities near the turning point lie from what then comes true",
    "brier": "it is the squared distance of the probabilities from what came true; lower is better",
    "log_loss": "it punishes probabilities that were sure and wrong; lower is better",
    "mean_absolute_error": "it is how far an answer lies from the truth, on average",
    "root_mean_squared_error": "it is how far an answer lies from the truth, with large distances counting more",
    "r2": "it is how much of the differences between cases the answers explain; 1 is all",
}  # fmt: skip
#: The parameters of a clause that hold names.
_NAMING: Final = ("column", "columns", "attribute", "with", "groups", "source")
_STEPS: Final = {
    "<=": "is at most", ">=": "is at least", "==": "is", "!=": "is not", "<": "is below", ">": "is above",
}  # fmt: skip
_MOST_WORDS = 3
#: So many sentences of a product are kept in words, and the words of so many contracts and releases.
_MOST_KEPT, _MOST_PRODUCTS = 4096, 32
_FEED: Final = "the feed "
_ROLE = "product|domain|engineering|science"
_FIGURE = r"[-+]?[\d.,]+(?:e[-+]?\d+)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Puts into plain words what is told about one product.

    Attributes:
        names: What people call columns, features and sources, by their technical names.
        currency: What costs are counted in.
        kept: What was put into words already: the same sentences are shown again and again.
    """

    names: Mapping[str, str]
    currency: str
    kept: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def name(self, technical: str) -> str:
        """What people call it; its own name, readable, where nobody has said.

        >>> Plain(names={"pages": "pages seen"}, currency="EUR").name("card_id")
        'card id'
        """
        return self.names.get(technical) or technical.replace("_", " ")

    def called(self, technical: str) -> str:
        """The same inside a sentence, in quotation marks where it is long enough to be lost in it."""
        words = self.name(technical)
        long = ("," in words or len(words.split()) > _MOST_WORDS) and not words.startswith(_FEED)
        return f"“{words}”" if long else words

    def text(self, sentence: str) -> str:
        """A sentence of the machinery in plain words.

        >>> plain = Plain(names={}, currency="EUR")
        >>> plain.text("`amount` has drifted: mean 47.23 -> 71.99, PSI 0.194 over 4,297 rows")
        'amount is 71.99 on average, before 47.23 (4,297 rows)'
        >>> plain.text("proven not worse by more than 0.0512715 per decision on 1,188 rows (e = 33.4 of 20)")
        'proven not dearer by more than 0.0513 EUR a decision on 1,188 rows'
        """
        kept = self.kept.get(sentence)
        if kept is None:
            if len(self.kept) >= _MOST_KEPT:
                self.kept.clear()
            kept = self.kept[sentence] = self._rewritten(sentence)
        return kept

    def _rewritten(self, sentence: str) -> str:
        for pattern, told in _REWRITTEN:
            sentence = pattern.sub(told, sentence)
        sentence = _DEARER.sub(
            lambda found: f"dearer by more than {number(float(found[1]), 3)} {self.currency} a decision",
            sentence,
        )
        sentence = _COMPARED.sub(
            lambda found: f"{self.called(found[1])} {_STEPS[found[2]]} {found[3].strip(_QUOTES)}", sentence
        )
        sentence = _QUOTED.sub(lambda found: self.called(found[1]), sentence)
        sentence = _SNAKE.sub(lambda found: self.called(found[0]), sentence)
        return _AND_CHANGED.sub(", ", sentence)

    def told(self, sentence: str) -> str:
        """The same as a sentence of its own."""
        return _begun(self.text(sentence))

    def promise(self, clause: Clause) -> str:
        """What a clause promises, by the names that people use."""
        told = promise_in_words(
            replace(
                clause,
                unit=clause.unit or (self.currency if clause.metric == "cost_per_million" else ""),
                parameters=tuple(
                    (name, self._named(clause, name, value) if name in _NAMING else value)
                    for name, value in clause.parameters
                ),
            )
        )
        if clause.relative_to is not None:
            words = "at least" if clause.comparison is Comparison.AT_LEAST else "at most"
            exact = f"is {words} {number(clause.bound)} of that of {clause.relative_to}"
            policy = policy_in_words(clause.relative_to).replace('"', "")
            told = told.replace(exact, f"is {words} {share(clause.bound)} of that of “{policy}”")
        if (
            clause.section == "fairness"
            and clause.metric in _IN_POINTS
            and clause.parameter("compare") != "ratio"
        ):
            told = told.replace(
                f"by at most {number(clause.bound)};", f"by at most {number(100 * clause.bound)} points;"
            )
        return self.text(told)

    def measured(self, clause: Clause, finding: Finding | None) -> str:
        """What was found about a clause, with its interval."""
        if finding is None:
            return "Nothing was measured yet"
        why = finding.message.partition(": not measured, ")[2]
        told = why if finding.value is None and why else _VERDICT.sub("", finding.message)
        if finding.value is None or clause.section in _TOLD_IN_WORDS:
            return _begun(self.text(told)) if told else "Nothing was measured yet"
        remark = f" {finding.message[finding.message.rindex('[') :]}" if finding.message.endswith("]") else ""
        return self.text(f"Measured {self.figure(clause, finding)}{remark}")

    def figure(self, clause: Clause, finding: Finding) -> str:
        """The measured value with its interval and unit; empty where none was measured."""
        if finding.value is None:
            return ""
        if finding.unit == "s":
            return span(finding.value)
        spell: Callable[[float], str] = share if clause.relative_to is not None else number
        unit = finding.unit or (
            self.currency if clause.metric in _COSTS and clause.relative_to is None else ""
        )
        interval = (
            f" ({spell(finding.low)} to {spell(finding.high)})"
            if finding.low is not None and finding.high is not None and finding.low != finding.high
            else ""
        )
        return f"{spell(finding.value)}{f' {unit}' if unit else ''}{interval}"

    def chart(self, chart: LineChart) -> LineChart:
        """A line on which what happened is told in plain words."""
        return replace(
            chart,
            events=tuple(
                replace(one, title=self.text(one.title), detail=self.text(one.detail)) for one in chart.events
            ),
        )

    def _named(self, clause: Clause, name: str, value: Parameter) -> Parameter:
        if name == "groups" and value is not None:
            expressions = expressions_of(value)
            # An expression that makes groups says less to people than the name of its clause.
            if not all(one.isidentifier() for one in expressions):
                return dividing(clause.path, expressions)
        if isinstance(value, tuple):
            return tuple(self.called(one) if isinstance(one, str) else one for one in value)
        return self.called(value) if isinstance(value, str) else value


def meaning(clause: Clause) -> str:
    """What the clause's metric is, for those who have never had to know; empty where its name says it."""
    return _MEANS.get(clause.metric, "")


def plain_of(workspace: Workspace, contract: Contract) -> Plain:
    """The words of a product: what its contract and the features of its live release call things."""
    champion = workspace.releases(contract.product.name).champion or ""
    # By identity: a contract that was read is kept, and to hash it takes longer than to find its words.
    key = (id(contract), champion)
    known = _known.get(key)
    if known is not None and known[0] is contract:
        return known[1]
    sources = contract.data.sources if contract.data else ()
    fields = {one.name: one.description for source in sources for one in source.fields if one.description}
    reading = live_reading(workspace, contract.product.name)
    features = reading.encoding.feature_set.features if reading else ()
    plain = Plain(
        names={one.name: f"{_FEED}“{one.name.replace('_', ' ')}”" for one in sources}
        | {one.name: described(one).partition(";")[0] for one in features}
        | {name: words.partition(";")[0].rstrip(".") for name, words in fields.items()},
        currency=currency_of(contract),
    )
    # What cannot be read now may be put back.
    if reading is not None or not champion:
        if len(_known) >= _MOST_PRODUCTS:
            _known.clear()
        _known[key] = contract, plain
    return plain


_known: dict[tuple[int, str], tuple[Contract, Plain]] = {}


def _begun(words: str) -> str:
    """With a capital at the beginning, inside of a quotation mark, too."""
    place = 1 if words.startswith("“") else 0
    return words[:place] + words[place : place + 1].upper() + words[place + 1 :]


def _moment(found: re.Match[str]) -> str:
    try:
        at = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}").replace(tzinfo=UTC)
    except ValueError:
        return found[0]
    return moment(at)


def _pairs(found: re.Match[str]) -> str:
    most, value, low, high = found.groups()
    interval = f" ({float(low) * 100:.0f} to {float(high) * 100:.0f})" if low else ""
    return f"in {most or ''}{float(value) * 100:.0f} of 100 pairs{interval}, where guessing gives 50"


def _figure(found: re.Match[str]) -> str:
    return number(float(found[0]))


def _happened(found: re.Match[str]) -> str:
    return f"{CAUSES[Cause(found[1])]}: {found[2]} was called"


#: Sections whose findings are sentences that say more than their figure.
_TOLD_IN_WORDS: Final = frozenset({"plausibility", "integrity", "fairness"})
#: Definitions of fairness that compare shares, so that their differences are told in points of a hundred.
_IN_POINTS: Final = frozenset(
    {
        "demographic_parity",
        "equal_opportunity",
        "equalised_odds",
        "predictive_parity",
        "calibration_within_groups",
    }
)
#: Metrics whose value is an amount of money.
_COSTS: Final = frozenset(
    {"expected_cost", "cost_per_1000", "cost_within_capacity", "cost_per_million", "cost_parity"}
)
_QUOTES: Final = "\"'"
#: A finding's message ends with the promise and what became of it; a page shows both in its own way.
_VERDICT: Final = re.compile(
    r"(?:[,;] promised at (?:most|least).*|: (?:kept|broken|unproven|not measured)\b.*)$", re.DOTALL
)
_DEARER: Final = re.compile(rf"worse by more than ({_FIGURE}) per decision")
_COMPARED: Final = re.compile(r"`([^`]+)` (<=|>=|==|!=|<|>) (\"[^\"]*\"|[\w.-]+)")
_AND_CHANGED: Final = re.compile(r"(?<=[\w”]), a change of ")
_QUOTED: Final = re.compile(r"`([^`]+)`")
_SNAKE: Final = re.compile(r"(?<![\w.<&/-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w.]*\w)")
_REWRITTEN: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(rf"(`[^`]+`) has drifted: mean ({_FIGURE}) -> ({_FIGURE}), PSI [\d.]+ over ([\d,]+) rows"),
     r"\1 is \3 on average, before \2 (\4 rows)"),
    (re.compile(r"(`[^`]+`) has drifted: (.+?) (\S+) -> (\S+), PSI [\d.]+ over ([\d,]+) rows"),
     r"\1 has changed: \2 is \4 of it, before \3 (\5 rows)"),
    (re.compile(r", PSI [\d.]+"), ""),
    (re.compile(r" \(fit [\d.]+\)"), ""),
    (re.compile(r" \(e = [^)]*\)"), ""),
    (re.compile(r"are not exchangeable with"), "are unlike"),
    (re.compile(r"(decisions rest on `[^`]+` for \S+), on the reference for"), r"\1, on the rows that judged the release for"),
    (re.compile(r" \(evidence [^)]*\)"), ""),
    (re.compile(r"([\d,]+) differences beyond (\S+) counted as that"), r"\1 very large differences count as \2 each"),
    (re.compile(r"assumes that P\(y\|x\) has not changed"), "if the same cases still end as before"),
    (re.compile(r"P\(y\|x\) has changed"), "the same cases end differently"),
    (re.compile(r" \(P\(false, ever\) <= ([\d.]+)\)"), lambda found: f" (a false alarm, ever: {share(float(found[1]))})"),
    (re.compile(r"^schedule: "), ""),
    (re.compile(r"; cheapest on the last labelled block \([^)]*\)"),
     "; it learns from the stretch of the past that was cheapest lately"),
    (re.compile(r"cost per 1000: champion (\S+), challenger (\S+) on"),
     r"1,000 decisions cost \1 with the live release, \2 with the new one, on"),
    (re.compile(r"^the challenger won$"), "the new release won the comparison"),
    (re.compile(r"^the champion stays$|(?<=; )the champion stays"), "the live release stays"),
    (re.compile(r"^(\w{12}) in shadow on 0%$"), r"release \1 runs in the shadow and answers nobody"),
    (re.compile(r"^(\w{12}) in canary on (\S+)$"), r"release \1 answers \2 of the traffic"),
    (re.compile(r"^(\w{12}) taken out"), r"release \1 was taken out"),
    (re.compile(r"^contract \w{12} adopted$"), "the contract was adopted"),
    (re.compile(r"explained by incident \w+: "), "explained by a later incident: "),
    (re.compile(rf"^({'|'.join(Cause)}): ({_ROLE}) was called$"), _happened),
    (re.compile(rf"\b({_ROLE}):([^,;]+)"), r"\2 for \1"),
    (re.compile(rf"({'|'.join(NOTICED)}) of (?=`)"), lambda found: f"{NOTICED[found[1]]} "),
    (re.compile(r"(AUC of [^,;]*), where 0\.5 is nothing"), r"\1"),
    (re.compile(r"with an AUC of (at most )?([\d.]*\d)(?: \(([\d.]+) to ([\d.]+)\))?"), _pairs),
    (re.compile(r"\b(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?: UTC)?)?"), _moment),
    (re.compile(r"\ba decision costs (\S+) -> (\S+) ([^:]+):"), r"a decision cost \1 \3 before and costs \2 \3 since:"),
    (re.compile(r"^([\w ]+): is "), r"\1 is "),
    (re.compile(rf"({_FIGURE}%?) -> ({_FIGURE}%?)"), r"\1, now \2"),
    (re.compile(r"(?<![\w.])\d+(?:\.\d+)?e[-+]\d+\b"), _figure),
    (re.compile(r"about -(\S+ .*?a day) more than before"), r"about \1 less than before"),
    (re.compile(r"(?<=[ (])-(?=\d)"), MINUS),
    (re.compile(r"(\d) %"), r"\1%"),
    (re.compile(r"(\d) h\b"), r"\1 hours"),
)  # fmt: skip
