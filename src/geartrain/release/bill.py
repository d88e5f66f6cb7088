"""The bill of materials: what a release is made of, in CycloneDX 1.7."""

from __future__ import annotations

import hashlib
import re
import uuid
from urllib.parse import quote

from geartrain.domain.digest import canonical
from geartrain.release.bundle_nouns import ONNX, BundleParts, Package


def bill_of_materials(parts: BundleParts) -> bytes:
    """The release's parts as a CycloneDX 1.7 JSON document: the model and every package.

    The serial number is made of the content and there is no timestamp, so the same parts
    give the same bytes and the document can be part of the release's identity.
    """
    packages = sorted(parts.environment.packages, key=lambda one: (one.name.lower(), one.version))
    components = [_library(one) for one in packages]
    document: dict[str, object] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": {"component": _model(parts)},
        "components": components,
        "dependencies": [
            {
                "ref": f"model:{parts.model.id}",
                "dependsOn": sorted({str(one["bom-ref"]) for one in components}),
            }
        ],
    }
    name = hashlib.sha256(canonical(document)).digest()[:16]
    document["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=name, version=5)}"
    return canonical(document)


def _model(parts: BundleParts) -> dict[str, object]:
    model = parts.model
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model.id}",
        "name": model.product,
        "version": model.id,
        "description": parts.contract.product.problem.strip(),
        "hashes": [{"alg": "SHA-256", "content": model.artifact}],
        "properties": [
            {"name": "geartrain:artifact", "value": ONNX},
            {"name": "geartrain:contract", "value": model.contract},
            {"name": "geartrain:snapshot", "value": model.snapshot},
            {"name": "geartrain:trial", "value": model.trial},
            {"name": "geartrain:variant", "value": model.variant or "reference"},
        ],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": model.task.value,
                "architectureFamily": model.algorithm,
                "datasets": [{"type": "dataset", "name": f"snapshot {model.snapshot}"}],
            },
            "considerations": {
                "useCases": list(parts.contract.product.intended_use),
                "technicalLimitations": list(parts.contract.product.out_of_scope),
            },
        },
    }


def _library(package: Package) -> dict[str, object]:
    # PyPI names are one whatever their case and separators (PEP 503); a purl uses that one.
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    purl = f"pkg:pypi/{quote(name)}@{quote(package.version)}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }
