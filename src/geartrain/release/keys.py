"""Ed25519 keys and signatures over a release's id (RFC 8032)."""

from __future__ import annotations

import base64
import binascii

from geartrain.release.bundle_nouns import Signature

ALGORITHM = "Ed25519"
#: Signed together with the id, so that a signature can never be mistaken for one over other things.
_PURPOSE = b"geartrain.release/1\n"


def new_key() -> bytes:
    """A new private key: 32 bytes from the system's own randomness, to be kept secret."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes_raw()


def key_text(private_key: bytes) -> str:
    """The public key that belongs to *private_key*, in base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(private_key).public_key()
    return base64.b64encode(public.public_bytes_raw()).decode()


def sign_id(release: str, *, key: bytes) -> Signature:
    """Sign the id *release*; Ed25519 is deterministic, so the same id gives the same bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signed = Ed25519PrivateKey.from_private_bytes(key).sign(_PURPOSE + release.encode())
    return Signature(
        algorithm=ALGORITHM,
        release=release,
        public_key=key_text(key),
        signature=base64.b64encode(signed).decode(),
    )


def signature_holds(signature: Signature) -> bool:
    """Whether *signature* was made by its public key over its release's id."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if signature.algorithm != ALGORITHM:
        return False
    try:
        public = base64.b64decode(signature.public_key, validate=True)
        signed = base64.b64decode(signature.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(signed, _PURPOSE + signature.release.encode())
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    # A second spelling of the same bytes would be a change that nobody notices.
    return (
        base64.b64encode(public).decode() == signature.public_key
        and base64.b64encode(signed).decode() == signature.signature
    )
