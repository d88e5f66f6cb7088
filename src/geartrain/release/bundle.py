"""The bundle: a release as a set of safe files, whose every byte is covered by one signed id.

Loading a pickle runs whatever it says, so no bundle holds one: models travel as ONNX and
as their library's text, everything else as JSON and YAML. The release's id is the digest
over ids and files; the manifest, the checksums and the signature speak *about* it and are
themselves checked against what they must say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import msgspec

from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest, digest_bytes, short
from geartrain.domain.features import Encoding
from geartrain.domain.finding import Finding
from geartrain.domain.release import BundleFile, Release
from geartrain.domain.rule import DecisionRule
from geartrain.domain.wire import decode, encode
from geartrain.errors import BundleTampered
from geartrain.release.bill import bill_of_materials
from geartrain.release.bundle_nouns import (
    ABOUT,
    ALWAYS,
    CHECKSUMS,
    CONTRACT,
    CONTRACT_TEXT,
    ENCODING,
    ENVIRONMENT,
    FINDINGS,
    FORMAT,
    MANIFEST,
    NATIVE,
    ONNX,
    PROFILE,
    RULE,
    SBOM,
    SIGNATURE,
    SOMETIMES,
    BundleParts,
    Environment,
    Loaded,
    Manifest,
    Signature,
    VerifiedBundle,
)
from geartrain.release.keys import key_text, sign_id, signature_holds

T = TypeVar("T")

#: How files begin that run code, or hide it, when something opens them: pickles by protocol,
#: archives and compressed streams (joblib, torch), executables, HDF5 and NumPy arrays.
_UNSAFE_STARTS = (
    *(bytes((0x80, protocol)) for protocol in range(2, 6)),
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"x\x9c",
    b"x\x01",
    b"x\xda",
    b"\x28\xb5\x2f\xfd",
    b"\x7fELF",
    b"MZ",
    b"#!",
    b"\x89HDF",
    b"\x93NUMPY",
)


def evidence_of(findings: Collection[Finding]) -> str:
    """The digest of *findings*, whatever their order: what `Release.evidence` names."""
    return digest(_in_order(findings))


def assemble(parts: BundleParts, *, key: bytes) -> tuple[Release, dict[str, bytes]]:
    """Make the files of a release and its identity; the same parts give the same bytes.

    Args:
        parts: What the release consists of.
        key: The private key of `new_key()` that signs the id.

    Raises:
        BundleTampered: The parts contradict each other (the model's artifact is not these
            ONNX bytes), or a part is not a safe file.
    """
    if parts.model.artifact != digest_bytes(parts.onnx):
        raise BundleTampered(
            "the ONNX bytes are not the model's artifact",
            where=ONNX,
            found=f"sha256 {short(digest_bytes(parts.onnx))}, the model names {short(parts.model.artifact)}",
            hint="assemble the bundle from the stored artifact of this model version",
        )
    content = _content(parts)
    for path, one in content.items():
        _refuse_unsafe(path, one)
    release = Release(
        product=parts.contract.product.name,
        contract=parts.contract.id,
        snapshot=parts.snapshot,
        model=parts.model.id,
        evidence=evidence_of(parts.findings),
        bundle=_listed(content),
    )
    manifest = Manifest(format=FORMAT, id=release.id, release=release, model=parts.model)
    files = {**content, MANIFEST: encode(manifest)}
    files[CHECKSUMS] = _checksums(files)
    files[SIGNATURE] = encode(sign_id(release.id, key=key))
    return release, files


def verify(files: Mapping[str, bytes], *, trusted_keys: Collection[str] | None = None) -> VerifiedBundle:
    """Check that *files* are byte for byte what was signed.

    Args:
        files: Every file of the bundle by its name.
        trusted_keys: Public keys in base64 of which one must have signed; None accepts
            any key, which proves that nothing changed but not who signed.

    Raises:
        BundleTampered: Naming the first file that is changed, missing, extra or unsafe.
    """
    for path in (*ABOUT, *ALWAYS):
        if path not in files:
            raise _tampered("a file is missing from the bundle", path)
    for path in sorted(files):
        if path not in (*ABOUT, *ALWAYS, *SOMETIMES):
            raise _tampered("the bundle holds a file that does not belong there", path)
        _refuse_unsafe(path, files[path])
    manifest = _exact(files, MANIFEST, Manifest)
    release = manifest.release
    if manifest.format != FORMAT:
        raise _tampered("the bundle's layout is not known here", MANIFEST, found=manifest.format)
    if manifest.id != release.id or manifest.model.id != release.model:
        raise _tampered("the manifest contradicts itself", MANIFEST)
    _check_listed(files, release)
    if files[CHECKSUMS] != _checksums(files):
        raise _tampered("the checksums do not fit the files", CHECKSUMS)
    if manifest.model.artifact != digest_bytes(files[ONNX]):
        raise _tampered("the model version names another artifact", ONNX)
    signature = _exact(files, SIGNATURE, Signature)
    if signature.release != release.id or not signature_holds(signature):
        raise _tampered("the signature is not over this release", SIGNATURE)
    if trusted_keys is not None and signature.public_key not in trusted_keys:
        raise BundleTampered(
            "the bundle is signed with a key that is not trusted here",
            where=SIGNATURE,
            found=signature.public_key,
            hint="trust the key only if you know whose it is; `geartrain release verify` takes it as `--key`",
        )
    trusted = None if trusted_keys is None else True
    return VerifiedBundle(
        release=release, model=manifest.model, public_key=signature.public_key, trusted=trusted
    )


def read(files: Mapping[str, bytes], *, trusted_keys: Collection[str] | None = None) -> Loaded:
    """Verify *files*, then read them into nouns; nothing is read that was not verified.

    Contract and findings are held against their ids by their bytes: a newer geartrain that
    knows more about a contract still serves what was signed under an older one.

    Raises:
        BundleTampered: A file is not what was signed, or the files contradict the ids.
    """
    checked = verify(files, trusted_keys=trusted_keys)
    release, model = checked.release, checked.model
    contract = _decoded(files, CONTRACT, Contract)
    findings = _decoded(files, FINDINGS, tuple[Finding, ...])
    encoding = _decoded(files, ENCODING, Encoding)
    if digest_bytes(files[CONTRACT]) != release.contract:
        raise _tampered("the contract is not the one that was signed", CONTRACT)
    if digest_bytes(files[FINDINGS]) != release.evidence:
        raise _tampered("the findings are not those that were signed", FINDINGS)
    if encoding != model.encoding:
        raise _tampered("the encoding is not the model's", ENCODING)
    return Loaded(
        release=release,
        model=model,
        contract=contract,
        contract_text=files[CONTRACT_TEXT].decode(),
        encoding=encoding,
        rule=_decoded(files, RULE, DecisionRule),
        findings=findings,
        environment=_decoded(files, ENVIRONMENT, Environment),
        onnx=files[ONNX],
        native=files.get(NATIVE),
        profile=files.get(PROFILE),
    )


def trusted_key(private_key: bytes) -> str:
    """The public key of *private_key* as `verify` and `read` take it."""
    return key_text(private_key)


def _content(parts: BundleParts) -> dict[str, bytes]:
    content = {
        ONNX: parts.onnx,
        ENCODING: encode(parts.model.encoding),
        RULE: encode(parts.rule),
        CONTRACT: encode(parts.contract),
        CONTRACT_TEXT: parts.contract_text,
        FINDINGS: encode(_in_order(parts.findings)),
        ENVIRONMENT: encode(parts.environment),
        SBOM: bill_of_materials(parts),
    }
    if parts.native is not None:
        content[NATIVE] = parts.native
    if parts.profile is not None:
        content[PROFILE] = parts.profile
    return content


def _in_order(findings: Collection[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda one: (one.clause, one.stage.value, one.found_at)))


def _listed(content: Mapping[str, bytes]) -> tuple[BundleFile, ...]:
    return tuple(
        BundleFile(path=path, size_bytes=len(content[path]), sha256=digest_bytes(content[path]))
        for path in sorted(content)
    )


def _checksums(files: Mapping[str, bytes]) -> bytes:
    """What `sha256sum --check SHA256SUMS` reads."""
    covered = sorted(path for path in files if path not in (CHECKSUMS, SIGNATURE))
    return "".join(f"{digest_bytes(files[path])}  {path}\n" for path in covered).encode()


def _check_listed(files: Mapping[str, bytes], release: Release) -> None:
    listed = {one.path: one for one in release.bundle}
    present = {path for path in files if path not in ABOUT}
    for path in sorted(present ^ listed.keys()):
        said = "a file is missing from the bundle" if path in listed else "the bundle holds an extra file"
        raise _tampered(said, path)
    for path, one in listed.items():
        if one.sha256 != digest_bytes(files[path]) or one.size_bytes != len(files[path]):
            raise _tampered(
                "the file is not what was signed", path, found=f"sha256 {short(digest_bytes(files[path]))}"
            )


def _refuse_unsafe(path: str, content: bytes) -> None:
    if content.startswith(_UNSAFE_STARTS):
        raise _tampered(
            "the file is not a plain model, text or JSON file", path, found=f"it begins with {content[:8]!r}"
        )
    if path == ONNX:
        return
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise _tampered("the file is not UTF-8 text", path, found=str(error)) from error
    if path.endswith(".json"):
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise _tampered("the file is not JSON", path, found=str(error)) from error
        except RecursionError as error:
            raise _tampered("the file is nested too deeply", path) from error


def _decoded(files: Mapping[str, bytes], path: str, kind: type[T]) -> T:
    try:
        return decode(files[path], kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise _tampered("the file does not hold what its name says", path, found=str(error)) from error
    except RecursionError as error:
        raise _tampered("the file is nested too deeply", path) from error


def _exact(files: Mapping[str, bytes], path: str, kind: type[T]) -> T:
    """Decode a file that has only one right spelling, so that no byte of it is free."""
    noun = _decoded(files, path, kind)
    if encode(noun) != files[path]:
        raise _tampered("the file is not in its canonical form", path)
    return noun


def _tampered(message: str, path: str, *, found: str = "") -> BundleTampered:
    return BundleTampered(
        message,
        where=path,
        found=found,
        hint="fetch the bundle again, or build and sign a new release; do not serve this one",
    )
