"""The pages say what the program does: names are complete, links lead somewhere, examples run."""

from __future__ import annotations

import importlib.util
import re
import typing
from pathlib import Path

import pytest

from geartrain.contract.parsing import parse
from geartrain.domain.events import Event
from geartrain.errors import GeartrainError

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def codes(error: type[GeartrainError]) -> set[str]:
    return {error.code}.union(*(codes(one) for one in error.__subclasses__()))


def test_every_error_code_is_documented():
    """Each code of the family, and each that only HTTP has, stands in the tables of docs/errors.md, and no other does."""
    sources = (ROOT / "src" / "geartrain" / "api").glob("*.py")
    http = {
        code
        for path in sources
        for code in re.findall(r'\d{3}[,:]\s+"(http\.[a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    documented = set(re.findall(r"^\| `([a-z.-]+)` \|", text_of("docs/errors.md"), re.MULTILINE))

    assert documented == codes(GeartrainError) | http | {"usage", "interrupted"}


def test_the_table_of_errors_has_the_right_statuses_and_exit_codes():
    """What a script or a client will get stands beside each code."""
    from geartrain.api.errors import STATUS

    def family(error: type[GeartrainError]) -> list[type[GeartrainError]]:
        return [error, *(inner for one in error.__subclasses__() for inner in family(one))]

    table = {
        row[0]: (row[1], row[2])
        for row in re.findall(
            r"^\| `([a-z.-]+)` \|.*\| (\d+) \| ?(\d*) ?\|$", text_of("docs/errors.md"), re.MULTILINE
        )
    }
    for error in family(GeartrainError):
        exits, status = table[error.code]
        if error.code != "internal":
            assert (int(exits), status) == (error.exit_code, str(STATUS.get(error.code, ""))), error.code


def test_every_event_is_documented():
    """Each event of the ledger has its row in docs/events.md, in the order of the code."""
    documented = re.findall(r"^\| `(\w+)` \|", text_of("docs/events.md"), re.MULTILINE)

    assert documented == [event.__name__ for event in typing.get_args(Event)]


def test_the_page_of_commands_is_up_to_date():
    """docs/cli.md is what tools/cli_docs.py writes from the commands' own help."""
    place = importlib.util.spec_from_file_location("cli_docs", ROOT / "tools" / "cli_docs.py")
    assert place is not None
    assert place.loader is not None
    tool = importlib.util.module_from_spec(place)
    place.loader.exec_module(tool)

    assert text_of("docs/cli.md") == tool.page(), "run `python tools/cli_docs.py`"


def test_every_port_and_suite_is_in_the_page_for_adapters():
    """Whoever writes an adapter finds each Protocol and each check_* by name."""
    page = text_of("docs/extending.md")
    ports = {
        name
        for path in (ROOT / "src" / "geartrain" / "ports").glob("*.py")
        for name in re.findall(r"^class (\w+)\(Protocol\)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    suites = {
        name
        for path in (ROOT / "src" / "geartrain" / "testing").glob("*.py")
        for name in re.findall(r"^def (check_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert len(ports) >= 8
    assert len(suites) >= 3
    assert not [name for name in ports | suites if f"`{name}`" not in page]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    """A link points at a file of this project, and at a heading that is there; none leads outside."""
    page = ROOT / name
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        is_there = there.is_relative_to(ROOT) and there.exists()
        if not is_there or (anchor and anchor not in anchors(there)):
            broken.append(target)

    assert not broken


@pytest.mark.parametrize("name", NAMES)
def test_pages_name_no_foreign_host(name):
    """Nothing on a page asks a reader to leave it, but for the server on their own machine."""
    hosts = set(re.findall(r"https?://([^/\s:`'\")]+)", text_of(name)))

    assert hosts <= {"127.0.0.1", "localhost"}


@pytest.mark.parametrize("name", [name for name in NAMES if blocks(ROOT / name, "python")])
def test_python_examples_run(name):
    """Each Python block of a page runs, one after the other, in one namespace."""
    space: dict[str, object] = {"__name__": "example"}
    for number, source in enumerate(blocks(ROOT / name, "python"), 1):
        exec(compile(source, f"{name}, example {number}", "exec"), space)

    assert len(space) > 2


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^(?=[a-z_]+:)", text, flags=re.MULTILINE)
    return {part.split(":", 1)[0]: part for part in parts if part.strip()}


WHOLE, *FRAGMENTS = blocks(DOCS / "contract.md", "yaml")


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda text: text.split(":", 1)[0])
def test_contract_examples_can_be_read(fragment):
    """Each fragment, put in the place of its sections in the first example, is a contract without a problem."""
    contract = parse("".join((sections(WHOLE) | sections(fragment)).values()), origin="docs/contract.md")

    assert contract.product.name == "leak-watch"
    assert not set(sections(fragment)) & set(contract.silent)


def test_the_page_of_the_contract_names_everything_that_can_be_promised():
    """Each section, metric, kind of plausibility, definition of fairness and the schema stand on it."""
    from geartrain.contract.metrics import METRICS
    from geartrain.contract.models import ContractText
    from geartrain.contract.promises import KINDS, Definition
    from geartrain.domain.finding import Status

    page = text_of("docs/contract.md")
    headings = anchors(DOCS / "contract.md")

    assert set(ContractText.model_fields) - {"geartrain"} <= headings | {"team"}
    assert not [name for name in (*METRICS, *KINDS, *Definition) if f"`{name}`" not in page]
    assert not [status for status in Status if f"**{status}**" not in page]
    assert "JSON Schema" in page


def test_every_aggregation_is_in_the_page_of_features():
    """A word that a window understands has its row."""
    from geartrain.domain.features import Aggregation

    page = text_of("docs/features.md")

    assert not [word for word in Aggregation if f"`{word}`" not in page]


def test_every_route_is_in_the_page_of_serving():
    """Each path of the server's own OpenAPI document is described."""
    from geartrain.api.control import control_plane

    app = control_plane(None)  # type: ignore[arg-type]  # only the routes are of interest
    page = text_of("docs/serving.md")

    assert not [path for path in app.openapi()["paths"] if f"`{path}`" not in page]


def test_every_page_is_in_the_index():
    """A page that nobody can find is not documentation."""
    index = text_of("docs/index.md")

    missing = [
        page.relative_to(DOCS).as_posix()
        for page in DOCS.rglob("*.md")
        if page.name != "index.md" and f"({page.relative_to(DOCS).as_posix()})" not in index
    ]
    assert missing == []
