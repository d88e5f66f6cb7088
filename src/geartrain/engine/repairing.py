"""The quarantine as people read and mend it: which rows wait, as they came, why, and what a repair would do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from geartrain.data.batches import ID
from geartrain.data.door import REASONS, ROW
from geartrain.data.quarantine import Repaired
from geartrain.domain.contract import Contract
from geartrain.domain.roles import Role
from geartrain.engine.ingesting import Door
from geartrain.engine.rows import data_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import ColumnMissing, ExpressionInvalid
from geartrain.ports.lake import ARRIVAL_TIME
from geartrain.release.answers import Refusal

#: Rows that show what a repair does.
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One row in quarantine.

    Attributes:
        id: Its own name, by its delivery and its place in it.
        row: The row as it came, as JSON text.
        reasons: Everything that is wrong with it.
    """

    id: str
    row: str
    reasons: tuple[str, ...]
    arrived_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A row before and after a repair: the mended columns."""

    key: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What a repair did, or would do.

    Attributes:
        rows: Rows that were sent through the door again.
        accepted: Those that pass.
        known: Those whose key the source has already; they are no longer open, and not taken twice.
        still_bad: Those that stay in quarantine as they came.
        reasons: Why those do.
        shown: A few of the rows that pass.
    """

    rows: int
    accepted: int
    known: int
    still_bad: int
    reasons: tuple[tuple[str, int], ...]
    shown: tuple[Mended, ...]


def waiting_rows(
    workspace: Workspace, contract: Contract, *, source: str | None = None
) -> dict[str, tuple[Waiting, ...]]:
    """The open rows of every source, or of one, in the order in which they came.

    Raises:
        ProductUnknown: The contract knows no such source.
    """
    door = Door(workspace, contract)
    names = (source,) if source is not None else tuple(one.name for one in data_of(contract).sources)
    found: dict[str, tuple[Waiting, ...]] = {}
    for name in names:
        rows = door.quarantined(name)
        if rows.height:
            found[name] = tuple(
                Waiting(id=id_, row=row, reasons=tuple(json.loads(reasons)), arrived_at=at)
                for id_, row, reasons, at in rows.select(ID, ROW, REASONS, ARRIVAL_TIME).iter_rows()
            )
    return found


def menders(contract: Contract, source: str) -> tuple[Role, ...]:
    """The roles that may repair a source's rows: engineering, and whoever owns a promise about it."""
    owners = {one.owner for one in contract.clauses if one.path.startswith(f"data.{source}.")}
    return tuple(role for role in Role if role is Role.ENGINEERING or role in owners)


def may_mend(contract: Contract, source: str, person: str) -> bool:
    """Whether *person* holds one of the roles that may repair it."""
    return any(person in contract.holders(role) for role in menders(contract, source))


def rules_of(text: str) -> dict[str, str] | str:
    """Repairs from lines such as `amount = amount / 100`; or what is wrong, in a sentence.

    >>> rules_of("amount = amount / 100")
    {'amount': 'amount / 100'}
    """
    rules: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        column, sign, expression = line.partition("=")
        if not sign or not column.strip() or not expression.strip():
            return f"a repair is written like `amount = amount / 100`, not `{line.strip()[:80]}`"
        if column.strip() in rules:
            return f"`{column.strip()}` is mended twice"
        rules[column.strip()] = expression.strip()
    return rules


def try_repair(
    workspace: Workspace,
    contract: Contract,
    source: str,
    rules: Mapping[str, str],
    *,
    reason: str | None,
    person: str,
    now: datetime,
) -> Repair | Refusal:
    """What the repair would do; nothing is changed."""
    return _mended(
        contract,
        source,
        rules,
        person,
        lambda: Door(workspace, contract).try_repair(source, rules, now=now, reason=_exactly(reason)),
    )


def repair(
    workspace: Workspace,
    contract: Contract,
    source: str,
    rules: Mapping[str, str],
    *,
    reason: str | None,
    person: str,
    now: datetime,
) -> Repair | Refusal:
    """Mend the waiting rows and send them again, in the name of *person*; nothing is changed by a refusal."""
    return _mended(
        contract,
        source,
        rules,
        person,
        lambda: Door(workspace, contract).repair(
            source, rules, now=now, reason=_exactly(reason), actor=person
        ),
    )


def _mended(
    contract: Contract, source: str, rules: Mapping[str, str], person: str, mend: Callable[[], Repaired]
) -> Repair | Refusal:
    """What *mend* says of the rows; a person or a rule that may not is told why before anything is asked."""
    if refusal := _refused(contract, source, rules, person):
        return refusal
    try:
        done = mend()
    except (ExpressionInvalid, ColumnMissing) as error:
        return _no(contract, source, error.message, error.hint or "mend the expression")
    return _told(contract, source, rules, done)


def _exactly(reason: str | None) -> str | None:
    """The whole reason as it stands in the quarantine, in its JSON quotes: `above 150` is not `above 1500`."""
    return None if reason is None else json.dumps(reason, ensure_ascii=False)


def _refused(contract: Contract, source: str, rules: Mapping[str, str], person: str) -> Refusal | None:
    if not may_mend(contract, source, person):
        roles = " or ".join(menders(contract, source))
        return _no(contract, source, f"{person} does not hold {roles}", f"ask a holder of {roles}")
    taken = sorted(name for name in rules if name.startswith("_"))
    if taken:
        return _no(
            contract, source, f"`{taken[0]}` is a name that geartrain keeps for itself", "mend another column"
        )
    return None


def _no(contract: Contract, source: str, reason: str, do: str) -> Refusal:
    return Refusal(product=contract.product.name, what="repair", subject=source, reason=reason, do=do)


def _told(contract: Contract, source: str, rules: Mapping[str, str], done: Repaired) -> Repair:
    batch = done.batch
    return Repair(
        rows=batch.rows,
        accepted=batch.accepted,
        known=batch.duplicates,
        still_bad=batch.quarantined,
        reasons=done.reasons,
        shown=_shown(contract, source, rules, done),
    )


def _shown(contract: Contract, source: str, rules: Mapping[str, str], done: Repaired) -> tuple[Mended, ...]:
    """A few rows before and after, found again by their key; none where the key itself was mended."""
    terms = data_of(contract).source(source)
    if terms is None or not rules or not done.good.height or terms.key in rules:
        return ()
    if terms.key not in done.good.columns:
        return ()
    came = {str(row.get(terms.key)): row for row in map(json.loads, done.marks[ROW].to_list())}
    changed = [name for name in rules if name in done.good.columns]
    found = []
    for row in done.good.select(terms.key, *changed).head(SHOWN).iter_rows(named=True):
        before = came.get(str(row[terms.key]))
        if before is not None:
            columns = tuple((name, str(before.get(name, "")), str(row[name])) for name in changed)
            found.append(Mended(key=str(row[terms.key]), columns=columns))
    return tuple(found)
