"""What goes into a bundle, what it is called there, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.contract import Contract
from geartrain.domain.features import Encoding
from geartrain.domain.finding import Finding
from geartrain.domain.model import ModelVersion
from geartrain.domain.release import Release
from geartrain.domain.rule import DecisionRule

#: The version of the bundle's layout; a reader refuses what it does not know.
FORMAT = "geartrain.bundle/1"

MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
SIGNATURE = "signature.json"
ONNX = "model.onnx"
NATIVE = "model.txt"
ENCODING = "encoding.json"
RULE = "rule.json"
CONTRACT = "contract.json"
CONTRACT_TEXT = "contract.yaml"
FINDINGS = "findings.json"
PROFILE = "profile.json"
ENVIRONMENT = "environment.json"
SBOM = "sbom.json"

#: Files that speak about the release and so cannot be part of its identity.
ABOUT = (MANIFEST, CHECKSUMS, SIGNATURE)
#: Files that every bundle has.
ALWAYS = (ONNX, ENCODING, RULE, CONTRACT, CONTRACT_TEXT, FINDINGS, ENVIRONMENT, SBOM)
#: Files that a bundle may have.
SOMETIMES = (NATIVE, PROFILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed distribution, by its name in the package index and its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the model was trained and measured with."""

    python: str
    platform: str = ""
    packages: tuple[Package, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleParts:
    """Everything that a release consists of, before it has a name.

    Attributes:
        contract_text: The contract as the team wrote it, comments and all.
        snapshot: The id of the snapshot that trained the model.
        onnx: The artifact that `model.artifact` names.
        native: The library's own text form (never a pickle), or None.
        profile: The reference profile as JSON bytes, or None.
        environment: Whole and exact; it becomes the bill of materials.
    """

    contract: Contract
    contract_text: bytes
    snapshot: str
    model: ModelVersion
    onnx: bytes
    rule: DecisionRule
    findings: tuple[Finding, ...]
    environment: Environment
    native: bytes | None = None
    profile: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the bundle says about itself.

    Attributes:
        id: The release's id, as signed.
        model: The model version; its id is part of the release's.
    """

    format: str
    id: str
    release: Release
    model: ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who vouches for the bytes: an Ed25519 signature over the release's id, in base64."""

    algorithm: str
    release: str
    public_key: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """A bundle whose every byte is what was signed.

    Attributes:
        public_key: The key that signed it, in base64.
        trusted: Whether that key is one that the reader trusts; None where it named none.
    """

    release: Release
    model: ModelVersion
    public_key: str
    trusted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A verified bundle's content as nouns; the model stays bytes until a server opens it."""

    release: Release
    model: ModelVersion
    contract: Contract
    contract_text: str
    encoding: Encoding
    rule: DecisionRule
    findings: tuple[Finding, ...]
    environment: Environment
    onnx: bytes
    native: bytes | None
    profile: bytes | None
