"""Reading on a Ray cluster: the files of one machine, each image once, whatever is killed meanwhile."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cluster.readers import READ_COMMAND, noting_reader
from glyphline.cli import main
from glyphline.cluster.connection import connect
from glyphline.errors import GlyphlineError, UserError
from glyphline.page import Line, Page
from glyphline.reading.batch import Outcome, Task, plan_tasks, read_all
from resident_memory import resident_megabytes

pytest.importorskip("ray", reason='needs pip install "glyphline[cluster]"')
from glyphline.cluster import reading as cluster_reading


def write_images(folder: Path, names: Iterable[str]) -> list[Path]:
    """Write an image of another width for each name."""
    paths = []
    for k, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40 + k, 20), 200).save(path)
        paths.append(path)
    return paths


def plan(images: list[Path], folder: Path, out: Path) -> list[Task]:
    return plan_tasks(images, [folder], out, ".txt", None)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.txt"))}


def reads_of(log: Path) -> Counter[str]:
    """How many times each image was read."""
    return Counter(row.split()[0] for row in log.read_text().splitlines()) if log.exists() else Counter()


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


# ------------------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("address", "reason"),
    [("nowhere", "no address of a cluster"), ("ray://host:10001", "no address"), ("127.0.0.1:x", "no address")],
)
def test_malformed_address_is_refused(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=reason), connect(address, 1):
        pass
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=reason), connect("auto", 1):
        pass


@pytest.mark.parametrize("is_auto", [False, True])
def test_cluster_that_is_gone_is_reported(
    is_auto: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "in", ["a.png", "b.png"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address if is_auto else "")
    started = time.monotonic()
    words = ["read", tmp_path / "in", "--line", "--out", tmp_path / "out", "--cluster", "auto" if is_auto else address]
    with pytest.raises(SystemExit) as exit_info:
        main(list(map(str, words)))
    error = capsys.readouterr().err.splitlines()[-1]
    assert exit_info.value.code == 2 and f"{address} does not answer" in error
    assert time.monotonic() - started < 15 and not files_of(tmp_path / "out")


@pytest.mark.parametrize("named", ["", "auto"])
def test_automatic_address_is_that_of_the_last_cluster(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", named)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setattr("ray._private.services.find_gcs_addresses", frozenset)
        monkeypatch.setattr("ray._private.services.find_bootstrap_address", lambda folder: address)
    port = address.partition(":")[2]
    with pytest.raises(UserError, match=rf"the cluster [\d.]+:{port} does not answer"), connect("auto", 1):
        pass
    monkeypatch.setattr("ray._private.services.find_bootstrap_address", lambda folder: None)
    with pytest.raises(UserError, match="this machine belongs to no cluster: give"), connect("auto", 1):
        pass


@pytest.mark.flaky(reruns=1)  # a limit in seconds: a busy machine may hold the process up
@pytest.mark.slow
def test_port_that_accepts_and_is_silent_is_reported_within_15_seconds() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        started = time.monotonic()
        with pytest.raises(UserError, match="does not answer within"), connect(f"127.0.0.1:{mute.getsockname()[1]}", 1):
            pass
        assert time.monotonic() - started < 15


@pytest.mark.slow
def test_cluster_that_asks_for_a_token_is_joined_with_it_and_says_so_without(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(64 * "a")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    plain |= {"HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    join = "import sys\nfrom glyphline.cluster.connection import connect\nwith connect(sys.argv[1], 1): print('joined')"
    check = "import sys\nfrom glyphline.cluster.connection import _check_answer\n_check_answer(sys.argv[1], True)"

    def run(code: str = join, address: str = address, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, address]
        return subprocess.run(command, env={**plain, **variables}, capture_output=True, text=True)

    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:  # sockets need short paths
        start = f"start --head --block --num-cpus 1 --include-dashboard false --port {address.partition(':')[2]}"
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *start.split(), "--temp-dir", folder],
            env={**plain, "RAY_AUTH_MODE": "token"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            ends = time.monotonic() + 60
            while (done := run(RAY_AUTH_MODE="token")).returncode and time.monotonic() < ends:
                time.sleep(1)
            assert "joined" in done.stdout, done.stderr
            for refused in (run(), run(address="auto", RAY_ADDRESS=address)):
                assert refused.returncode and "set RAY_AUTH_MODE=token" in refused.stderr
            found = run(check)  # as where "auto" finds it without RAY_ADDRESS: `ray.init` then sends the token
            assert found.returncode == 0, found.stderr
        finally:
            head.terminate()
            head.wait(30)


@pytest.mark.parametrize(
    ("cpus", "jobs", "actors"), [(4, 0, 3), (4, 2, 2), (4, 3, 3), (4, 4, 3), (4, 99, 3), (2, 2, 1), (1, 0, 1)]
)
def test_actors_leave_a_cpu_free(cpus: int, jobs: int, actors: int) -> None:
    assert cluster_reading.count_actors(cpus, jobs) == actors


def test_parquet_without_a_cluster_names_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image,) = write_images(tmp_path, ["a.png"])
    with pytest.raises(SystemExit) as exit_info:
        main(["read", str(image), "--format", "parquet", "--out", str(tmp_path / "out")])
    assert exit_info.value.code == 2 and "--cluster local" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_cluster_needs_a_folder_for_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path, ["a.png"])
    for words in (["--cluster", "local"], ["--cluster", "local", "--out", str(tmp_path / "a.txt")]):
        with pytest.raises(SystemExit) as exit_info:
            main(["read", str(tmp_path / "a.png"), *words])
        assert exit_info.value.code == 2 and "--out FOLDER" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------------------- Parquet


def outcome(name: str, *lines: str) -> Outcome:
    task = Task(Path(name), Path(f"{name}.parquet"))
    return Outcome(task, pages=(Page(30, 20, tuple(Line(text, 0.5, ((0.0, 1.0),), "width") for text in lines)),))


def test_parquet_has_a_row_for_each_line(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for outcomes in ([outcome("a.png", "one", "two"), outcome("empty.png")], [outcome("b.png", "three")]):
        cluster_reading.write_part(tmp_path, cluster_reading.encode_part(outcomes))
    assert cluster_reading.encode_part([]) == b""
    assert len(list(tmp_path.iterdir())) == 2
    rows = [row for path in tmp_path.iterdir() for row in parquet.read_table(path).to_pylist()]
    assert sorted((row["document"], row["line"], row["text"] or "") for row in rows) == [
        ("a.png", 1, "one"), ("a.png", 2, "two"), ("b.png", 1, "three"), ("empty.png", 0, "")
    ]  # fmt: skip
    assert rows[0]["polygon"] in ([[0.0, 1.0]], None) and {row["page_width"] for row in rows} == {30}
    assert cluster_reading.list_documents(tmp_path) == {"a.png", "b.png", "empty.png"}
    assert cluster_reading.list_documents(tmp_path / "none") == set()


class FailingOncePool:
    """Stands for `WorkerPool`. Reads a line from each document; the first run cannot read the first document."""

    runs = 0

    def __init__(self, *arguments: Any) -> None: ...

    def run(self, todo: list[Task]) -> Iterable[Outcome]:
        FailingOncePool.runs += 1
        outcomes = [replace(outcome(task.image.name, "text"), task=task) for task in todo]
        return [Outcome(todo[0], "busy"), *outcomes[1:]] if FailingOncePool.runs == 1 else outcomes


def test_only_the_command_writes_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an actor reads that outlives its command, or that is replaced while it is cut off, is in no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLYPHLINE_THREADS", "1")  # an actor sets it
    monkeypatch.setattr(cluster_reading, "WorkerPool", FailingOncePool)
    tasks = [Task(Path(name), Path(f"{name}.parquet")) for name in ("a.png", "b.png", "c.png")]
    batch = {name: [str(getattr(task, name)) for task in tasks] for name in ("image", "out")}
    batch |= {"number": [0, 1, 2], "overlay": ["", "", ""]}
    cut_off, replacement = (
        cluster_reading.ReaderActor(noting_reader(tmp_path / "log"), "parquet", ".")(batch).to_pylist()
        for _ in range(2)
    )  # fmt: skip
    assert [row["error"] for row in cut_off] == ["busy", "", ""] and not list(tmp_path.iterdir())
    outcomes = cluster_reading.collect_outcomes(replacement, tasks, tmp_path)
    assert next(outcomes) == Outcome(tasks[0])
    assert cluster_reading.list_documents(tmp_path) == {"a.png", "b.png", "c.png"}  # before any outcome is told
    assert list(outcomes) == [Outcome(tasks[1]), Outcome(tasks[2])] and len(list(tmp_path.iterdir())) == 1


def test_parquet_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(GlyphlineError, match=r"part-.*parquet cannot be written .*: free some space"):
        cluster_reading.write_part(tmp_path / "none", b"PAR1")


def test_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"part-0\.parquet cannot be read"):
        cluster_reading.list_documents(tmp_path)


def test_blocks_hold_every_task_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [Task(Path(f"{k}.png"), Path(f"{k}.txt")) for k in range(103)]
    monkeypatch.setattr(cluster_reading, "MAX_BLOCKS", 5)
    blocks = cluster_reading._list_blocks(tasks, 4)
    assert len(blocks) <= 5 and all(block.num_rows % 4 == 0 for block in blocks[:-1])
    numbers = [number for block in blocks for number in block["number"].to_pylist()]
    assert numbers == list(range(103)) and blocks[-1]["image"].to_pylist()[-1] == "102.png"


# ------------------------------------------------------------------------------------------------------------ a cluster


@pytest.mark.slow
def test_kills_lose_nothing_and_repeat_nothing(two_nodes: Any, tmp_path: Path) -> None:
    """A process that reads and an actor are killed by -9; one image kills every process; two are no images."""
    folder, log = tmp_path / "in", tmp_path / "log"
    images = write_images(folder, [f"{k % 3}/{k}.png" for k in range(60)] + ["killer.png", "wide.png"])
    (folder / "empty.png").write_bytes(b"")
    images.append(folder / "empty.png")
    expected = list(read_all(plan(images, folder, tmp_path / "one"), noting_reader(tmp_path / "log-one"), "text", 2))

    tasks = plan(images, folder, tmp_path / "out")
    outcomes: list[Outcome] = []
    killed: list[int] = []
    for result in cluster_reading.read_all(
        tasks, noting_reader(log, 0.05), "text", tmp_path / "out", two_nodes.address
    ):
        outcomes.append(result)
        if len(outcomes) in (8, 20):  # the process that reads, then the actor that started it
            _, process, actor = log.read_text().splitlines()[-1].split()
            killed.append(int(process if len(outcomes) == 8 else actor))
            os.kill(killed[-1], signal.SIGKILL)
    assert len(killed) == 2
    assert files_of(tmp_path / "out") == files_of(tmp_path / "one") and len(files_of(tmp_path / "one")) == 60
    assert sorted(o.error for o in outcomes) == sorted(o.error for o in expected)
    assert Counter(str(o.task.image) for o in outcomes) == Counter(map(str, images))
    reads = reads_of(log)
    assert len(reads) == 60 and sum(reads.values()) <= 60 + 4  # what was being read or written when it was killed
    again = [task for task in tasks if not task.done]
    assert sorted(task.image.name for task in again) == ["empty.png", "killer.png", "wide.png"]


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["text", "parquet"])
def test_killed_command_continues(two_nodes: Any, tmp_path: Path, format_name: str) -> None:
    folder, out, log = tmp_path / "in", tmp_path / "out", tmp_path / "log"
    images = write_images(folder, [f"{k}.png" for k in range(120)])
    words = [
        *READ_COMMAND, str(folder), "--out", str(out), "--format", format_name, "--cluster", two_nodes.address,
        "--model", f"{log}|0.2",
    ]  # fmt: skip

    def is_halfway() -> bool:  # some documents are done: the command writes Parquet later than actors read
        return sum(reads_of(log).values()) >= 20 and any(out.glob("*.parquet" if format_name == "parquet" else "*"))

    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: is_halfway() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    if format_name == "text":  # so that the reads of the two commands are told apart
        actors = {Path(f"/proc/{row.split()[2]}") for row in log.read_text().splitlines()}
        wait_for(lambda: not any(actor.exists() for actor in actors))
    before = reads_of(log)
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    todo = int(re.search(r"120 images, (\d+) to read", done.stderr)[1])  # type: ignore[index]
    assert todo < 120
    reads = reads_of(log)
    assert len(reads) == 120
    if format_name == "text":
        assert sum((reads - before).values()) == todo
        assert files_of(out) == {f"{k}.png.txt": f"{40 + k} px\n".encode() for k in range(120)}
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        rows = [row for path in out.glob("*.parquet") for row in parquet.read_table(path).to_pylist()]
        assert sorted((row["document"], row["text"]) for row in rows) == sorted(
            (str(path), f"{40 + k} px") for k, path in enumerate(images)
        )


@pytest.mark.slow
def test_node_lost_and_node_added(two_nodes: Any, tmp_path: Path) -> None:
    folder, log = tmp_path / "in", tmp_path / "log"
    images = write_images(folder, [f"{k}.png" for k in range(120)])
    tasks = plan(images, folder, tmp_path / "out")
    lost = two_nodes.add_node(num_cpus=2, object_store_memory=100 * 2**20)
    outcomes = []
    for result in cluster_reading.read_all(
        tasks, noting_reader(log, 0.1), "text", tmp_path / "out", two_nodes.address, jobs=7
    ):
        outcomes.append(result)
        if len(outcomes) == 20:
            two_nodes.remove_node(lost, allow_graceful=False)
        if len(outcomes) == 40:
            two_nodes.add_node(num_cpus=2, object_store_memory=100 * 2**20)
    assert files_of(tmp_path / "out") == {f"{k}.png.txt": f"{40 + k} px\n".encode() for k in range(120)}
    assert Counter(o.task for o in outcomes) == Counter(tasks) and not [o.error for o in outcomes if o.error]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
def test_memory_does_not_grow(two_nodes: Any, tmp_path: Path) -> None:
    """Of the command, its actor, and the process that reads for it, from a quarter of the images to three quarters."""
    folder, log = tmp_path / "in", tmp_path / "log"
    folder.mkdir()
    Image.new("RGB", (1200, 900), (200, 200, 200)).save(folder / "0.png")  # 3 MB in memory
    for k in range(1, 600):
        os.link(folder / "0.png", folder / f"{k}.png")
    tasks = plan(sorted(folder.iterdir()), folder, tmp_path / "out")
    memory = []
    for count, _ in enumerate(
        cluster_reading.read_all(tasks, noting_reader(log), "text", tmp_path / "out", two_nodes.address, jobs=1), 1
    ):
        if count in (150, 450):
            _, process, actor = log.read_text().splitlines()[-1].split()
            memory.append([resident_megabytes(pid) for pid in (os.getpid(), int(actor), int(process))])
    assert len(memory) == 2 and all(later - earlier < 50 for earlier, later in zip(*memory, strict=True)), memory
