"""Signatures in the format of OpenSSF Model Signing v1, beside a bundle: for readers that know no geartrain.

The signature is a Sigstore bundle over a manifest with the digest of every file, in a file
of its own next to the folder. Any tool of the format (`model_signing verify`) can check it.
The bundle's own signature is inside and stays what a server goes by. An extra (`signing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from geartrain.errors import BundleTampered, SettingInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class ByKey:
    """An elliptic-curve key (P-256, P-384 or P-521) in a PEM file: private to sign, public to verify."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ByIdentity:
    """Sigstore without a key: a short-lived certificate for an identity, written into a public log.

    Signing takes the identity from where it runs (a CI job's token) and needs the net;
    verifying says which identity must have signed, and who vouches for it.
    """

    identity: str = ""
    issuer: str = ""


Signer = ByKey | ByIdentity


def sign_folder(folder: Path, signature: Path, *, signer: Signer) -> None:
    """Write the signature over every file in *folder* to the new file *signature*.

    Raises:
        SettingInvalid: The extra is missing, the key is none, or nobody vouches for an identity here.
        BundleTampered: A signature lies there already.
    """
    if signature.exists():
        raise BundleTampered(
            "a signature lies there already", where=str(signature), hint="move it away, or name another file"
        )
    signing = _library().signing
    config = signing.Config().set_hashing_config(_every_file())
    try:
        match signer:
            case ByKey():
                config.use_elliptic_key_signer(private_key=signer.path)
            case ByIdentity():
                config.use_sigstore_signer(use_ambient_credentials=True)
            case _:
                assert_never(signer)
        config.sign(folder, signature)
    except _problems() as problem:
        raise SettingInvalid(
            "the bundle cannot be signed with that",
            where=str(signer.path) if isinstance(signer, ByKey) else "sigstore",
            found=str(problem) or type(problem).__name__,
            hint="a key is a PEM file without a password: `openssl ecparam -name prime256v1 -genkey -noout`",
        ) from problem


def verify_folder(folder: Path, signature: Path, *, signer: Signer) -> None:
    """Return where *signature* is *signer*'s over exactly the files in *folder*.

    Raises:
        BundleTampered: A file is changed, missing or extra, or somebody else signed.
        SettingInvalid: The extra is missing.
    """
    verifying = _library().verifying
    config = verifying.Config().set_hashing_config(_every_file())
    try:
        match signer:
            case ByKey():
                config.use_elliptic_key_verifier(public_key=signer.path)
            case ByIdentity():
                config.use_sigstore_verifier(identity=signer.identity, oidc_issuer=signer.issuer)
            case _:
                assert_never(signer)
        config.verify(folder, signature)
    except _problems() as problem:
        raise BundleTampered(
            "the model signature does not hold for this bundle",
            where=str(signature),
            found=str(problem) or type(problem).__name__,
            hint="fetch the bundle again, or check whose key this is; do not serve this one",
        ) from problem


def _every_file() -> Any:
    """The format may leave files of git out; a bundle has none, so nothing is left out."""
    return _library().hashing.Config().set_ignored_paths(paths=(), ignore_git_paths=False)


def _library() -> Any:
    try:
        import model_signing
    except ImportError as missing:
        raise SettingInvalid(
            "signatures of this format need a library that is not installed",
            found=str(missing),
            hint="pip install 'geartrain[signing]'",
        ) from missing
    return model_signing


def _problems() -> tuple[type[Exception], ...]:
    """What the library raises where keys, files or signatures are not what they should be."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from sigstore.errors import Error
    from sigstore.oidc import IdentityError

    return (
        ValueError,
        TypeError,
        KeyError,
        OSError,
        InvalidSignature,
        UnsupportedAlgorithm,
        Error,
        IdentityError,
    )
