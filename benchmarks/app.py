"""Load on the app: many clients on loopback, overload, and a kill in the middle.

    python benchmarks/app.py --seconds 60 --clients 50

Sends only to 127.0.0.1, to a service that it starts itself. Writes benchmarks/results/app.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from glyphline.memory import process_bytes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "app"))
from app_process import AppProcess  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "app.json"
EXAMPLES = [ROOT / "examples" / "sign.jpg", *sorted((ROOT / "examples" / "lines").glob("*.png"))]


def memory(app: AppProcess) -> float:
    """The resident memory of the service and of its processes, MB."""
    return sum(process_bytes(pid, "VmRSS") or 0 for pid in [app.process.pid, *app.children()]) / 2**20


async def load(app: AppProcess, pictures: list[bytes], clients: int, seconds: float) -> dict[str, Any]:
    """Let clients send picture after picture for a time. Every request is waited for."""
    statuses: Counter[str] = Counter()
    times: list[float] = []
    peak = 0.0
    end = time.monotonic() + seconds

    async def client(number: int, http: httpx2.AsyncClient) -> None:
        turn = number
        while time.monotonic() < end:
            start = time.monotonic()
            files = {"file": ("a.jpg", pictures[turn % len(pictures)])}
            try:
                answer = await http.post("/api/read", files=files)
                statuses[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    times.append(time.monotonic() - start)
                elif answer.status_code == 503:
                    statuses["with Retry-After"] += "retry-after" in answer.headers
                    await asyncio.sleep(min(2.0, float(answer.headers["retry-after"])))
            except httpx2.HTTPError as error:
                statuses[type(error).__name__] += 1
                await asyncio.sleep(0.2)
            turn += 1

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, memory(app))
            await asyncio.sleep(0.5)

    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{app.port}", timeout=300, limits=limits) as http:
        watcher = asyncio.create_task(watch())
        await asyncio.gather(*(client(number, http) for number in range(clients)))
        watcher.cancel()
    ranked = sorted(times)
    return {
        "clients": clients, "seconds": seconds, "answers": dict(statuses), "read": len(times),
        "per_second": round(len(times) / (seconds or 1), 2),
        "p50": round(statistics.median(ranked), 2) if ranked else None,
        "p95": round(ranked[int(0.95 * (len(ranked) - 1))], 2) if ranked else None, "peak_mb": round(peak),
    }  # fmt: skip


async def measure(arguments: argparse.Namespace, data: Path) -> dict[str, Any]:
    """All parts of the benchmark, on fresh services."""
    paths = sorted(arguments.photos.rglob("*")) if arguments.photos else EXAMPLES
    pictures = [path.read_bytes() for path in paths if path.suffix in (".jpg", ".jpeg", ".png")]
    app = AppProcess(data=data)
    start_mb = round(memory(app))
    results: dict[str, Any] = {"pictures": len(pictures), "start_mb": start_mb}
    results["alone"] = await load(app, pictures, 1, min(10.0, arguments.seconds))
    results["load"] = await load(app, pictures, arguments.clients, arguments.seconds)
    results["overload"] = await load(app, pictures, 4 * arguments.clients, min(15.0, arguments.seconds))
    results["end_mb"] = round(memory(app))

    flood = asyncio.create_task(load(app, pictures, 10, 3))
    await asyncio.sleep(1)
    app.process.kill()
    app.close()
    results["killed"] = (await flood)["answers"]
    again = AppProcess("--port", str(app.port), data=data)
    results["restarted"] = await load(again, pictures, 1, 3)
    again.close()
    return results


def main() -> None:
    """Run the benchmark and write its results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--photos", type=Path, help="folder of photos, also in its folders; by default the examples")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        results = asyncio.run(measure(arguments, Path(data)))
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
