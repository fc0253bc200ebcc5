"""A cluster that is lost while a command uses it is one line, soon, instead of Ray's end of the process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest
import yaml
from PIL import Image

from cluster.conftest import start_cluster
from cluster.readers import READ_COMMAND
from glyphline.cluster import connection
from glyphline.cluster.connection import Connection
from glyphline.errors import UserError
from training.conftest import make_tiny_recipe

SECONDS = 40  # until a command has ended: 8 until the cluster is given up, 5 until Ray has closed its connections


def test_lost_cluster_ends_what_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(connection, "LOST_SECONDS", 0.1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        cluster = Connection("auto", [f"127.0.0.1:{server.getsockname()[1]}"])
        assert cluster.wait_for(lambda: time.sleep(0.3) or 5) == 5
        with pytest.raises(KeyError):
            cluster.wait_for({}.popitem)
    for work in (Event().wait, {}.popitem):
        with pytest.raises(UserError, match=r"the cluster auto was lost \(127.0.0.1:.* run the command again"):
            cluster.wait_for(work)


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
        ends = time.monotonic() + 200
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
