"""The clauses of integrity: there without being written, and what a team may say of them."""

from __future__ import annotations

import pytest

from geartrain.contract.diff import describe, diff
from geartrain.contract.implied import IMPLIED
from geartrain.contract.parsing import parse
from geartrain.contract.wording import sentence
from geartrain.domain.clause import Severity, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.roles import Role
from geartrain.errors import ContractInvalid


def _with(text: str, section: str) -> Contract:
    return parse(f"{text}\n{section}")


def _problems(text: str, section: str) -> list[str]:
    with pytest.raises(ContractInvalid) as caught:
        _with(text, section)
    return [f"{one.path}: {one.message} | {one.expected}" for one in caught.value.problems]


def test_every_contract_with_data_has_them(complete: str, short: str) -> None:
    """They are science's, checked at release, and block, but for the one that only compares pools."""
    clauses = {one.path: one for one in parse(complete).clauses if one.section == "integrity"}
    served = clauses.pop("integrity.consistency")

    assert (served.owner, served.stages, served.severity) == (
        Role.ENGINEERING,
        (Stage.LIVE,),
        Severity.WARN,
    )
    assert sentence(served).startswith("at most 0.1 % of the live decisions were made from values")
    assert {path.removeprefix("integrity.") for path in clauses} == set(IMPLIED)
    assert {one.owner for one in clauses.values()} == {Role.SCIENCE}
    assert {one.stages for one in clauses.values()} == {(Stage.RELEASE,)}
    assert [path for path, one in clauses.items() if one.severity is Severity.WARN] == ["integrity.sampling"]
    assert all(one.because for one in clauses.values())
    assert [one for one in parse(short).clauses if one.section == "integrity"] == []
    assert "integrity" not in parse(short).silent


def test_rows_without_a_time_are_not_asked_about_it(short: str) -> None:
    """A promise that can never be measured would block every release; to make it anyway is a slip."""
    data = "data:\n  sources:\n    rows: {kind: decisions, key: id}\n"

    assert _with(short, data).clause("integrity.duplicates") is not None
    assert _with(short, data).clause("integrity.time") is None
    assert "integrity.time: the rows to decide about have no time" in "\n".join(
        _problems(short, f"{data}integrity:\n  time: 0\n")
    )


def test_a_column_is_accepted_with_a_reason(complete: str) -> None:
    """The expert's word changes what is asked; the clause stays where it was, with the reason."""
    said = _with(
        complete,
        "integrity:\n  target_proxy: {accept: [noise_db], because: the microphone hears the leak itself}\n",
    )
    clause = said.clause("integrity.target_proxy")

    assert clause is not None
    assert clause.parameter("accept") == ("noise_db",)
    assert sentence(clause) == (
        "no column gives the truth away (accepted: noise_db), because the microphone hears the leak itself"
        " (science, blocks a release)"
    )
    assert "integrity.target_proxy.accept" in describe(diff(parse(complete), said))


def test_a_known_rate_is_said_with_a_reason(complete: str) -> None:
    """A bound alone is short for it only where it asks more; tolerating more needs a reason."""
    looser = _with(
        complete, "integrity:\n  duplicates: {at_most: 5 %, because: sensors repeat themselves at night}\n"
    )
    tighter = _with(complete, "integrity:\n  duplicates: 0\n")

    assert (looser.clause("integrity.duplicates").bound, tighter.clause("integrity.duplicates").bound) == (
        0.05,
        0.0,
    )
    assert _problems(complete, "integrity:\n  duplicates: 5 %\n") == [
        "integrity.duplicates: why may this pass? | because: the reason in plain words"
    ]


def test_slips_are_named(complete: str) -> None:
    """Unknown checks, columns that are not there, acceptance without a reason."""
    assert "there is no key `duplicate` here | did you mean `duplicates`?" in "\n".join(
        _problems(complete, "integrity:\n  duplicate: 0\n")
    )
    assert "why may this pass?" in "\n".join(
        _problems(complete, "integrity:\n  target_proxy: {accept: [noise_db]}\n")
    )
    assert "there is no column `noise_bd`" in "\n".join(
        _problems(complete, "integrity:\n  groups: {accept: [noise_bd], because: it is one}\n")
    )


def test_when_a_column_is_known_is_a_term(complete: str) -> None:
    """`known_after` reaches the frozen contract in seconds, and its owner signs a change of it."""
    text = complete.replace("noise_db: {", "noise_db: {known_after: 2 hours, ", 1)
    data = parse(text).data

    assert data is not None
    field = data.decisions.field("noise_db")
    assert field is not None
    assert field.known_after_s == 7200.0
    assert "known_after" in describe(diff(parse(complete), parse(text)))


def test_served_features_may_be_said_otherwise(complete: str) -> None:
    """Another bound needs a reason; who answers for it and when it is judged stay as they were."""
    said = _with(
        complete,
        "integrity:\n  consistency: {at_most: 1 %, because: two of our tills round to whole euros}\n",
    ).clause("integrity.consistency")

    assert said is not None
    assert (said.bound, said.owner, said.stages) == (0.01, Role.ENGINEERING, (Stage.LIVE,))
    assert _problems(complete, "integrity:\n  consistency: 1 %\n") == [
        "integrity.consistency: why may this pass? | because: the reason in plain words"
    ]
