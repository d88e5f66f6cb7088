"""Requests a second of geartrain's server and of its peers, one core for the server, one for the load.

    python benchmarks/serving/run.py [--folder F] [--seconds 3] [--rounds 5] [--only NAME ...]

Builds an environment for each peer below FOLDER the first time, trains the model once,
and prints one table. Contenders take turns for ROUNDS rounds and the median is shown; a
ratio is the median of the rounds' ratios, since a machine that others use is seldom as fast
in the next minute. Beside the rate stands the
server's own processor time for each request, which does not depend on the neighbours.
wrk (Debian: `apt-get install wrk`) makes the load.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")
INFER, DECIDE = "/v2/models/p/infer", "/v1/products/p/decisions"


@dataclass
class Contender:
    """One server: how it is started, and what it is asked."""

    name: str
    command: list[str]
    path: str
    body: str
    packages: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    bodies_of: str = "one row"


def contenders(models: Path, envs: Path) -> list[Contender]:
    own = sys.executable

    def env(name: str) -> str:
        return str(envs / name / "bin" / "python")

    def ours(name: str, path: str, body: str, *more: str) -> Contender:
        return Contender(name, [own, str(HERE / "ours.py"), str(models), "{ready}", *more], path, body)

    return [
        Contender("echo (granian)", [own, str(HERE / "echo.py"), "granian", "{port}"], "/", "infer"),
        Contender("echo (uvicorn)", [own, str(HERE / "echo.py"), "uvicorn", "{port}"], "/", "infer"),
        ours("geartrain infer", INFER, "infer"),
        ours("geartrain decide", DECIDE, "decide"),
        ours("geartrain decide, fast log", DECIDE, "decide", "fast"),
        Contender(
            "naive FastAPI",
            [own, str(HERE / "peers/naive_fastapi.py"), str(models), "{port}"],
            "/predict",
            "rows",
        ),
        Contender(
            "MLServer",
            [env("mlserver"), str(HERE / "peers/mlserver_model.py"), str(models), "{port}"],
            INFER,
            "infer",
            ("mlserver", "onnxruntime"),
        ),
        Contender(
            "MLflow",
            [env("mlflow"), str(HERE / "peers/mlflow_serve.py"), str(models), "{port}"],
            "/invocations",
            "frame",
            ("mlflow", "onnxruntime", "onnx"),
        ),
        Contender(
            "BentoML",
            [
                env("bentoml"), "-m", "bentoml", "serve", "bento_service:Onnx", "--port", "{port}",
                "--working-dir", str(HERE / "peers"),
            ],
            "/predict",
            "rows",
            ("bentoml", "onnxruntime", "numpy"),
            {"MODELS": str(models), "BENTOML_DO_NOT_TRACK": "1"},
        ),
    ]  # fmt: skip


def environment_of(one: Contender) -> str:
    """Build the contender's environment; why it cannot be asked, or nothing."""
    python = Path(one.command[0])
    if not one.packages or (python.exists() and (python.parent / "built").exists()):
        return ""
    try:
        if not python.exists():
            venv.create(python.parent.parent, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *one.packages]
        subprocess.run(install, check=True, capture_output=True, text=True, timeout=900)
    except (subprocess.SubprocessError, OSError) as error:
        return f"could not be installed: {getattr(error, 'stderr', '') or error}".strip().split("\n")[-1]
    (python.parent / "built").touch()
    return ""


class Running:
    """A contender's process on its core."""

    def __init__(self, one: Contender, folder: Path) -> None:
        self.one = one
        port = _free_port()
        ready = folder / f"ready-{port}"
        words = [part.replace("{port}", str(port)).replace("{ready}", str(ready)) for part in one.command]
        self.log = (folder / f"log-{port}").open("w+")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *words],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **one.environment},
            start_new_session=True,
        )
        self.url = f"http://127.0.0.1:{port}"
        self.ready, self.is_told = ready, "{ready}" in one.command

    def wait(self, body: bytes, within_s: float = 90.0) -> float:
        """Seconds from the start to the first right answer."""
        while time.perf_counter() - self.started < within_s:
            if self.process.poll() is not None:
                break
            if not self.is_told or self.ready.exists():
                if self.is_told:
                    self.url = self.ready.read_text()
                try:
                    headers = {"content-type": "application/json"}
                    asked = urllib.request.Request(self.url + self.one.path, body, headers)
                    with urllib.request.urlopen(asked, timeout=5) as answer:
                        answer.read()
                        return time.perf_counter() - self.started
                except OSError:
                    pass
            time.sleep(0.01)
        self.log.seek(0)
        said = self.log.read().strip().split("\n")[-1]
        raise RuntimeError(f"did not answer: {said[:200]}")

    def processes(self) -> list[int]:
        """The server's process and all that it has started."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
        parents = [tuple(map(int, line.split())) for line in listed.stdout.strip().split("\n")]
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents if parent == pid]
        return found

    def cpu_s(self) -> float:
        return sum(_cpu_s(one) for one in self.processes())

    def rss_mb(self) -> float:
        return sum(_rss_mb(one) for one in self.processes())

    def stop(self) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, sign)
                try:
                    self.process.wait(10)
                except subprocess.TimeoutExpired:
                    continue
        self.log.close()


def _free_port() -> int:
    """The first of three free ports in a row: MLServer takes two more, for gRPC and its metrics."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        try:
            for more in (1, 2):
                with socket.socket() as next_one:
                    next_one.bind(("0.0.0.0", port + more))
        except OSError:
            continue
        return port


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _rss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in text.split("\n") if line.startswith("VmRSS"))


@dataclass
class Load:
    """What one run of wrk saw."""

    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    cpu_us: float


def load(running: Running, bodies: Path, *, connections: int, seconds: int, pause_ms: int = 0) -> Load:
    """What wrk sees in *seconds*; each connection rests for *pause_ms* after an answer."""
    before = running.cpu_s()
    done = subprocess.run(
        [
            "taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
            "--timeout", "10s", "-s", str(HERE / "rotate.lua"), running.url + running.one.path,
        ],
        env={**os.environ, "BODIES": str(bodies), **({"PAUSE_MS": str(pause_ms)} if pause_ms else {})},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    cpu_s = running.cpu_s() - before
    words = next(line for line in done.stdout.split("\n") if line.startswith("RESULT")).split()[1:]
    requests, took_us, p50, p99, longest, broken, refused = map(float, words)
    return Load(
        per_s=requests / took_us * 1e6,
        p50_ms=p50 / 1e3,
        p99_ms=p99 / 1e3,
        max_ms=longest / 1e3,
        errors=int(broken + refused),
        cpu_us=cpu_s / max(requests, 1) * 1e6,
    )


def ratio(rounds: list[tuple[float, float]]) -> float:
    """The middle of what one was over the other in each round."""
    return statistics.median(one / other for one, other in rounds)


def middle(loads: list[Load]) -> Load:
    return Load(
        *(statistics.median(getattr(one, name) for one in loads) for name in ("per_s", "p50_ms", "p99_ms")),
        max_ms=max(one.max_ms for one in loads),
        errors=sum(one.errors for one in loads),
        cpu_us=statistics.median(one.cpu_us for one in loads),
    )


def onnx_alone(models: Path, seconds: float) -> tuple[float, float]:
    """Calls a second, and processor time of one, of ONNX Runtime on the server's core, nothing else: 100 rows each, other ones each
    time as in the bodies (with the same rows again the processor learns the trees' branches by heart).
    """
    program = (
        "import sys,time,numpy as np,onnxruntime as o;s=o.SessionOptions();s.intra_op_num_threads=1;"
        "m=o.InferenceSession(sys.argv[1],s);x=np.random.default_rng(0).normal(size=(1000,100,30)).astype('f4');"
        "n=0;b=time.perf_counter();c=time.process_time();e=b+float(sys.argv[2])\n"
        "while time.perf_counter()<e:\n m.run(['probabilities'],{'features':x[n%1000]});n+=1\n"
        "print(n/(time.perf_counter()-b), (time.process_time()-c)/n*1e6)"
    )
    words = ["taskset", "-c", SERVER_CORE, sys.executable, "-c", program, str(models / "model.onnx")]
    done = subprocess.run([*words, str(seconds)], capture_output=True, text=True, check=True)
    per_s, cpu_us = map(float, done.stdout.split())
    return per_s, cpu_us


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "geartrain-serving")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    chosen = parser.parse_args()
    if shutil.which("wrk") is None or shutil.which("taskset") is None:
        raise SystemExit("wrk and taskset are needed: apt-get install wrk util-linux")
    models = chosen.folder / "models"
    subprocess.run([sys.executable, str(HERE / "world.py"), str(models)], check=True)
    taking_part: list[Contender] = []
    for one in contenders(models, chosen.folder / "envs"):
        if chosen.only and not any(name in one.name for name in chosen.only):
            continue
        problem = environment_of(one)
        if problem:
            print(f"skipped {one.name}: {problem}")
        else:
            taking_part.append(one)
    results = measured(taking_part, models, chosen)
    told(results)
    (chosen.folder / "results.json").write_text(json.dumps(results, indent=1, default=vars))


def measured(taking_part: list[Contender], models: Path, chosen: argparse.Namespace) -> dict[str, dict]:
    """Everybody takes turns; one server lives at a time."""
    kinds = {"64": (64, "1"), "1": (1, "1"), "1000": (1000, "1"), "100 rows": (16, "100")}
    seen: dict[str, dict] = {one.name: {kind: [] for kind in kinds} for one in taking_part}
    alone: list[tuple[float, float]] = []
    for turn in range(chosen.rounds):
        alone.append(onnx_alone(models, chosen.seconds))
        for one in list(taking_part):
            bodies = {size: models / f"{one.body}-{size}.txt" for size in ("1", "100")}
            running = Running(one, chosen.folder)
            try:
                first = bodies["1"].read_bytes().split(b"\n")[0]
                seen[one.name].setdefault("start_s", []).append(running.wait(first))
                load(running, bodies["1"], connections=64, seconds=1)
                for kind, (connections, size) in kinds.items():
                    if kind == "1000" and turn and "geartrain" not in one.name:
                        continue
                    seen[one.name][kind].append(
                        load(running, bodies[size], connections=connections, seconds=chosen.seconds)
                    )
                seen[one.name].setdefault("rss_mb", []).append(running.rss_mb())
            except (RuntimeError, subprocess.SubprocessError) as problem:
                print(f"skipped {one.name}: {problem}")
                taking_part.remove(one)
                seen.pop(one.name)
            finally:
                running.stop()
    for found in seen.values():
        found["rounds"] = {kind: found[kind] for kind in kinds}
        for kind in kinds:
            found[kind] = middle(found[kind])
        found["start_s"], found["rss_mb"] = min(found["start_s"]), max(found["rss_mb"])
    seen["onnx"] = {
        "rounds": alone,
        "per_s": statistics.median(per_s for per_s, _ in alone),
        "cpu_us": statistics.median(cpu_us for _, cpu_us in alone),
    }
    return seen


def told(results: dict[str, dict]) -> None:
    """The table, and each bar with its figure."""
    print(
        f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    )
    names = ("granian", "uvicorn", "uvloop", "fastapi", "onnxruntime", "lightgbm", "msgspec", "numpy")
    print(f"Python {platform.python_version()}; " + ", ".join(f"{name} {version(name)}" for name in names))
    head = ("", "req/s c=64", "cpu us", "p50 ms c=1", "c=1000 req/s", "p99 ms", "max ms", "errors",
            "100 rows req/s", "cpu us", "start s", "RSS MB")  # fmt: skip
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    servers = {name: one for name, one in results.items() if name != "onnx"}
    for name, one in servers.items():
        many, lone, crowd, bulk = one["64"], one["1"], one["1000"], one["100 rows"]
        print(
            f"| {name} | {many.per_s:.0f} | {many.cpu_us:.0f} | {lone.p50_ms:.2f} | {crowd.per_s:.0f} "
            f"| {crowd.p99_ms:.0f} | {crowd.max_ms:.0f} | {crowd.errors} | {bulk.per_s:.0f} "
            f"| {bulk.cpu_us:.0f} | {one['start_s']:.2f} | {one['rss_mb']:.0f} |"
        )
    alone = results["onnx"]
    print(f"| ONNX Runtime alone | | | | | | | | {alone['per_s']:.0f} | {alone['cpu_us']:.0f} | | |\n")
    ours = servers.get("geartrain infer")
    if ours is None:
        return
    print("geartrain infer against the others, one row, 64 connections: rate, and processor time")
    for name, one in servers.items():
        if not name.startswith("geartrain infer"):
            both = list(zip(ours["rounds"]["64"], one["rounds"]["64"], strict=True))
            rate = ratio([(mine.per_s, other.per_s) for mine, other in both])
            spent = ratio([(other.cpu_us, mine.cpu_us) for mine, other in both])
            print(f"  {name:28s} {rate:6.2f}x {spent:6.2f}x")
    others = servers.get("MLServer")
    if others is not None:
        many = zip(ours["rounds"]["100 rows"], others["rounds"]["100 rows"], strict=True)
        print(
            f"  100 rows, against MLServer: {ratio([(mine.per_s, other.per_s) for mine, other in many]):.2f}x"
        )
    both = list(zip(ours["rounds"]["100 rows"], alone["rounds"], strict=True))
    rate = ratio([(mine.per_s, per_s) for mine, (per_s, _) in both])
    spent = ratio([(cpu_us, mine.cpu_us) for mine, (_, cpu_us) in both])
    print(f"  100 rows, of ONNX Runtime alone: {rate:.2f} of the rate, {spent:.2f} by processor time")
    crowd = ours["1000"]
    print(f"  1000 connections: p99 / (connections / rate) = {crowd.p99_ms / (1e6 / crowd.per_s):.2f}")


if __name__ == "__main__":
    main()
