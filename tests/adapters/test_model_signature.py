"""A bundle signed as OpenSSF Model Signing v1 says: other people's tools can check it, and so can we."""

from __future__ import annotations

import json
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from geartrain.adapters.model_signature import ByIdentity, ByKey, sign_folder, verify_folder
from geartrain.errors import BundleTampered, SettingInvalid


@pytest.fixture
def library():
    return pytest.importorskip(
        "model_signing", reason="model-signing is not installed (the extra `signing`)", exc_type=ImportError
    )


def _keys(folder, name="key"):
    """A fresh P-256 key: the files of its private and its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return ByKey(path=private), ByKey(path=public)


@pytest.fixture
def signed(tmp_path, library):
    """A folder with three files, the signature beside it, and the public key."""
    folder, signature = tmp_path / "bundle", tmp_path / "bundle.sig"
    folder.mkdir()
    for name in ("model.onnx", "rule.json", "SHA256SUMS"):
        (folder / name).write_bytes(f"content of {name}".encode())
    private, public = _keys(tmp_path)
    sign_folder(folder, signature, signer=private)
    return folder, signature, public


def test_what_was_signed_is_verified_here_and_by_the_library_itself(signed, library):
    """The signature is the published format: the library's own verifier takes it, and it names every file."""
    folder, signature, public = signed

    verify_folder(folder, signature, signer=public)
    library.verifying.Config().use_elliptic_key_verifier(public_key=public.path).verify(folder, signature)
    assert json.loads(signature.read_text())["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"


def _change(folder):
    content = bytearray((folder / "model.onnx").read_bytes())
    content[3] ^= 1
    (folder / "model.onnx").write_bytes(bytes(content))


SPOILED = {
    "a changed byte": _change,
    "a missing file": lambda folder: (folder / "rule.json").unlink(),
    "an extra file": lambda folder: (folder / "extra.json").write_text("{}"),
    "an extra file of git": lambda folder: (folder / ".gitignore").write_text("*"),
    "two files exchanged": lambda folder: (folder / "rule.json").rename(folder / "other.json"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_a_bundle_that_is_not_what_was_signed_is_refused(signed, spoil):
    """A changed byte, a missing file, an extra file, a renamed one: each is found."""
    folder, signature, public = signed
    spoil(folder)

    with pytest.raises(BundleTampered, match="does not hold"):
        verify_folder(folder, signature, signer=public)


def test_another_key_and_a_spoiled_signature_are_refused(signed, tmp_path):
    """The right bytes are not enough: the key must be the one that is trusted, the signature whole."""
    folder, signature, public = signed
    _, stranger = _keys(tmp_path, "stranger")
    with pytest.raises(BundleTampered):
        verify_folder(folder, signature, signer=stranger)
    content = signature.read_bytes()
    for spoiled in (b"", b"{}", b"[]", content[:-20], content.replace(b'"sig":"', b'"sig":"AAAA')):
        signature.write_bytes(spoiled)
        with pytest.raises(BundleTampered):
            verify_folder(folder, signature, signer=public)


def test_signing_needs_a_key_and_room(signed, tmp_path):
    """A file that is no key is a setting that cannot be used; a signature is never written over."""
    folder, signature, public = signed

    with pytest.raises(SettingInvalid, match="cannot be signed"):
        sign_folder(folder, tmp_path / "other.sig", signer=public)
    with pytest.raises(BundleTampered, match="lies there already"):
        sign_folder(folder, signature, signer=public)


def test_keyless_signing_asks_sigstore_for_the_jobs_identity(signed, tmp_path, monkeypatch, library):
    """Without a key the library is asked for ambient credentials, and the verifier for exactly that identity."""
    folder, signature, _ = signed
    asked = []
    monkeypatch.setattr(
        library.signing.Config, "use_sigstore_signer", lambda _self, **more: asked.append(more)
    )
    monkeypatch.setattr(library.signing.Config, "sign", lambda *_: None)
    monkeypatch.setattr(
        library.verifying.Config, "use_sigstore_verifier", lambda _self, **more: asked.append(more)
    )
    monkeypatch.setattr(library.verifying.Config, "verify", lambda *_: None)

    sign_folder(folder, tmp_path / "keyless.sig", signer=ByIdentity())
    verify_folder(folder, signature, signer=ByIdentity(identity="ci@example.org", issuer="https://issuer"))

    assert asked == [
        {"use_ambient_credentials": True},
        {"identity": "ci@example.org", "oidc_issuer": "https://issuer"},
    ]


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch):
    """Nobody has to guess which package is missing."""
    monkeypatch.setitem(sys.modules, "model_signing", None)

    with pytest.raises(SettingInvalid) as told:
        sign_folder(tmp_path, tmp_path / "x.sig", signer=ByIdentity())

    assert "geartrain[signing]" in told.value.hint
