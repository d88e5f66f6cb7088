"""A bundle is byte for byte what was signed, or it is refused."""

import json
import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.finding import Finding
from geartrain.domain.wire import decode
from geartrain.errors import BundleTampered
from geartrain.release.bundle import assemble, evidence_of, read, trusted_key, verify
from geartrain.release.bundle_nouns import ABOUT, CHECKSUMS, CONTRACT_TEXT, MANIFEST, ONNX, SBOM, SIGNATURE
from geartrain.release.keys import new_key

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def files(made):
    return assemble(made.parts(), key=KEY)[1]


def test_what_was_assembled_is_read_back_as_the_same_nouns(made) -> None:
    """Decode of encode is the identity for everything that a bundle holds."""
    parts = made.parts()
    release, files = assemble(parts, key=KEY)

    loaded = read(files)

    assert loaded.release == release
    assert (loaded.contract, loaded.contract.id) == (parts.contract, parts.contract.id)
    assert (loaded.model, loaded.rule, loaded.encoding) == (parts.model, parts.rule, parts.model.encoding)
    assert set(loaded.findings) == set(parts.findings)
    assert (loaded.onnx, loaded.native, loaded.profile) == (parts.onnx, parts.native, parts.profile)
    assert loaded.contract_text.encode() == parts.contract_text
    assert loaded.environment == parts.environment


def test_the_same_parts_give_the_same_bytes(made) -> None:
    """Assembling holds no clock and no randomness, so an identity can be recomputed."""
    assert assemble(made.parts(), key=KEY) == assemble(made.parts(), key=KEY)


def test_optional_files_may_be_absent(made) -> None:
    """A model without a native text form and without a profile is a bundle too."""
    _, files = assemble(made.parts(native=None, profile=None), key=KEY)

    loaded = read(files)

    assert (loaded.native, loaded.profile) == (None, None)


def test_the_id_covers_every_file_but_those_that_speak_about_it(made) -> None:
    """The release lists each file of the bundle with its size and digest."""
    release, files = assemble(made.parts(), key=KEY)

    assert {one.path for one in release.bundle} == files.keys() - set(ABOUT)


@pytest.mark.parametrize(
    "change",
    [
        {"contract_text": b"geartrain: 1\n# another comment\n"},
        {"native": b"tree\nversion=v5\n"},
        {"profile": b'{"rows": 4}'},
        {"snapshot": "snapshot-b"},
        {"findings": ()},
    ],
)
def test_any_changed_part_gives_another_release(made, change) -> None:
    """A sign-off that names the id is void as soon as anything differs."""
    assert assemble(made.parts(**change), key=KEY)[0].id != assemble(made.parts(), key=KEY)[0].id


@given(data=st.data())
@settings(max_examples=150)
def test_any_changed_byte_is_found_and_its_file_named(files, data) -> None:
    """Whatever single byte of whatever file is changed, verification names that file."""
    path = data.draw(st.sampled_from(sorted(files)))
    place = data.draw(st.integers(0, len(files[path]) - 1))
    mask = data.draw(st.integers(1, 255))
    content = bytearray(files[path])
    content[place] ^= mask

    with pytest.raises(BundleTampered) as caught:
        verify({**files, path: bytes(content)})

    assert caught.value.where == path


def test_a_missing_file_is_named(files) -> None:
    """No file can be left out, not even an optional one that the release lists."""
    for path in files:
        rest = {name: content for name, content in files.items() if name != path}
        with pytest.raises(BundleTampered) as caught:
            verify(rest)
        assert caught.value.where == path


@pytest.mark.parametrize("extra", ["model.pkl", "notes.txt", "../evil.json"])
def test_an_extra_file_is_named(files, extra) -> None:
    """Nothing rides along unsigned."""
    with pytest.raises(BundleTampered) as caught:
        verify({**files, extra: b"{}"})
    assert caught.value.where == extra


def test_an_optional_file_added_later_is_refused(made) -> None:
    """A profile that was not signed is an extra file, although bundles may have one."""
    _, files = assemble(made.parts(profile=None), key=KEY)

    with pytest.raises(BundleTampered) as caught:
        verify({**files, "profile.json": b"{}"})

    assert caught.value.where == "profile.json"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_under_any_name(made, protocol) -> None:
    """A pickle cannot be assembled as the native model, nor swapped in for the ONNX file."""
    content = pickle.dumps({"weights": [1.0]}, protocol=protocol)

    with pytest.raises(BundleTampered, match="not a plain"):
        assemble(made.parts(native=content), key=KEY)
    _, files = assemble(made.parts(), key=KEY)
    with pytest.raises(BundleTampered, match="not a plain"):
        verify({**files, ONNX: content})


def test_an_artifact_that_is_not_the_models_is_refused(made) -> None:
    """The model version names its bytes; others cannot be released under its name."""
    with pytest.raises(BundleTampered) as caught:
        assemble(made.parts(onnx=b"\x08other"), key=KEY)
    assert caught.value.where == ONNX


def test_a_whole_bundle_of_another_key_is_refused_where_keys_are_trusted(made, files) -> None:
    """Integrity alone does not say who signed; a trusted key does."""
    stranger = assemble(made.parts(), key=new_key())[1]

    assert verify(files, trusted_keys={trusted_key(KEY)}).trusted is True
    assert verify(stranger).trusted is None
    with pytest.raises(BundleTampered, match="not trusted"):
        verify(stranger, trusted_keys={trusted_key(KEY)})


def test_a_signature_over_another_release_is_refused(made, files) -> None:
    """A signature cannot be carried from one release to another."""
    other = assemble(made.parts(snapshot="snapshot-b"), key=KEY)[1]

    with pytest.raises(BundleTampered) as caught:
        verify({**files, SIGNATURE: other[SIGNATURE]})

    assert caught.value.where == SIGNATURE


def test_recomputed_checksums_do_not_hide_a_change(made, files) -> None:
    """Who changes the contract text and every unsigned checksum is still found."""
    forged = {**files, CONTRACT_TEXT: b"geartrain: 1\n# softer\n"}
    forged[CHECKSUMS] = assemble(made.parts(contract_text=forged[CONTRACT_TEXT]), key=new_key())[1][CHECKSUMS]
    forged[MANIFEST] = assemble(made.parts(contract_text=forged[CONTRACT_TEXT]), key=new_key())[1][MANIFEST]

    with pytest.raises(BundleTampered) as caught:
        verify(forged)

    assert caught.value.where == SIGNATURE


def test_the_bill_of_materials_names_model_and_packages(files) -> None:
    """It is CycloneDX 1.7 with the model's hash and a package URL in the index's own spelling."""
    bill = json.loads(files[SBOM])

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.7")
    assert bill["metadata"]["component"]["type"] == "machine-learning-model"
    assert bill["components"][0]["purl"] == "pkg:pypi/scikit-learn@1.7.0"
    assert bill["serialNumber"].startswith("urn:uuid:")


def test_evidence_does_not_depend_on_the_order_of_findings(made) -> None:
    """Two stores that list the same findings differently name the same evidence."""
    found: tuple[Finding, ...] = made.findings(made.contract())

    assert evidence_of(found) == evidence_of(found[::-1])
    assert evidence_of(found) != evidence_of((replace(found[0], rows=7), *found[1:]))


def test_what_an_older_program_signed_is_served_by_a_newer_one(made, files, monkeypatch) -> None:
    """A contract that today's program would compile with one more word is still the one that was signed."""
    from geartrain.domain.contract import Contract
    from geartrain.release import bundle

    def newer(content, kind):
        noun = decode(content, kind)
        return replace(noun, silent=(*noun.silent, "a section of tomorrow")) if kind is Contract else noun

    monkeypatch.setattr(bundle, "decode", newer)
    loaded = read(files)

    assert loaded.contract.silent[-1] == "a section of tomorrow"
    assert loaded.contract.id != loaded.release.contract


@pytest.mark.parametrize("path", [MANIFEST, SIGNATURE, "findings.json"])
def test_a_file_nested_without_end_is_refused(files, path) -> None:
    """A reader that would run out of room says which file it was, instead of failing by itself."""
    with pytest.raises(BundleTampered, match="nested too deeply") as caught:
        verify({**files, path: b"[" * 100_000 + b"]" * 100_000})
    assert caught.value.where == path
