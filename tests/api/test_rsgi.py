"""The real server's own protocol: bodies bounded in size and time, however they come."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from serving_world import World, served
from geartrain.api.app import create_app
from geartrain.api.bodies import BodyLimits
from geartrain.api.server import serve
world = World(Path(sys.argv[2]) / "journal")
world.host.swap("p", served())
limits = BodyLimits(decisions=1000, inference=1000, control=1000, read_s=0.5)
serve(create_app(world.host, bodies=limits), port=0, ready_file=Path(sys.argv[2]) / "ready")
"""
PATHS = ["/v1/products/p/decisions", "/v2/models/p/infer", "/v1/products/p/outcomes"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rsgi")
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(Path(__file__).parent), str(folder)])
    deadline = time.monotonic() + 30
    while not (folder / "ready").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    host, port = (folder / "ready").read_text().removeprefix("http://").split(":")
    yield host, int(port)
    process.terminate()
    process.wait()


def _said(address, *parts: bytes, within_s: float = 5.0) -> bytes:
    with socket.create_connection(address, timeout=within_s) as one:
        for part in parts:
            one.sendall(part)
        return one.recv(4096).split(b"\r\n")[0]


def _head(path: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", "content-type: application/json", *more]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_does_not_come_is_not_waited_for(address, path):
    """With a stated length or in chunks: 408 after the time that a body may take."""
    began = time.monotonic()
    stated = _said(address, _head(path, "content-length: 100"), b"{")
    chunked = _said(address, _head(path, "transfer-encoding: chunked"), b"1\r\n{\r\n")

    assert (stated, chunked) == (b"HTTP/1.1 408 Request Timeout",) * 2
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_too_large_is_refused_as_soon_as_that_is_known(address, path):
    """A stated length is enough; without one the bytes are counted as they come."""
    stated = _said(address, _head(path, "content-length: 100000"), b"{")
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    chunked = _said(address, _head(path, "transfer-encoding: chunked"), chunk * 4)

    assert stated.startswith(b"HTTP/1.1 413")
    assert chunked.startswith(b"HTTP/1.1 413")


def test_a_chunked_body_is_answered_like_any_other(address):
    """The same request in three chunks is decided."""
    parts = [b'{"row"', b':{"x":', b"1}}"]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    assert _said(address, _head(PATHS[0], "transfer-encoding: chunked"), chunks) == b"HTTP/1.1 200 OK"


def test_the_control_plane_and_its_headers_come_through(address):
    """An error of the control plane keeps its status and headers on the way through the adapter."""
    with socket.create_connection(address, timeout=5) as one:
        one.sendall(b"DELETE /v1/products HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = one.recv(4096)

    assert answer.startswith(b"HTTP/1.1 405")
    assert b"allow: GET" in answer
    assert b'"http.method-not-allowed"' in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (_head("/v1/products/nobody/decisions", "content-length: 20"), b"HTTP/1.1 404 Not Found"),
        (_head("/v1/products/nobody/outcomes", "content-length: 20"), b"HTTP/1.1 404 Not Found"),
        (_head("/health/live", "content-length: 20"), b"HTTP/1.1 405 Method Not Allowed"),
    ],
)
def test_a_refusal_waits_for_the_body_that_is_on_its_way(address, head, status):
    """Whoever sends the body a moment after the head gets the answer, and the connection goes on."""
    with socket.create_connection(address, timeout=5) as one:
        for _ in range(2):
            one.sendall(head)
            time.sleep(0.05)
            one.sendall(b'{"row": {"x": 1.00}}')
            assert one.recv(4096).split(b"\r\n")[0] == status
