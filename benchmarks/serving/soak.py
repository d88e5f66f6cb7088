"""Is memory flat, and does a swap cost a request?

    python benchmarks/serving/soak.py [--minutes 60] [--connections 64] [--pause-ms 0]

Decisions flow while the release is swapped twice a second; every line has
the requests, what failed, and the server's resident memory. The last line compares the
last quarter's memory with the second's (the first is start-up).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import DECIDE, HERE, Contender, Running, load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument(
        "--pause-ms",
        type=int,
        default=0,
        help="how long a connection rests after an answer; 0: without a pause",
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "geartrain-serving")
    chosen = parser.parse_args()
    models = chosen.folder / "models"
    subprocess.run([sys.executable, str(HERE / "world.py"), str(models)], check=True)
    command = [sys.executable, str(HERE / "ours.py"), str(models), "{ready}", "swap"]
    running = Running(Contender("soak", command, DECIDE, "decide"), chosen.folder)
    bodies = models / "decide-1.txt"
    memory: list[float] = []
    requests = failed = 0
    try:
        running.wait(bodies.read_bytes().split(b"\n")[0])
        end = time.monotonic() + chosen.minutes * 60
        seconds = max(1, min(10, round(chosen.minutes * 60 / 12)))
        while time.monotonic() < end:
            seen = load(
                running, bodies, connections=chosen.connections, seconds=seconds, pause_ms=chosen.pause_ms
            )
            memory.append(running.rss_mb())
            requests += round(seen.per_s * seconds)
            failed += seen.errors
            print(f"{requests:>10} requests, {failed} failed, {memory[-1]:.1f} MB", flush=True)
    finally:
        running.stop()
    quarter = max(1, len(memory) // 4)
    early, late = (
        statistics.median(memory[quarter : 2 * quarter] or memory),
        statistics.median(memory[-quarter:]),
    )
    print(f"memory: {early:.1f} MB in the second quarter, {late:.1f} MB in the last; {failed} failed")


if __name__ == "__main__":
    main()
