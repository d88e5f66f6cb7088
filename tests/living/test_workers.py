"""Several workers over a real workspace, with TLS and tokens: one server to whoever asks."""

from __future__ import annotations

import hashlib
import signal
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest

from geartrain.domain.accounts import Account, Scope, Token
from geartrain.engine.logbook import DECISIONS
from geartrain.engine.rows import frame_of, table_of
from geartrain.wiring import Settings, open_accounts

PATH = "/v1/products/shop/decisions"
ROW = {"visit_id": "new-1", "visitor": "v1", "pages": 21.0, "device": "phone"}
NOW = datetime.now(UTC)


def _certificate(folder):
    """A certificate for 127.0.0.1 and its key, as PEM files."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "geartrain test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.pem", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def _token(root, secret, *scopes):
    accounts = open_accounts(Settings(root=root))
    accounts.add(Account(person="ana", password="", keeper=False, opened_at=NOW))
    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert accounts.add_token(Token(digest=digest, person="ana", name="test", scopes=scopes, issued_at=NOW))
    accounts.close()


def test_two_workers_with_tls_and_tokens_are_one_server(the_shop, tmp_path):
    """Both workers answer over TLS whom a token lets in; metrics count both; SIGTERM ends both, nothing is lost."""
    certificate, key = _certificate(tmp_path)
    _token(the_shop.root, "s3cret", Scope.DECIDE, Scope.READ)
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "geartrain", "serve", "-w", str(the_shop.root), "--port", "0",
            "--ready-file", str(ready), "--workers", "2", "--tokens",
            "--certificate", str(certificate), "--key", str(key),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        url = ready.read_text()
        trust = ssl.create_default_context(cafile=str(certificate))
        headers = {"authorization": "Bearer s3cret"}

        def ask(path, **more):
            # A connection each, so that the kernel chooses a worker each time.
            with httpx.Client(base_url=url, verify=trust, headers=headers, timeout=10) as client:
                return client.post(path, **more) if more else client.get(path)

        answers = [ask(PATH, json={"row": ROW}) for _ in range(24)]
        stranger = httpx.post(url + PATH, json={"row": ROW}, verify=trust)
        time.sleep(1.5)
        texts = [ask("/metrics").text for _ in range(6)]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert url.startswith("https://127.0.0.1:")
    assert {one.status_code for one in answers} == {200}
    assert stranger.status_code == 401
    assert process.returncode == 0
    for text in texts:
        decided = [line for line in text.split("\n") if line.startswith("geartrain_decisions_total{")]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in decided) == 24
        assert "geartrain_workers 2.0" in text
    held = frame_of(the_shop.workspace().lake.scan(table_of("shop", DECISIONS)))["decision_id"].to_list()
    assert sorted(held) == sorted(one.json()["decisions"][0]["id"] for one in answers)


def test_workers_share_a_port_for_grpc_too(the_shop, tmp_path):
    """Two workers answer Triton's gRPC client over TLS with a token; a port that is taken is said at the start."""
    triton = pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    pytest.importorskip("grpc", reason="grpcio is not installed (the extra `grpc`)")
    certificate, key = _certificate(tmp_path)
    _token(the_shop.root, "an0ther", Scope.DECIDE, Scope.READ)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ready = tmp_path / "ready"
    command = [
        sys.executable, "-m", "geartrain", "serve", "-w", str(the_shop.root), "--port", "0",
        "--grpc-port", str(port), "--log-behind", "block", "--tokens", "--certificate", str(certificate), "--key", str(key),
    ]  # fmt: skip
    process = subprocess.Popen(
        [*command, "--workers", "2", "--ready-file", str(ready)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 180
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client = triton.InferenceServerClient(
            f"127.0.0.1:{port}", ssl=True, root_certificates=str(certificate)
        )
        let_in = {"authorization": "Bearer an0ther"}
        columns = client.get_model_metadata("shop", headers=let_in).inputs[0].shape[1]
        given = triton.InferInput("features", [2, columns], "FP32")
        given.set_data_from_numpy(np.zeros((2, columns), dtype=np.float32))
        answer = client.infer("shop", [given], headers=let_in).as_numpy("probabilities")
        with pytest.raises(triton.InferenceServerException) as stranger:
            client.infer("shop", [given])
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        client.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert np.allclose(answer.sum(axis=1), 1)
    assert stranger.value.status() == "StatusCode.UNAUTHENTICATED"
    assert process.returncode == 0
    assert second.returncode != 0
    assert f":{port}" in second.stderr
