"""What an incident teaches, as changes of the contract that the team may propose.

A draft is where a discussion begins: people edit it, give their reason, and those who own what
changes sign it. Nothing is drafted that the incident and what was measured do not say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from geartrain.contract.diff import ContractDiff, diff
from geartrain.contract.editing import changed, leaves_of
from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import Cause, Contract, FieldTerms, RetrainingTerms, SourceTerms
from geartrain.domain.digest import short
from geartrain.domain.expression import parse
from geartrain.domain.finding import Finding, Status
from geartrain.domain.incident import Incident
from geartrain.engine.adopted import contract_in_force, read_contract_text, text_in_force
from geartrain.engine.bundles import load_bundle
from geartrain.engine.incidents import case
from geartrain.engine.living import latest_findings
from geartrain.engine.workspace import Workspace
from geartrain.errors import ContractInvalid
from geartrain.monitoring.profile import Profile, from_bytes

#: The name that cost monitors give to what they watch.
_COST = "expected_cost"
#: Sections whose bounds are plain numbers.
_PLAIN = ("success", "fairness", "plausibility")
#: Signals of values that are not what they were.
_VALUES = frozenset({"unit", "swap", "constant"})
_NAMES = frozenset({"categories", "new-category"})
_DIGITS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A change that an incident suggests.

    Attributes:
        words: What it is for, in a sentence.
        path: Where it stands in the text, such as `success.expected_cost`.
        values: What is to stand there, each by its key as the text spells it.
        text: The whole contract with the change.
        reason: Names the incident; the team reads it first.
        change: What it means against the contract in force, and who must sign.
    """

    words: str
    path: str
    values: tuple[tuple[str, str], ...]
    text: str
    reason: str
    change: ContractDiff


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    words: str
    path: str
    values: tuple[tuple[str, str], ...]


def incident_drafts(workspace: Workspace, product: str, id_: str) -> tuple[Draft, ...]:
    """The changes that the incident with that id suggests against the contract in force; none where nothing does."""
    found, contract = case(workspace, product, id_), contract_in_force(workspace, product)
    text = text_in_force(workspace, product)
    if found is None or contract is None or text is None:
        return ()
    state = workspace.releases(product)
    findings = latest_findings(state, state.record(state.champion) if state.champion else None)
    profile = None
    if state.champion and {one.kind for one in found.incident.signals} & (_VALUES | _NAMES):
        content = load_bundle(workspace, state.champion).profile
        profile = from_bytes(content) if content is not None else None
    return drafts_of(contract, text, found.incident, findings=findings, profile=profile)


def drafts_of(
    contract: Contract,
    text: str,
    incident: Incident,
    *,
    findings: dict[str, Finding],
    profile: Profile | None,
) -> tuple[Draft, ...]:
    """What *incident* suggests against *contract*, whose YAML is *text*.

    *findings* are the latest about each clause of the live release, *profile* is of the rows that it
    learned from. A column's incident suggests what the door should refuse; other cases a clause for
    them alone; a changed concept a bound that what was measured keeps, or an earlier retraining.
    """
    match incident.cause:
        case Cause.COLUMN:
            wishes = _columns(contract, incident, profile)
        case Cause.POPULATION:
            wishes = [*_slices(contract, text, incident), *_columns(contract, incident, profile)]
        case Cause.CONCEPT:
            wishes = [*_bounds(contract, text, incident, findings), *_triggers(contract)]
        case Cause.FEED | Cause.LABEL_FEED | Cause.MODEL:
            # What broke there is repaired or rolled back; the promise stays what it was.
            wishes = []
    reason = f"incident {short(incident.id)} ({incident.cause}): {incident.message}"
    drafts: list[Draft] = []
    for wish in wishes:
        made = changed(text, wish.path, dict(wish.values))
        try:
            wanted = read_contract_text(made)
        except ContractInvalid:
            # It contradicts what else the team promised, so that nobody could sign it.
            continue
        change = diff(contract, wanted)
        if change.changes:
            drafts.append(
                Draft(
                    words=wish.words,
                    path=wish.path,
                    values=wish.values,
                    text=made,
                    reason=f"{wish.words}, after {reason}",
                    change=change,
                )
            )
    return tuple(drafts)


def _columns(contract: Contract, incident: Incident, profile: Profile | None) -> list[_Wish]:
    """Rules of the door that would have kept such rows out."""
    wishes: dict[str, _Wish] = {}
    for signal in incident.signals:
        for source, field in _fields(contract, signal.about):
            path = f"data.sources.{source.name}.fields.{field.name}"
            if signal.kind == "nulls" and not field.required:
                wishes.setdefault(
                    path,
                    _Wish(
                        words=f"refuse rows without `{field.name}`", path=path, values=(("required", "true"),)
                    ),
                )
            elif profile is not None and signal.kind in _VALUES:
                numbers = next((one for one in profile.numbers if one.name == field.name), None)
                if numbers is not None and numbers.low is not None and numbers.high is not None:
                    low, high = _outward(numbers.low, up=False), _outward(numbers.high, up=True)
                    words = (
                        f"refuse `{field.name}` outside of what the live model learned from, {low} to {high}"
                    )
                    wishes.setdefault(
                        path, _Wish(words=words, path=path, values=(("min", low), ("max", high)))
                    )
            elif profile is not None and signal.kind in _NAMES and not field.values:
                names = next((one for one in profile.categories if one.name == field.name), None)
                if names is not None and names.names and not names.other:
                    spelled = "[" + ", ".join(_quoted(one) for one in sorted(names.names)) + "]"
                    words = f"refuse names of `{field.name}` that the live model never saw"
                    wishes.setdefault(path, _Wish(words=words, path=path, values=(("values", spelled),)))
    return list(wishes.values())


def _fields(contract: Contract, name: str) -> list[tuple[SourceTerms, FieldTerms]]:
    """The fields of that name which a path in the text can lead to."""
    if contract.data is None or "." in name:
        return []
    return [
        (source, field) for source in contract.data.sources for field in source.fields if field.name == name
    ]


def _slices(contract: Contract, text: str, incident: Incident) -> list[_Wish]:
    """The promise about cost, made for the cases that came to be more as well."""
    if contract.data is None:
        return []
    known = {field.name for field in contract.data.decisions.fields}
    whole = next((one for one in contract.clauses if one.path == f"success.{_COST}"), None)
    leaves = {one.name: one.value for one in leaves_of(text, whole.path) or ()} if whole else {}
    if "at_most" not in leaves:
        return []
    wishes: list[_Wish] = []
    for segment in incident.segments:
        if not segment.where or not set(parse(segment.where).columns) <= known:
            continue
        kept = tuple(
            (name, value) for name in ("at_most", "relative_to", "owner") if (value := leaves.get(name, ""))
        )
        wishes.append(
            _Wish(
                words=f"promise the cost where {segment.words} by itself",
                path=f"success.cost_{short(incident.id)[-6:]}_{len(wishes) + 1}",
                values=(
                    ("metric", _COST),
                    ("where", segment.where),
                    *kept,
                    (
                        "because",
                        f"these cases are {segment.share:.0%} of all since incident {short(incident.id)}",
                    ),
                ),
            )
        )
    return wishes


def _bounds(contract: Contract, text: str, incident: Incident, findings: dict[str, Finding]) -> list[_Wish]:
    """Bounds that what was measured keeps, for clauses that the incident speaks of and that are broken."""
    about = {one.about for one in incident.signals}
    return [
        wish
        for clause in contract.clauses
        if clause.section in _PLAIN and (clause.path in about or (clause.metric == _COST and _COST in about))
        if (wish := _bound(clause, text, findings.get(clause.path))) is not None
    ]


def _bound(clause: Clause, text: str, found: Finding | None) -> _Wish | None:
    if found is None or found.status is not Status.BROKEN or found.low is None or found.high is None:
        return None
    key = str(clause.comparison)
    if key not in {one.name for one in leaves_of(text, clause.path) or () if one.value}:
        return None
    most = clause.comparison is Comparison.AT_MOST
    bound = _outward(found.high if most else found.low, up=most)
    words = f"promise what can be kept for {clause.path}: {'at most' if most else 'at least'} {bound}"
    return _Wish(words=words, path=clause.path, values=((key, bound),))


def _triggers(contract: Contract) -> list[_Wish]:
    """Retraining sooner: by the alarm where the team has it off, else more often by the calendar."""
    terms = contract.retraining or RetrainingTerms()
    if not terms.on_alarm:
        words = "retrain when decisions come to cost more"
        return [_Wish(words=words, path="retraining", values=(("on_alarm", "true"),))]
    if terms.every_s is None:
        return []
    days = max(terms.every_s / 2, terms.cool_down_s) / 86_400
    words = f"retrain every {days:g} days by the calendar"
    return [_Wish(words=words, path="retraining", values=(("every", f"{days:g} days"),))]


def _outward(value: float, *, up: bool) -> str:
    """*value* with two digits, rounded so that it lies inside.

    >>> _outward(0.9234, up=True), _outward(0.9234, up=False), _outward(1240.0, up=True), _outward(0.0, up=True)
    ('0.93', '0.92', '1300', '0')
    """
    if value == 0:
        return "0"
    digits = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    # Scaled by a whole number, or 0.07 would be 7.000000000000001 hundredths and round to 0.08.
    scaled = round(value * 10**digits if digits >= 0 else value / 10**-digits, 9)
    whole = math.ceil(scaled) if up else math.floor(scaled)
    return f"{whole / 10**digits if digits >= 0 else whole * 10**-digits:g}"


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
