"""A cluster that is lost while a command uses it is one line, soon, instead of Ray's end of the process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer

import pytest
import yaml
from PIL import Image

from cluster.conftest import start_cluster
from cluster.readers import READ_COMMAND
from glyphline.cluster import connection
from glyphline.cluster.connection import Connection, watch
from glyphline.errors import UserError
from training.conftest import make_tiny_recipe

#: until a command has ended, as docs/past-one-machine.md promises: about 8 until the loss is certain, 12 where Ray
#: cannot be interrupted (each look at a host that is gone takes 3 more), and 5 until Ray has closed its connections
SECONDS = 30


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Accepts connections until it is closed, which is then noticed after 0.1 s."""
    monkeypatch.setattr(connection, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(connection, "LOST_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_lost_cluster_ends_what_waits_for_it(server: socket.socket) -> None:
    address, handler = f"127.0.0.1:{server.getsockname()[1]}", signal.getsignal(signal.SIGUSR1)
    with watch(Connection("auto", [address])) as cluster:
        assert cluster.wait_for(lambda: time.sleep(0.3) or 5) == 5
        with pytest.raises(KeyError):
            cluster.wait_for({}.popitem)
        server.close()
        time.sleep(0.3)  # only what waits for the cluster is interrupted
        for _ in range(2):
            with pytest.raises(UserError, match=r"the cluster auto was lost \(127.0.0.1:.* run the command again"):
                cluster.wait_for(Event().wait)
    assert signal.getsignal(signal.SIGUSR1) == handler
    with pytest.raises(UserError, match="was lost"):  # the failure of a library, because the cluster is gone
        Connection("auto", [address]).wait_for({}.popitem)


def test_lost_cluster_interrupts_waiting(server: socket.socket) -> None:
    with watch(Connection("auto", [f"127.0.0.1:{server.getsockname()[1]}"])) as cluster:
        Timer(0.2, server.close).start()
        with pytest.raises(UserError, match="was lost"):
            cluster.wait_for(Event().wait)


def test_call_that_cannot_be_interrupted_ends_with_the_process(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connection, "FREE_SECONDS", 0.1)
    codes = list[int]()
    monkeypatch.setattr(os, "_exit", codes.append)

    def work() -> None:
        while not codes:
            with suppress(KeyboardInterrupt):
                time.sleep(0.01)

    with watch(Connection("auto", [f"127.0.0.1:{server.getsockname()[1]}"])) as cluster:
        server.close()
        cluster.wait_for(work)
    assert codes[0] == 2 and capsys.readouterr().err.startswith("glyphline: the cluster auto was lost (127.0.0.1:")


@pytest.mark.flaky(reruns=1)  # a limit in seconds: a busy machine may hold the processes up
@pytest.mark.slow
def test_head_node_that_dies_ends_reading_training_and_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for k in range(2000):
        Image.new("L", (40, 20), 200).save(tmp_path / "in" / f"{k}.png")
    (tmp_path / "tiny.yaml").write_text(make_tiny_recipe(training__epochs=10_000).to_yaml())
    arms = {"fast": {"changes": {"training.learning_rate": 0.02}}}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"base": "tiny.yaml", "arms": arms, "seeds": 1}))
    glyphline = [sys.executable, "-m", "glyphline"]
    commands = {
        "texts": [*READ_COMMAND, "in", "--jobs", "1", "--model", "log|0.1"],
        "run": [*glyphline, "train", "tiny.yaml", "--workers", "1", "--track", "csv"],
        "sweep": [*glyphline, "sweep", "sweep.yaml"],
    }
    begun = {"texts": "*.txt", "run": "last.ckpt", "sweep": "**/last.ckpt"}
    with start_cluster(1, 6) as cluster:
        processes = {}
        for out, words in commands.items():
            with (tmp_path / f"{out}.stderr").open("w") as errors:
                command = [*words, "--out", out, "--cluster", cluster.address]
                processes[out] = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=errors)
        ends = time.monotonic() + 400  # of patience: six processes start on two cores
        while not all(any((tmp_path / out).glob(pattern)) for out, pattern in begun.items()):
            ended = [(tmp_path / f"{out}.stderr").read_text() for out in processes if processes[out].poll() is not None]
            assert not ended and time.monotonic() < ends, ended
            time.sleep(0.2)
        cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        ends = time.monotonic() + SECONDS
        for out, process in processes.items():
            code = process.wait(timeout=max(1, ends - time.monotonic()))
            text = (tmp_path / f"{out}.stderr").read_text()
            last = text.splitlines()[-1]
            assert code == 2 and "was lost" in last and "run the command again" in last, text
            assert "Traceback" not in text, text
