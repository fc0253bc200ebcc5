"""A real `glyphline serve` in a process of its own, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class AppProcess:
    """A running service. `address` is what it printed, with the token if there is one."""

    def __init__(self, *options: str, data: Path) -> None:
        environment = {**os.environ, "GLYPHLINE_THREADS": "1", "XDG_DATA_HOME": str(data), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "glyphline", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.messages: list[str] = []
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        self.address = self.process.stdout.readline().strip()
        deadline = time.monotonic() + 60  # the QR code follows on the other stream, and then the last message
        while self.process.poll() is None and time.monotonic() < deadline and not self._has_started():
            time.sleep(0.01)

    def _has_started(self) -> bool:
        return any("Ctrl-C" in message for message in self.messages)

    def _collect(self) -> None:
        self.messages += self.process.stderr

    @property
    def port(self) -> int:
        return urlsplit(self.address).port

    @property
    def log(self) -> list[dict[str, Any]]:
        """The records of the log so far."""
        return [json.loads(line) for line in self.messages if line.startswith("{")]

    def children(self) -> list[int]:
        """The ids of the processes that the service started."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        direct = [int(pid) for task in path.parents[1].iterdir() for pid in (task / "children").read_text().split()]
        return sorted(set(direct))

    def close(self) -> int:
        """Stop it as a service manager does, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(60)
        self._reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        return code
