"""Measures bulk reading on a Ray cluster of two nodes on loopback, beside batch reading with two processes.

python benchmarks/cluster.py                  # 10,000 composed lines; writes benchmarks/results/cluster.json
python benchmarks/cluster.py --count 600      # a trial; writes no results

It reads the same small images: with one and with two processes of `glyphline read --jobs`; on the cluster with one and
with two actors; and with two actors while one of their processes is killed by -9 and the command is killed once and run
again. Every result is compared byte for byte with the first. Times are those of whole commands; from those of two sizes
(all images, and a tenth) follow the start of a command in seconds and the speed after it, as medians of REPEATS rounds.
The peak memory of a command, of its actor and of the process that reads for it is measured for the same two sizes.
Whole pages, those of benchmarks/pages.py in columns (they need `make fonts` and $GLYPHLINE_DATA/text), are read by one
actor with the default reader. The sizing table follows from one actor's speeds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from glyphline.memory import process_bytes
from pages import compose_columns

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MODEL = "reader"
LINE_OPTIONS = ("--line", "--model", MODEL)
REPEATS = 3
PAGE_COPIES = 4  # of each composed page; the speed is that of all but one copy
SIZES = (10**6, 10**8)  # of the sizing table
NODE = {"num_cpus": 2, "object_store_memory": 200 * 2**20}


def compose_images(folder: Path, count: int) -> None:
    """Write `count` composed lines of the split test to a folder, as PNG."""
    from glyphline.composing.line_sets import LineSet, write_lines
    from glyphline.recipe import LinesRecipe

    write_lines(LineSet(LinesRecipe(), "test", 0), count, folder, workers=os.cpu_count() or 1)


def link_part(folder: Path, part: Path, count: int) -> Path:
    """A folder with links to the first images of another."""
    part.mkdir()
    for image in sorted(folder.glob("*.png"))[:count]:
        os.link(image, part / image.name)
    return part


def command(images: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "glyphline", "read", str(images), "--format", "json", "--out", str(out), *options]


def measure(images: Path, out: Path, *options: str) -> float:
    """Seconds of a whole command. Its results are deleted if `out` exists. Raises RuntimeError if it fails."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    done = subprocess.run(command(images, out, *options), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return time.perf_counter() - started


def read_results(out: Path) -> dict[str, bytes]:
    """File name -> content of each result."""
    return {p.name: p.read_bytes() for p in out.glob("*.png.json")}


def count_results(out: Path) -> int:
    return sum(1 for _ in out.glob("*.png.json"))


def find_reading_processes() -> dict[int, int]:
    """The processes that read images, each with the actor that started it."""
    actors = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            actor = Path(f"/proc/{parent}/cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if b"multiprocessing.spawn" in words and b"spawn_main" in words and b"ray::" in actor:
            actors[int(folder.name)] = parent
    return actors


def read_with_kills(images: Path, out: Path, address: str, count: int) -> dict[str, Any]:
    """Read with two actors; kill a reading process after a quarter, an actor after a third, the command after half."""
    options = (*LINE_OPTIONS, "--cluster", address, "--jobs", "2")
    process = subprocess.Popen(command(images, out, *options), stderr=subprocess.PIPE, text=True)
    killed = []
    for share, target in ((0.25, "process"), (0.33, "actor"), (0.5, "command")):
        while count_results(out) < share * count:
            if process.poll() is not None:
                raise RuntimeError(process.communicate()[1])
            time.sleep(0.2)
        if target == "command":
            process.kill()
            process.communicate()
        else:
            chosen, actor = next(iter(find_reading_processes().items()))
            os.kill(chosen if target == "process" else actor, signal.SIGKILL)
        killed.append(target)
    time.sleep(5)  # until Ray has ended the actors of the killed command
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png.json")}
    done = subprocess.run(command(images, out, *options), capture_output=True, text=True)
    changed = [name for name, time_ns in kept.items() if (out / name).stat().st_mtime_ns != time_ns]
    return {
        "killed": killed, "done_when_killed": len(kept), "read_twice": len(changed), "exit_code": done.returncode,
        "last_line": done.stderr.splitlines()[-1] if done.stderr else "",
    }  # fmt: skip


def measure_memory(images: Path, out: Path, address: str) -> dict[str, float]:
    """Peak resident memory in MiB of the command, of its one actor, and of the process that reads for the actor.

    Raises RuntimeError if the command fails.
    """
    shutil.rmtree(out, ignore_errors=True)
    words = command(images, out, *LINE_OPTIONS, "--cluster", address, "--jobs", "1")
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    peaks = {"command": 0.0, "actor": 0.0, "reading_process": 0.0}
    while process.poll() is None:
        pids = [("command", process.pid)]
        for reading_process, actor in find_reading_processes().items():
            pids += [("reading_process", reading_process), ("actor", actor)]
        for name, pid in pids:
            peaks[name] = max(peaks[name], (process_bytes(pid, "VmHWM") or 0) / 2**20)  # none when it has ended
        time.sleep(0.5)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return peaks


def measure_pages(folder: Path, address: str) -> dict[str, Any]:
    """The speed of one actor with whole pages. Raises RuntimeError without the data of the pages."""
    folder.mkdir()
    pages = [image.path for image in compose_columns(folder)]
    if not pages:
        raise RuntimeError("no pages were composed")
    for number in range(1, PAGE_COPIES):
        for path in pages:
            os.link(path, path.with_stem(f"{path.stem}-{number}"))
    options = ("--cluster", address, "--jobs", "1")
    short = measure(link_part(folder, folder.with_name("pages-part"), len(pages)), folder.with_name("out"), *options)
    seconds = measure(folder, folder.with_name("out"), *options)
    read = (PAGE_COPIES - 1) * len(pages)
    return {"pages": read, "seconds": seconds - short, "pages_per_second": read / (seconds - short)}


def size_up(unit: str, per_second: float) -> dict[str, Any]:
    """A row of the sizing table: how many an hour of one core reads, and what SIZES of them take."""
    hourly = 3600 * per_second
    sizes = [{"count": n, "core_hours": n / hourly, "days_on_16_cores": n / hourly / 16 / 24} for n in SIZES]
    return {"unit": unit, "per_core_hour": hourly, "sizes": sizes}


def main() -> None:
    """Measure, print the table and, at full size, write results/cluster.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="images, 500 or more")
    count = parser.parse_args().count
    # one thread a process everywhere: with several, the last digits of confidences differ
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "GLYPHLINE_THREADS": "1"}
    from ray.cluster_utils import Cluster

    if count < 500:
        parser.error("the speed follows from the times of all images and of a tenth of them: give --count 500 or more")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = folder / "images"
        compose_images(images, count)
        part = link_part(images, folder / "part", count // 10)
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        cluster.add_node(**NODE)
        ways = {
            "one process": ("--jobs", "1"),
            "two processes": ("--jobs", "2"),
            "Ray, one actor": ("--cluster", cluster.address, "--jobs", "1"),
            "Ray, two actors": ("--cluster", cluster.address, "--jobs", "2"),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}  # of a tenth and of all images
        rows, expected = {}, {}
        for _ in range(REPEATS):  # one after the other, so that a slow minute of the machine strikes all alike
            for name, options in ways.items():
                short = measure(part, folder / "out-part", *LINE_OPTIONS, *options)
                times[name].append((short, measure(images, folder / "out", *LINE_OPTIONS, *options)))
                results = read_results(folder / "out")
                expected = expected or results
                same = results == expected and rows.get(name, {}).get("same_bytes", True)
                short, seconds = map(median, zip(*times[name], strict=True))
                speed = (count - count // 10) / max(1e-9, seconds - short)
                rows[name] = {
                    "seconds": seconds, "start_seconds": max(0.0, seconds - count / speed), "images_per_second": speed,
                    "same_bytes": same, "results": len(results), "times": times[name],
                }  # fmt: skip
                print(f"{name:16s} {times[name][-1]} s, in all {speed:6.1f} images/s, same bytes: {same}", flush=True)
        kills = read_with_kills(images, folder / "killed", cluster.address, count)
        results = read_results(folder / "killed")
        kills |= {"results": len(results), "same_bytes": results == expected}
        memory = {
            "of_a_tenth": measure_memory(part, folder / "out-part", cluster.address),
            "of_all": measure_memory(images, folder / "out", cluster.address),
        }
        pages = measure_pages(folder / "pages", cluster.address)
        cluster.shutdown()
    ratio = rows["Ray, two actors"]["images_per_second"] / rows["Ray, one actor"]["images_per_second"]
    overhead = rows["two processes"]["images_per_second"] / rows["Ray, two actors"]["images_per_second"] - 1
    print(f"two actors / one: {ratio:.2f}; Ray's overhead beside two processes: {overhead:.0%} and the start")
    print(f"killed: {kills}")
    print(f"peak memory, MiB: {memory}")
    sizing = [
        size_up("line images", rows["Ray, one actor"]["images_per_second"]),
        size_up("pages", pages["pages_per_second"]),
    ]
    for row in sizing:
        print(f"{row['per_core_hour']:.0f} {row['unit']} per core-hour")
    if count >= 10_000:
        RESULTS.mkdir(exist_ok=True)
        report = {
            "images": count, "model": MODEL, "cores": os.cpu_count(), "ways": rows, "two_actors_over_one": ratio,
            "overhead": overhead, "kills": kills, "memory": memory, "pages": pages, "sizing": sizing,
        }  # fmt: skip
        (RESULTS / "cluster.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
