"""What fairness costs on public data: `python benchmarks/fairness DATA [adult|taiwan|german]`.

DATA is the folder with `adult.parquet`, `credit_card_default_taiwan.parquet` and `german_credit.parquet`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from study import Line, contract_of, lightgbm, study

import data
from geartrain.domain.finding import Measurement

BETWEEN = ("demographic_parity", "equal_opportunity", "equalised_odds", "predictive_parity", "cost_parity")


def main(arguments: list[str]) -> int:
    if not arguments or not Path(arguments[0]).is_dir():
        print(__doc__)
        return 2
    folder, wanted = Path(arguments[0]), arguments[1:] or ["adult", "taiwan", "german"]
    if "adult" in wanted:
        rows = data.adult(folder)
        contract = contract_of(
            missed=1, false_alarm=1, clauses=data.clauses("sex", (*BETWEEN, "calibration_within_groups"))
        )
        print("\nAdult, official split, by sex; a missed `yes` costs 1, a false alarm 1")
        show(study(contract, rows, lightgbm()))
        print(*data.impossible(contract, rows, lightgbm()), sep="\n")
    if "taiwan" in wanted:
        rows = data.taiwan(folder)
        for groups in ("SEX", data.AGE_BAND, ("SEX", data.AGE_BAND)):
            contract = contract_of(missed=5, false_alarm=1, clauses=data.clauses(groups, BETWEEN[:3]))
            print(f"\nTaiwan, 30 % for the verdict, by {groups}; a missed default costs 5, a false alarm 1")
            show(study(contract, rows, lightgbm()))
    if "german" in wanted:
        print("\nGerman credit, 40 % for the verdict: a bad credit accepted costs 5, a good one refused 1")
        for name, value in data.german(folder):
            print(f"  {name:34} {value}")
    return 0


def show(lines: list[Line]) -> None:
    print(
        f"  {'definition':26} {'mitigation':12} {'gap':24} {'verdict':13} {'cost per 1000':28} against none"
    )
    for cells in _cells(lines):
        print("  {:26} {:12} {:24} {:13} {:28} {}".format(*cells))


def _cells(lines: list[Line]) -> Iterator[tuple[str, ...]]:
    for line in lines:
        if line.finding is None:
            yield line.clause.metric, line.mitigation, "not tried", "", "", line.untried
            continue
        found = line.finding
        gap = "-" if found.value is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
        change = "" if line.mitigation == "none" else _told(line.change_per_1000, "{:+.1f}")
        yield (
            line.clause.metric,
            line.mitigation,
            gap,
            str(found.status),
            _told(line.cost_per_1000, "{:.1f}"),
            change,
        )


def _told(value: Measurement | None, form: str) -> str:
    if value is None:
        return "-"
    return f"{form.format(value.value)} ({form.format(value.low)} to {form.format(value.high)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
