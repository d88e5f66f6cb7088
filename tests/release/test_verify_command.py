"""`geartrain release verify` says whose key it held a bundle against, and refuses a stranger's."""

import json

import pytest

from geartrain.cli.main import run
from geartrain.release.bundle import assemble, trusted_key
from geartrain.release.directory import write_directory
from geartrain.release.keys import new_key

KEY = bytes(range(32))


@pytest.fixture
def verified(made, tmp_path, monkeypatch, capfd):
    """A function that verifies a bundle signed with *signer*, in a workspace that signs with *own* where there is one."""
    monkeypatch.delenv("GEARTRAIN_WORKSPACE", raising=False)

    def call(*more, signer=KEY, own=None):
        bundle = write_directory(tmp_path / "given", assemble(made.parts(), key=signer)[1])
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        if own is not None:
            (home / ".geartrain").mkdir()
            (home / ".geartrain" / "signing.key").write_bytes(own)
        monkeypatch.chdir(home)
        code = run(["release", "verify", str(bundle), *more])
        told = capfd.readouterr()
        return code, told.out, told.err

    return call


def test_without_a_key_nobody_knows_who_signed(verified):
    """Outside a workspace the bytes are checked, and what that leaves open is said."""
    code, out, _ = verified()
    assert code == 0
    assert f"signed with key {trusted_key(KEY)}\nnobody said whose key this is; `--key` does" in out


def test_a_strangers_key_is_refused_in_the_workspace(verified):
    """A bundle that was signed anew is whole, and yet not this workspace's."""
    code, _, err = verified(signer=new_key(), own=KEY)
    assert (code, "release.bundle-tampered" in err, "not trusted" in err) == (2, True, True)


def test_the_workspaces_own_key_needs_no_word(verified):
    """Where the workspace signed, that is said."""
    code, out, _ = verified(own=KEY)
    assert (code, out.strip().endswith(", the key of this workspace")) == (0, True)


def test_a_named_key_counts_before_the_workspaces(verified):
    """`--key` takes what `verify` prints."""
    other = new_key()
    code, out, _ = verified("--key", trusted_key(other), "--json", signer=other, own=KEY)
    assert (code, json.loads(out)["result"]["key_expected"]) == (0, True)


def test_another_than_the_named_key_is_refused(verified):
    """Also where the workspace's own would have been right."""
    code, _, err = verified("--key", trusted_key(new_key()), own=KEY)
    assert (code, "release.bundle-tampered" in err) == (2, True)


def test_asking_makes_no_key(verified, tmp_path):
    """A workspace that has signed nothing has no key to hold a bundle against, and gets none by that."""
    (tmp_path / "home" / ".geartrain").mkdir(parents=True)
    code, out, _ = verified()
    assert (code, "nobody said whose key this is" in out) == (0, True)
    assert list((tmp_path / "home" / ".geartrain").iterdir()) == []
