"""`geartrain data`, as a person uses it: a file that leaves a doubt, a schema, a person who asks to be forgotten."""

import sqlite3

import pytest
import yaml

from geartrain.adapters.snapshots_sqlite import SqliteSnapshots
from geartrain.ports.online_store import Stored

CONTRACT = {
    "product": {"name": "shop", "title": "Shop", "problem": "which parcel comes back"},
    "team": {"product": "Ann"},
    "decision": {"task": "binary", "unit": "a parcel", "label": "back", "positive": "yes", "negative": "no"},
    "data": {
        "sources": {
            "parcels": {
                "kind": "decisions",
                "key": "id",
                "event_time": "at",
                "rules": {"fee-within": "fee <= amount"},
                "fields": {
                    "id": {"type": "string", "required": True},
                    "at": {"type": "timestamp", "required": True},
                    "customer": {"type": "string", "path": "buyer.name"},
                    "amount": {"type": "number", "min": 0},
                    "fee": {"type": "number"},
                    "photo": {"type": "string", "file_digest": "photo_sha256"},
                    "back": {"type": "string", "values": ["yes", "no"]},
                },
            }
        }
    },
}
FEATURES = "from geartrain.features.declaring import features\n\nfeatures = features()\n"


@pytest.fixture
def shop(tmp_path):
    """A product's folder without a workspace yet."""
    (tmp_path / "product.yaml").write_text(yaml.safe_dump(CONTRACT, sort_keys=False), encoding="utf-8")
    return tmp_path


NOW = ("--now", "2026-06-01T12:00:00Z")


def test_a_file_with_two_readings_is_refused_until_somebody_says_which(shell, shop):
    """The preview names the doubts and says no; ingest refuses; with the reading said, both go on."""
    (shop / "rows.csv").write_bytes("id;at;amount;back\nä1;03/04/2026;1.234;yes\n".encode("cp1252"))

    unreadable = shell(shop, "data", "preview", "rows.csv")
    assert (unreadable.code, "--encoding cp1252" in unreadable.err) == (2, True)
    said = ("--encoding", "cp1252")
    doubtful = shell(shop, "data", "preview", "rows.csv", "-p", ".", *said, *NOW)
    assert doubtful.code == 1
    assert "`--decimal ,` (it is 1234)" in doubtful.out
    assert "`--dates %d/%m/%Y` (3 April 2026)" in doubtful.out
    assert shell(shop, "ingest", "rows.csv", *said, *NOW).code == 2

    said = (*said, "--decimal", ",", "--dates", "%d/%m/%Y")
    clear = shell(shop, "data", "preview", "rows.csv", "-p", ".", *said, *NOW, "--json")
    assert (clear.code, clear.document["result"]["good"]) == (0, 1)
    taken = shell(shop, "ingest", "rows.csv", *said, *NOW, "--json")
    assert taken.document["result"]["batches"][0]["batch"]["accepted"] == 1


def test_the_contract_may_say_once_for_all_how_files_are_written(shell, shop):
    """Then nobody has to say it at every delivery."""
    contract = yaml.safe_load((shop / "product.yaml").read_text(encoding="utf-8"))
    contract["data"]["sources"]["parcels"]["csv"] = {
        "decimal": ",",
        "dates": "%m/%d/%Y",
        "encoding": "latin-1",
    }
    (shop / "product.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    (shop / "rows.csv").write_bytes("id;at;amount;back\nä1;03/04/2026;1.234;yes\n".encode("latin-1"))

    assert shell(shop, "data", "preview", "rows.csv", "-p", ".", *NOW).code == 0
    assert shell(shop, "ingest", "rows.csv", *NOW).code == 0


def test_a_preview_says_what_has_changed_in_a_file(shell, shop):
    """New columns, lacking ones, rows that would not pass; nothing is taken."""
    (shop / "rows.ndjson").write_text(
        '{"id":"a","at":"2026-05-01","buyer":{"name":"Bo"},"amount":-1,"colour":"red"}\n', encoding="utf-8"
    )
    found = shell(shop, "data", "preview", "rows.ndjson", "-p", ".", *NOW, "--json")

    assert found.code == 1
    assert found.document["result"]["unknown"] == ["colour"]
    assert found.document["result"]["lacking"] == ["back", "fee", "photo"]
    assert found.document["result"]["reasons"] == {"amount: is below 0": 1}
    assert not (shop / ".geartrain").exists()


def test_a_contract_goes_out_and_comes_back_unchanged(shell, shop):
    """Through a file of the Open Data Contract Standard; a change is called what it is."""
    assert shell(shop, "data", "export", "--odcs", "contract.odcs.yaml").code == 0
    same = shell(shop, "data", "import", "--odcs", "contract.odcs.yaml", "-p", ".", "--json")
    assert same.document["result"]["changes"] == []

    text = (shop / "contract.odcs.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    fields = {one["name"]: one for one in document["schema"][0]["properties"]}
    fields["amount"]["logicalType"] = "boolean"
    fields["amount"].pop("logicalTypeOptions")
    fields["fee"]["required"] = True
    document["schema"][0]["properties"].append({"name": "note", "logicalType": "string"})
    (shop / "contract.odcs.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    changed = shell(shop, "data", "import", "--odcs", "contract.odcs.yaml", "-p", ".", "--json")
    assert changed.document["result"]["changes"] == [
        "parcels.amount: type number -> boolean (different)",
        "parcels.amount: min 0 -> nothing (looser)",
        "parcels.fee: required (tighter)",
        "parcels.note: new, may be missing (looser)",
    ]


def test_an_image_is_named_by_its_path_and_its_digest(shell, shop):
    """The door reads the file beside the delivery; what is missing or another one goes to quarantine."""
    (shop / "a.png").write_bytes(b"an image")
    digest = "f" * 64
    (shop / "rows.ndjson").write_text(
        '{"id":"a","at":"2026-05-01","photo":"a.png"}\n'
        '{"id":"b","at":"2026-05-01","photo":"b.png"}\n'
        f'{{"id":"c","at":"2026-05-01","photo":"a.png","photo_sha256":"{digest}"}}\n'
        f'{{"id":"d","at":"2026-05-01","photo":"s3://x/y.png","photo_sha256":"{digest}"}}\n'
        '{"id":"e","at":"2026-05-01","photo":"../../etc/passwd"}\n',
        encoding="utf-8",
    )
    told = shell(shop, "ingest", "rows.ndjson", *NOW, "--json").document["result"]["batches"][0]

    assert (told["batch"]["accepted"], told["batch"]["quarantined"]) == (2, 3)
    assert told["reasons"] == {
        "photo: is not the file that `photo_sha256` names": 1,
        "photo: there is no such file": 1,
        "photo_sha256: is missing beside a file": 2,
    }


def test_rows_come_from_a_query_that_can_only_read(shell, shop):
    """The same answer again is the same delivery; a statement that would change something is refused."""
    database = sqlite3.connect(shop / "rows.db")
    database.execute("create table t (id text, at text, amount numeric, back text)")
    database.executemany(
        "insert into t values (?, ?, ?, ?)", [("a", "2026-05-01", 2.5, "yes"), ("b", None, 1, "no")]
    )
    database.commit()
    ask = ("ingest", "query", "--url", f"sqlite:///{shop}/rows.db", *NOW)

    first = shell(shop, *ask, "--sql", "select * from t", "--json").document["result"]["batches"][0]
    assert (first["batch"]["accepted"], first["batch"]["quarantined"]) == (1, 1)
    assert first["reasons"] == {"at: is missing": 1}
    assert shell(shop, *ask, "--sql", "select * from t", "--json").document["result"]["batches"][0]["known"]

    for sql in ("delete from t", "select * from nowhere", "select 1 as a, 2 as a"):
        refused = shell(shop, *ask, "--sql", sql)
        assert refused.code == 2, sql
    assert database.execute("select count(*) from t").fetchone() == (2,)


def test_a_person_is_erased_and_a_snapshot_says_so(shell, shop):
    """The command says how much went and which snapshots are lost; asked again it finds nothing."""
    (shop / "rows.ndjson").write_text(
        '{"id":"a","at":"2026-05-01","buyer":{"name":"Zora"},"amount":1}\n'
        '{"id":"b","at":"2026-05-01","buyer":{"name":"Bo"},"amount":1}\n',
        encoding="utf-8",
    )
    assert shell(shop, "ingest", "rows.ndjson", *NOW).code == 0
    taken = _snapshot(shop)
    assert shell(shop, "data", "snapshot", taken[:12]).code == 0

    online = SqliteSnapshots(shop / ".geartrain" / "online.db")
    online.save("shop/features", Stored(offset=1, content=b"Zora was here" * 500))
    online.save("other/features", Stored(offset=1, content=b"Bo"))
    online.close()
    assert shell(shop, "data", "erase", "--entity", "customer=Zora", "--by", "Ann").code == 2
    ask = ("data", "erase", "--entity", "customer=Zora", "--by", "Ann", "--yes", "--json")
    done = shell(shop, *ask).document["result"]["erased"]
    assert (done["rows"], done["snapshots"]) == ([["parcels", 1]], [taken])
    assert "nothing is kept" in shell(shop, *ask[:-1]).out
    assert not [one for one in shop.glob(".geartrain/online.db*") if b"Zora" in one.read_bytes()]
    lost = shell(shop, "data", "snapshot", taken[:12])
    assert (lost.code, "erased for good" in lost.out) == (1, True)
    told = shell(shop, "ledger", "log")
    assert "Zora" not in told.out


def _snapshot(folder):
    """Take a snapshot as a build does, and write it down."""
    from datetime import UTC, datetime

    from geartrain.contract.parsing import parse
    from geartrain.data.snapshots import take_snapshot
    from geartrain.domain.events import SnapshotTaken
    from geartrain.engine.rows import read_sources
    from geartrain.wiring import Settings, open_workspace

    space = open_workspace(Settings(root=folder / ".geartrain"))
    contract = parse((folder / "product.yaml").read_text(encoding="utf-8"))
    known_at = datetime(2026, 6, 2, tzinfo=UTC)
    snapshot, _ = take_snapshot(read_sources(space, contract, known_at=known_at), contract, known_at=known_at)
    space.record("shop", [SnapshotTaken(snapshot=snapshot, id=snapshot.id)], now=known_at)
    return snapshot.id


def _begun(shell, folder):
    """A product begun from a file in which no column names a row."""
    rows = "".join(
        f"{number % 20},{('red', 'blue')[number % 2]},{('no', 'yes')[number % 3 == 0]}\n"
        for number in range(60)
    )
    (folder / "first.csv").write_text(f"age,colour,left\n{rows}", encoding="utf-8")
    assert shell(folder, "new", "leavers", "--data", "first.csv", "--label", "left").code == 0
    return folder / "leavers"


def test_a_preview_names_rows_as_the_door_does(shell, tmp_path):
    """Where the delivery names the rows, a file without names is as good in a preview as at the door."""
    product = _begun(shell, tmp_path)
    assert "key: row_id" in (product / "product.yaml").read_text(encoding="utf-8")

    seen = shell(product, "data", "preview", "-p", ".", "../first.csv", "--json")
    taken = shell(product, "ingest", "../first.csv", "--json")

    assert (seen.code, seen.document["result"]["good"]) == (0, 60)
    assert seen.document["result"]["lacking"] == []
    assert taken.document["result"]["batches"][0]["batch"]["accepted"] == 60


def test_a_file_without_rows_is_said_to_have_none(shell, shop):
    """A header alone is a no, in a preview and at the door, and both say why."""
    (shop / "rows.csv").write_text("id,at,amount,back\n", encoding="utf-8")

    seen = shell(shop, "data", "preview", "rows.csv", "-p", ".", *NOW)
    taken = shell(shop, "ingest", "rows.csv", *NOW)

    assert (seen.code, "there are no rows" in seen.out, "would pass" in seen.out) == (1, True, False)
    assert (taken.code, "there are no rows" in taken.out) == (1, True)


def test_ingest_says_in_which_columns_rows_and_contract_differ(shell, tmp_path):
    """A column that was renamed and a label that does not come are told; rows are taken all the same."""
    product = _begun(shell, tmp_path)
    (tmp_path / "next.csv").write_text("alter,colour\n31,red\n42,blue\n", encoding="utf-8")
    contract = product / "product.yaml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("required: true", "required: false"))

    told = shell(product, "ingest", "../next.csv")

    assert told.code == 0
    assert "2 accepted" in told.out
    assert "not in the contract, kept as they come: alter" in told.out
    assert "in the contract, and in no row: age, left" in told.out


def test_a_label_that_no_row_has_is_told_though_it_is_not_among_the_fields(shell, shop):
    """The decision names its label, so a delivery without it is told, in a preview and at the door."""
    contract = yaml.safe_load((shop / "product.yaml").read_text(encoding="utf-8"))
    del contract["data"]["sources"]["parcels"]["fields"]["back"]
    contract["decision"]["label"] = "back"
    (shop / "product.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    (shop / "rows.csv").write_text(
        "id,at,customer,amount,fee,photo\na,2026-05-01,Bo,1,0,\n", encoding="utf-8"
    )

    seen = shell(shop, "data", "preview", "rows.csv", "-p", ".", *NOW)
    taken = shell(shop, "ingest", "rows.csv", *NOW)

    assert (seen.code, taken.code) == (0, 0)
    assert "in no row: back\n" in seen.out
    assert "in no row: back\n" in taken.out
