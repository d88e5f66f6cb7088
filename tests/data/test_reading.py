from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.data.describing import describe_columns
from geartrain.data.documents import read_documents
from geartrain.data.reading import detect_form, read_rows, understand
from geartrain.domain.contract import CsvTerms, FieldType
from geartrain.errors import SourceUnreadable

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_each_separator_is_found_and_said(write, separator):
    """The separator is read from the lines, and a person is told which it was."""
    path = write("rows.csv", separator.join("abc") + "\n" + separator.join(["1", "x", "2.5"]) + "\n")

    assert read_rows(path).rows() == [(1, "x", 2.5)]
    assert detect_form(path).separator == separator
    assert "decimal point" in str(detect_form(path))


def test_decimal_commas_are_numbers_where_the_separator_leaves_no_doubt(write):
    """A European export is read as what it means."""
    path = write("rows.csv", "id;amount\n1;3,14\n2;-0,5\n3;7\n")

    assert read_rows(path)["amount"].to_list() == [3.14, -0.5, 7.0]
    assert str(detect_form(path)) == "csv, separated by semicolon, decimal comma"


@pytest.mark.parametrize(
    ("cells", "numbers", "told"),
    [
        ("1.234,50;7,5", [1234.5, 7.5], "decimal comma, thousands set apart by `.`"),
        ("1 234,5;7,5", [1234.5, 7.5], "decimal comma, thousands set apart by ` `"),
        ("1'234.50;7", [1234.5, 7.0], "decimal point, thousands set apart by `'`"),
        ("1.234.567;8", [1234567, 8], "thousands set apart by `.`"),
        ("1.234;0,5", [1234.0, 0.5], "decimal comma, thousands set apart by `.`"),
        ("1.234;0.5", [1.234, 0.5], "decimal point"),
        ("-2,5e3;1,25", [-2500.0, 1.25], "decimal comma"),
    ],
)
def test_other_cells_settle_what_one_leaves_open(write, cells, numbers, told):
    """`1.234` next to `0,5` is a thousand; next to `0.5` it is a little more than one."""
    found = understand(write("rows.csv", "amount;x\n" + "".join(f"{one};a\n" for one in cells.split(";"))))

    assert found.rows["amount"].to_list() == numbers
    assert (told in str(found.form), found.doubts) == (True, ())


@pytest.mark.parametrize(("decimal", "value"), [(",", 1234), (".", 1.234)])
def test_a_number_with_two_readings_is_refused_until_somebody_says_which(write, decimal, value):
    """Both readings are named with what they would mean; either may be said."""
    path = write("rows.csv", "id;amount\n1;1.234\n2;8\n")

    with pytest.raises(SourceUnreadable) as told:
        read_rows(path)
    assert "`--decimal .` (it is 1.234) or `--decimal ,` (it is 1234)" in told.value.found
    assert read_rows(path, csv=CsvTerms(decimal=decimal))["amount"].to_list() == [value, 8]


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        ("31.12.2026;01.02.2026", "2026-12-31T00:00:00"),
        ("01/31/2026;02/03/2026 10:20", "2026-01-31T00:00:00"),
        ("31-01-2026 23:59:58;01-01-2026", "2026-01-31T23:59:58"),
        ("2026-12-31;2026-12-30", "2026-12-31"),
    ],
)
def test_days_are_read_where_one_of_them_settles_the_order(write, payments, cells, first):
    """A day above twelve says which number is the month."""
    text = "id;at\n" + "".join(f"{place};{one}\n" for place, one in enumerate(cells.split(";")))
    found = read_rows(write("rows.csv", text), source=payments)["at"].to_list()

    assert found[0].startswith(first)
    assert all(one.startswith("2026-") for one in found)


@pytest.mark.parametrize(
    ("cells", "readings"),
    [
        ("03/04/2026", ("--dates %d/%m/%Y` (3 April 2026)", "--dates %m/%d/%Y` (4 March 2026)")),
        ("31.12.26", ("--dates %d.%m.%y` (31 December 2026)",)),
        ("31/12/2026;12/31/2026", ("more than one way",)),
    ],
)
def test_days_with_two_readings_are_refused(write, payments, cells, readings):
    """In a column that the contract calls a time; elsewhere they stay text, and a preview tells it."""
    text = "id;at\n" + "".join(f"{place};{one}\n" for place, one in enumerate(cells.split(";")))
    path = write("rows.csv", text)

    with pytest.raises(SourceUnreadable) as told:
        read_rows(path, source=payments)
    assert all(one in told.value.found for one in readings)
    assert understand(path).doubts
    assert read_rows(path)["at"].to_list() == cells.split(";")
    said = CsvTerms(dates="%d/%m/%Y")
    if "/04/" in cells:
        assert read_rows(path, source=payments, csv=said)["at"][0].startswith("2026-04-03")


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8-sig", None),
        ("utf-16", None),
        ("cp1252", "cp1252"),
        ("latin-1", "latin-1"),
        ("utf-16-le", "utf-16"),
    ],
)
def test_encodings_are_read_as_marked_or_told(write, encoding, said):
    """A mark at the beginning settles it; without one anything but UTF-8 must be told."""
    path = write("rows.csv", "id,name\n1,M\u00fcller\n".encode(encoding))

    assert read_rows(path, csv=CsvTerms(encoding=said))["name"].to_list() == ["M\u00fcller"]
    if said is not None:
        with pytest.raises(SourceUnreadable):
            read_rows(path)


def test_one_wrong_cell_does_not_spoil_the_numbers_of_its_column(write, payments):
    """In a column that the contract calls a number, what is none stays as it stands for the door."""
    rows = read_rows(write("rows.csv", "id;amount\n1;1.234,5\n2;oops\n3;7,25\n"), source=payments)

    assert rows["amount"].to_list() == ["1234.5", "oops", "7.25"]


def test_a_key_that_stands_twice_makes_a_line_unreadable(write):
    """Nobody knows which of the two values was meant; nested and spaced ones are found too."""
    lines = [
        '{"id":"a","x":1}',
        '{"id":"b","x":1,"x":2}',
        '{"id":"c","o":{"k" : 1,"k":2}}',
        '{"id":"\\":d","x":3}',
    ]
    rows = read_rows(write("rows.ndjson", "\n".join(lines)))

    assert rows["_unreadable"].to_list() == [None, lines[1], lines[2], None]


def test_mixed_decimal_signs_stay_text(write):
    """Where a comma may be a thousand or a decimal, nobody guesses: the door will ask."""
    path = write("rows.csv", "id;amount\n1;3,14\n2;1.5\n")

    assert read_rows(path)["amount"].to_list() == ["3,14", "1.5"]


def test_codes_stay_codes(write):
    """A leading zero, a long card number and a country called NA survive the reading."""
    path = write(
        "rows.csv", "zip,card,country,n,when\n01234,12345678901234567890,NA,NA,2026-01-02\n99999,1,DE,3,\n"
    )
    frame = read_rows(path)

    assert frame["zip"].to_list() == ["01234", "99999"]
    assert frame["card"].to_list() == ["12345678901234567890", "1"]
    assert frame["country"].to_list() == ["NA", "DE"]
    assert frame["n"].to_list() == [None, 3]
    assert frame["when"].to_list() == ["2026-01-02", None]


def test_quoted_values_hold_separators_and_line_ends(write):
    """RFC 4180: inside quotes nothing separates."""
    path = write("rows.csv", 'id,note\r\n1,"a, ""b""\nc"\r\n2,plain\r\n')

    assert read_rows(path).rows() == [(1, 'a, "b"\nc'), (2, "plain")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_torn_line_is_kept_for_quarantine(write, quote):
    """A line with too few or too many values is not dropped and does not stop the others."""
    path = write("rows.csv", f"id,amount\n1,{quote}2{quote}\n3\n4,5,6\n")
    frame = read_rows(path)

    assert frame["id"].to_list() == [1, None, None]
    assert frame["_unreadable"].to_list() == [None, "3", "4,5,6"]


def test_a_byte_order_mark_is_not_part_of_a_name(write):
    """Spreadsheets write one."""
    assert read_rows(write("rows.csv", b"\xef\xbb\xbfid,x\n1,2\n")).columns == ["id", "x"]


def test_an_index_column_gets_a_name(write):
    """A column without a name is called by its place, not dropped."""
    assert read_rows(write("rows.csv", ",x\n0,2\n")).columns == ["column_1", "x"]


def test_a_header_without_rows_is_no_rows(write):
    """An hour without traffic is a delivery too."""
    frame = read_rows(write("rows.csv", "id,x\n"))

    assert (frame.height, frame.columns) == (0, ["id", "x"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", b"", "empty"),
        ("rows.csv", b"\n \n", "empty"),
        ("rows.parquet", b"", "empty"),
        ("rows.ndjson", b"", "empty"),
        ("rows.csv", b"id,x\n1,caf\xe9\n", "UTF-8"),
        ("rows.ndjson", b'{"a":"\xe9"}\n', "UTF-8"),
        ("rows.csv", b"PAR1xxxxxxxxPAR1", "not csv"),
        ("rows.csv", b'{"id": 1}\n', "not CSV"),
        ("rows.csv", "id,x\n".encode("utf-16-le"), "--encoding utf-16"),
        ("rows.csv", "id,x\n1,".encode("utf-16") + b"\x00", "not utf-16 text"),
        ("rows.csv", b"id;x\n1;1.234\n", "more than one way"),
        ("rows.csv", b"id\x00,x\n", "not text"),
        ("rows.csv", b"1,2\n3,4\n", "names"),
        ("rows.csv", b"a,b,a\n1,2,3\n", "same name"),
        ("rows.csv", b'a,b\n1,"never closed\n', "never ends"),
        ("rows.csv", b"a,b;c\n1,2;3\n", "two separators"),
        ("rows.parquet", b"id,x\n1,2\n", "not a Parquet"),
        ("rows.ndjson", b'[{"id": 1}]', "array"),
        ("rows.ndjson", b"id,x\n1,2\n", "no line"),
        ("rows.xlsx", b"PK", "format"),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(write, name, content, said):
    """Each bad file gets its own sentence, its place and a next step."""
    with pytest.raises(SourceUnreadable) as told:
        read_rows(write(name, content))

    assert said in told.value.message or said in told.value.hint
    assert name in told.value.where
    assert told.value.exit_code == 2


def test_a_missing_file_is_said(tmp_path):
    """A wrong path is not a crash."""
    with pytest.raises(SourceUnreadable, match="cannot be opened"):
        read_rows(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_half_written_parquet_is_said(tmp_path, keep):
    """A copy that is still going on is never read as fewer rows."""
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"x": list(range(1000))}).write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])

    with pytest.raises(SourceUnreadable, match="half-written"):
        read_rows(path)


def test_a_parquet_with_a_broken_middle_is_said(tmp_path):
    """Both ends may be right and the rest not."""
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1" + b"\x07" * 200 + b"PAR1")

    with pytest.raises(SourceUnreadable, match="damaged"):
        read_rows(path)


def test_parquet_types_become_the_lakes(tmp_path):
    """Categories, nested values and small numbers arrive as the door knows them."""
    path = tmp_path / "rows.parquet"
    frame = pl.DataFrame(
        {
            "c": pl.Series(["a", "b"], dtype=pl.Categorical),
            "s": [{"k": 1}, None],
            "n": pl.Series([1, 2], dtype=pl.Int8),
        }
    )
    frame.with_columns(empty=pl.lit(None)).write_parquet(path)
    read = read_rows(path)

    assert read.rows() == [("a", '{"k":1}', 1, None), ("b", None, 2, None)]


def test_ndjson_keeps_nested_values_and_broken_lines(write):
    """A line cut off by a crash becomes one row of quarantine, the others are read."""
    path = write("rows.jsonl", '{"id":"a","card":{"id":7},"tags":["x"]}\n\n{"id":"b","n":2}\n{"id":"c","n"')
    frame = read_rows(path)

    assert frame["card"].to_list() == ['{"id":7}', None, None]
    assert frame["tags"].to_list() == ['["x"]', None, None]
    assert frame["_unreadable"].to_list() == [None, None, '{"id":"c","n"']


def test_a_column_of_many_types_becomes_text_and_loses_nothing():
    """What values have in common is their type; where they have nothing, text says all of them."""
    frame = read_documents([{"x": 1}, {"x": "two"}, {"x": [3]}, {"x": True}, {}, {"x": 2**70}])

    assert frame["x"].to_list() == ["1", "two", "[3]", "true", None, str(2**70)]


@settings(max_examples=40)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"),
            st.one_of(st.none(), st.integers(-5, 5), st.floats(0, 1), st.text(max_size=3), st.booleans()),
            max_size=3,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_documents_keep_their_number_of_rows(documents):
    """Whatever is mixed, each document stays one row."""
    assert read_documents(documents).height == (len(documents) if any(documents) else 0)


def test_columns_are_described_for_a_first_contract(write):
    """The draft of a data section names type, missing values, range and the few values there are."""
    text = "id,amount,site,when,note,ok\n" + "".join(
        f"{n},{n / 2},{'AB'[n % 2]},2026-01-{n + 1:02}T10:00:00Z,this is note number {n} of many,true\n"
        for n in range(25)
    )
    found = {one.name: one for one in describe_columns(read_rows(write("rows.csv", text)))}

    assert [one.type for one in found.values()] == [
        FieldType.INTEGER, FieldType.NUMBER, FieldType.STRING, FieldType.TIMESTAMP, FieldType.TEXT, FieldType.BOOLEAN,
    ]  # fmt: skip
    assert found["site"].values == ("A", "B")
    assert (found["amount"].minimum, found["amount"].maximum) == ("0.0", "12.0")
    assert found["when"].minimum.startswith("2026-01-01")
    assert found["ok"].values == ("true",)
    assert found["id"].values == ()


def test_nested_and_empty_columns_are_described():
    """JSON is an object; a column that says nothing is text with nothing but missing values."""
    nested, empty = describe_columns(read_documents([{"card": {"id": 1}, "x": None}, {"card": {"id": 2}}]))

    assert nested.type is FieldType.OBJECT
    assert (empty.type, empty.nulls, empty.rows) == (FieldType.STRING, 2, 2)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not on this machine")
def test_census_income_is_read_whole():
    """A real Parquet file keeps its rows and columns."""
    path = SHARED / "tabular" / "adult.parquet"
    frame = read_rows(path)

    assert frame.height == pl.scan_parquet(path).select(pl.len()).collect().item()
    assert {one.name for one in describe_columns(frame)} == set(frame.columns)
