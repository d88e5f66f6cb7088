"""What `deploy/` says to containers and clusters exists in the program: flags, ports, probes, settings."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from geartrain.api.doors import scope_of
from geartrain.cli.serve import serve

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CLUSTER = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
POD = CLUSTER["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]


def _instruction(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


def _arguments(arguments: list[str]) -> dict[str, object]:
    """What `geartrain` makes of them: an unknown flag or a wrong value raises."""
    verb, *rest = arguments
    assert verb == "serve"
    return serve.make_context("serve", rest, help_option_names=["-h", "--help"]).params


DOCKER_ARGUMENTS = json.loads(_instruction("CMD")[-1])


@pytest.mark.parametrize("arguments", [DOCKER_ARGUMENTS, CONTAINER["args"]], ids=["image", "cluster"])
def test_the_server_is_started_with_flags_that_it_has(arguments):
    """It listens beyond loopback, asks for tokens, drains, and the ports are those that are opened."""
    params = _arguments(arguments)

    assert params["host"] == "0.0.0.0"
    assert params["tokens"] is True
    assert params["drain_s"] > 0
    ports = {params["port"], params["grpc_port"]}
    assert ports == set(map(int, _instruction("EXPOSE")[0].split()))
    assert ports == {one["containerPort"] for one in CONTAINER["ports"]}


def test_time_is_left_for_the_drain():
    """Nobody is killed before it has drained and finished what it had."""
    grace = POD["spec"]["terminationGracePeriodSeconds"]
    assert grace > _arguments(CONTAINER["args"])["drain_s"] + 30
    stop = int(COMPOSE["services"]["geartrain"]["stop_grace_period"].removesuffix("s"))
    assert stop > _arguments(DOCKER_ARGUMENTS)["drain_s"] + 30


def test_probes_ask_routes_that_are_there_and_free(world_routes):
    """Each probe's path is a route of the program that needs no token, on a port that is named."""
    ports = {one["name"] for one in CONTAINER["ports"]}
    probes = [CONTAINER[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    health = re.search(r"http://127\.0\.0\.1:(\d+)(/[a-z/]+)", DOCKERFILE)
    assert health is not None
    assert int(health[1]) == _arguments(DOCKER_ARGUMENTS)["port"]
    for path in (*(one["path"] for one in probes), health[2]):
        assert path in world_routes
        assert scope_of("GET", path) is None
    assert {one["port"] for one in probes} <= ports
    assert POD["metadata"]["annotations"]["prometheus.io/path"] in world_routes


@pytest.fixture
def world_routes():
    from geartrain.api.control import control_plane

    app = control_plane(None)  # type: ignore[arg-type]  # only the routes are of interest
    return set(app.openapi()["paths"])


def test_settings_have_names_that_the_program_reads():
    """Every GEARTRAIN_ setting in the files is read somewhere in the program."""
    told = "\n".join(path.read_text() for path in DEPLOY.iterdir())
    names = set(re.findall(r"GEARTRAIN_[A-Z_]+", told))
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))

    assert names >= {"GEARTRAIN_WORKSPACE", "GEARTRAIN_DATABASE_URL", "GEARTRAIN_ONLINE_URL"}
    assert [name for name in sorted(names) if f'"{name}"' not in source] == []


def test_nobody_runs_as_root_and_several_stand_behind_one_address():
    """The image's user has a number above 0 that the cluster insists on; two replicas at least; the proxy finds them."""
    user = int(_instruction("USER")[-1])
    assert user == POD["spec"]["securityContext"]["runAsUser"] > 0
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert COMPOSE["services"]["geartrain"]["deploy"]["replicas"] >= 2
    scaler = CLUSTER["HorizontalPodAutoscaler"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == CLUSTER["Deployment"]["metadata"]["name"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    labels = POD["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget"):
        selector = CLUSTER[kind]["spec"]["selector"]
        assert (selector.get("matchLabels") or selector) == labels
    upstream = re.search(r"server (\w+):(\d+)", (DEPLOY / "nginx.conf").read_text())
    assert upstream is not None
    assert upstream[1] in COMPOSE["services"]
    assert int(upstream[2]) == _arguments(DOCKER_ARGUMENTS)["port"]


def test_the_image_installs_what_the_lock_file_pins():
    """The lock without its hashes is a list of pins, and the extras that are installed exist."""
    command = re.search(r"(sed -E .+ requirements\.lock) > constraints\.txt", DOCKERFILE)
    assert command is not None
    stripped = subprocess.run(
        shlex.split(command[1]), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    pins = [Requirement(line) for line in stripped.splitlines() if line and not line.startswith("#")]
    extras = re.search(r"\.\[([a-z,]+)\]", DOCKERFILE)
    assert extras is not None
    known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert len(pins) > 50
    assert all(len(pin.specifier) == 1 and "==" in str(pin.specifier) for pin in pins)
    assert set(extras[1].split(",")) <= set(known)
    assert {"grpcio", "protobuf"} <= {pin.name for pin in pins}
