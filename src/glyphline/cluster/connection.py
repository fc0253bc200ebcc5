"""Connects to a Ray cluster, or starts Ray on this machine, and notices when the cluster is lost."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from threading import Thread
from typing import TypeVar

from glyphline.errors import MissingPackage, UserError

PORT_SECONDS, ANSWER_SECONDS = 3, 11  # limits for the connection and for the answer of a cluster
LOOK_SECONDS = 1.0  # between two looks at a cluster
LOST_SECONDS = 8  # without an answer until a cluster is lost; after 14 s Ray ends this process without a word
OBJECT_STORE_BYTES = 256 * 2**20  # of Ray on this machine: names, counts and texts pass through it, no images
ADDRESS_HELP = 'give "local", or HOST:PORT of a cluster that `ray start --head` has started'

Result = TypeVar("Result")


@dataclass
class Connection:
    """The cluster to which this process is connected."""

    address: str  # as the user named it
    servers: Sequence[str]  # HOST:PORT on the head node and on the node of this process; without one Ray is lost
    last_look: float = field(default_factory=time.monotonic)
    last_answer: float = field(default_factory=time.monotonic)

    def wait_for(self, work: Callable[[], Result]) -> Result:
        """Run what waits for the cluster, in a thread, and return its result.

        Raises what `work` raises, and UserError soon after the cluster is lost: Ray itself would wait for a minute and
        then end this process.
        """
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        Thread(target=run, daemon=True).start()
        while not wait([future], LOOK_SECONDS).done:
            self._look(LOST_SECONDS)
        self._look(LOST_SECONDS if future.exception() is None else 0)  # a lost cluster may be why the work failed
        return future.result()

    def _look(self, patience: float) -> None:
        """Raise UserError when the cluster has not answered for `patience` seconds. Looks once in LOOK_SECONDS."""
        now = time.monotonic()
        if patience and now - self.last_look < LOOK_SECONDS:
            return
        self.last_look = now
        try:
            for server in self.servers:
                _reach(server)
        except OSError as error:
            if now - self.last_answer >= patience:
                raise UserError(
                    f"the cluster {self.address} was lost ({server}: {error}): start it again, then run the command "
                    "again, train with --resume; what is done is kept"
                ) from None
        else:
            self.last_answer = now


@contextmanager
def connect(address: str, workers: int) -> Iterator[Connection]:
    """Connect this process to Ray for the length of the block.

    address: "local" starts Ray on this machine with a CPU for each of the `workers` and one for Ray's own tasks.
    HOST:PORT is a running cluster, of which this machine must be a node. "auto" is the cluster of this machine. A
    process that is connected already stays connected, whatever the address. Yields a Connection, whose `wait_for` runs
    what takes long.
    Raises MissingPackage without Ray, UserError when the address is malformed or the cluster does not answer within
    15 s or refuses this process.
    """
    if find_spec("ray") is None:
        raise MissingPackage("ray", "cluster", "--cluster")
    # read when ray is imported; a thread that `wait_for` has left must not start Ray anew
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"}
    import ray

    if ray.is_initialized():
        yield Connection(address, _list_servers())
        return
    options: dict[str, object] = {}
    if address == "local":
        options = {
            "num_cpus": workers + 1, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES
        }  # fmt: skip
    elif address != "auto":
        _check_answer(address)
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # its progress and its advice
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **options)
    except Exception as error:  # a wrong version or token, no node on this machine: each its own kind
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"the cluster {address} cannot be joined ({reason}): {ADDRESS_HELP}") from None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="ray")
            yield Connection(address, _list_servers())
    finally:
        ray.shutdown()


def _check_answer(address: str) -> None:
    """Raise UserError when no Ray cluster answers at HOST:PORT. Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:]+\]", host) or not port.isdecimal():
        raise UserError(f'"{address}" is no address of a cluster: {ADDRESS_HELP}')
    remedy = "check the address, the firewall, and that `ray status` works on its head node"
    try:
        _reach(address)
    except (OSError, OverflowError) as error:
        raise UserError(f"the cluster {address} does not answer ({error}): {remedy}") from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"the cluster {address} does not answer within {ANSWER_SECONDS} s: {remedy}") from None
    if done.returncode != 0:
        if "AuthenticationError" in done.stderr:  # Ray sends a token to an address only where it is told to
            raise UserError(
                f"the cluster {address} asks for its token: copy it from the head node to ~/.ray/auth_token and set "
                "RAY_AUTH_MODE=token"
            )
        raise UserError(f"what answers at {address} is no healthy Ray cluster: {remedy}")


def _list_servers() -> list[str]:
    """HOST:PORT of Ray's process on the head node, and of that on the node of this process."""
    import ray

    place = ray.get_runtime_context()
    node = next(node for node in ray.nodes() if node["NodeID"] == place.get_node_id())
    return [place.gcs_address, f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"]


def _reach(server: str) -> None:
    """Open and close a connection to HOST:PORT. Raises OSError or OverflowError."""
    host, _, port = server.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), PORT_SECONDS).close()
