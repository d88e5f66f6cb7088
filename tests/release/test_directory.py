"""Bundles on disk come back as written, and nothing outside the directory is ever touched."""

import pytest

from geartrain.errors import BundleTampered
from geartrain.release.bundle import assemble, verify
from geartrain.release.directory import read_directory, write_directory

KEY = bytes(range(32))


def test_a_written_bundle_is_read_back_and_verifies(made, tmp_path) -> None:
    """Disk changes nothing, and writing the same bundle again is no error."""
    release, files = assemble(made.parts(), key=KEY)

    target = write_directory(tmp_path / "releases" / "a", files)
    write_directory(target, files)

    assert read_directory(target) == files
    assert verify(read_directory(target)).release == release
    assert [one.name for one in target.parent.iterdir()] == ["a"]


def test_another_bundle_is_never_overwritten(made, tmp_path) -> None:
    """A release does not change under its name."""
    _, files = assemble(made.parts(), key=KEY)
    write_directory(tmp_path / "a", files)

    with pytest.raises(BundleTampered, match="stands in the way"):
        write_directory(tmp_path / "a", {**files, "model.txt": b"other"})


def test_a_half_written_bundle_is_replaced(made, tmp_path) -> None:
    """What a crash left behind neither blocks the next try nor gets into it."""
    _, files = assemble(made.parts(), key=KEY)
    half = tmp_path / ".a.half"
    half.mkdir()
    (half / "model.onnx").write_bytes(b"half")

    assert read_directory(write_directory(tmp_path / "a", files)) == files
    assert not half.exists()


@pytest.mark.parametrize("name", ["../evil", "a/b", "/etc/x", ".hidden", "..", "", "a\\b", "a\nb"])
def test_names_that_leave_the_directory_are_refused(tmp_path, name) -> None:
    """No name of a bundle reaches another folder; nothing is written."""
    with pytest.raises(BundleTampered, match="stay inside"):
        write_directory(tmp_path / "a", {name: b"x"})
    assert list(tmp_path.iterdir()) == []


def test_links_and_folders_in_a_bundle_are_refused(made, tmp_path) -> None:
    """A link may show other bytes after the check; a folder hides files from it."""
    _, files = assemble(made.parts(), key=KEY)
    secret = tmp_path / "secret.json"
    secret.write_bytes(b"{}")
    linked = write_directory(tmp_path / "linked", files)
    (linked / "profile.json").unlink()
    (linked / "profile.json").symlink_to(secret)
    nested = write_directory(tmp_path / "nested", files)
    (nested / "more").mkdir()

    for place in (linked, nested):
        with pytest.raises(BundleTampered, match="plain file"):
            read_directory(place)


def test_a_missing_or_linked_directory_is_refused(made, tmp_path) -> None:
    """There is nothing to read, or it is not where it seems to be."""
    _, files = assemble(made.parts(), key=KEY)
    write_directory(tmp_path / "a", files)
    (tmp_path / "b").symlink_to(tmp_path / "a")

    for place in (tmp_path / "none", tmp_path / "b"):
        with pytest.raises(BundleTampered, match="no bundle directory"):
            read_directory(place)
