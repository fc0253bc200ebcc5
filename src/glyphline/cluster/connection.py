"""Connects to a Ray cluster, or starts Ray on this machine, and notices when the cluster is lost."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from types import FrameType
from typing import TypeVar

from glyphline.errors import MissingPackage, UserError

PORT_SECONDS, ANSWER_SECONDS = 3, 11  # limits for the connection and for the answer of a cluster
LOOK_SECONDS = 1.0  # between two looks at a cluster
LOST_SECONDS = 7  # without an answer until a cluster is lost
FREE_SECONDS = 4  # for Ray to return then; after 14 s without a node it ends its process
OBJECT_STORE_BYTES = 256 * 2**20  # of Ray on this machine: names, counts and texts pass through it, no images
ADDRESS_HELP = 'give "local", or HOST:PORT of a cluster that `ray start --head` has started'

Result = TypeVar("Result")


@dataclass
class Connection:
    """The cluster to which this process is connected."""

    address: str  # as the user named it
    servers: Sequence[str]  # HOST:PORT on the head node and on the node of this process; Ray needs both
    fault: str = ""  # why the cluster is lost
    is_waiting: bool = False

    def wait_for(self, work: Callable[[], Result]) -> Result:
        """Run what waits for the cluster, and return its result.

        Raises what `work` raises, and UserError where the cluster is lost: within `watch` soon after that.
        """
        self.is_waiting = True
        try:
            if not self.fault:
                return work()
        except KeyboardInterrupt:  # of the user or of `watch`
            if not self.fault:
                raise
        except Exception:
            self.fault = self.fault or self.find_fault()
            if not self.fault:
                raise
        finally:
            self.is_waiting = False
        raise UserError(self.describe_loss())

    def find_fault(self) -> str:
        """Say which server does not answer; empty when all do."""
        for server in self.servers:
            try:
                _reach(server)
            except OSError as error:
                return f"{server}: {error.strerror or error}"
        return ""

    def describe_loss(self) -> str:
        return (
            f"the cluster {self.address} was lost ({self.fault}): start it again, then run the command again, train "
            "with --resume; what is done is kept"
        )


@contextmanager
def watch(cluster: Connection) -> Iterator[Connection]:
    """Look at a cluster during the block, and end `wait_for` when it has been lost for LOST_SECONDS.

    Ray itself would go on for up to a minute and then end this process without a word. Some of its calls cannot be
    interrupted: after FREE_SECONDS more this process ends with a message. Only the main thread is watched, and only
    where there is SIGUSR1.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGUSR1"):
        yield cluster
        return
    main, ended = threading.main_thread(), threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if cluster.is_waiting and cluster.fault:
            cluster.is_waiting = False  # once: what Ray then tidies up is not interrupted
            raise KeyboardInterrupt  # of all exceptions, Ray lets only this one through

    def look() -> None:
        last_answer = time.monotonic()
        while not ended.wait(LOOK_SECONDS):
            fault, silence = cluster.find_fault(), time.monotonic() - last_answer
            if not fault:
                last_answer = time.monotonic()
            elif silence >= LOST_SECONDS + FREE_SECONDS:
                show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # progress bars hide it
                print(f"{show_cursor}glyphline: {cluster.describe_loss()}", file=sys.stderr, flush=True)
                os._exit(UserError.exit_code)
            elif silence >= LOST_SECONDS and main.ident is not None:
                cluster.fault = fault
                signal.pthread_kill(main.ident, signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGUSR1, previous)


@contextmanager
def connect(address: str, workers: int) -> Iterator[Connection]:
    """Connect this process to Ray for the length of the block.

    address: "local" starts Ray on this machine with a CPU for each of the `workers` and one for Ray's own tasks.
    HOST:PORT is a running cluster, of which this machine must be a node. "auto" is the cluster of RAY_ADDRESS,
    otherwise the one that `ray start` has started or joined on this machine. A process that is connected already stays
    connected, whatever the address. Yields a Connection, whose `wait_for` runs what takes long.
    Raises MissingPackage without Ray, UserError when the address is malformed or the cluster does not answer within
    15 s or refuses this process.
    """
    if find_spec("ray") is None:
        raise MissingPackage("ray", "cluster", "--cluster")
    # read when ray is imported; without the second, a thread that listens to a lost cluster starts Ray here
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"}
    import ray

    if ray.is_initialized():
        with watch(Connection(address, _list_servers())) as cluster:
            yield cluster
        return
    options: dict[str, object] = {}
    if address == "local":
        options = {
            "num_cpus": workers + 1, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES
        }  # fmt: skip
    elif address == "auto":
        _check_answer(*_find_cluster())
    else:
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
            with watch(Connection(address, _list_servers())) as cluster:
                yield cluster
    finally:
        ray.shutdown()


def _find_cluster() -> tuple[str, bool]:
    """HOST:PORT of the cluster "auto", and whether Ray sends its token there unasked. Raises UserError without any."""
    if (address := os.environ.get("RAY_ADDRESS", "auto")) not in ("", "auto"):
        return address, False
    from ray._private.services import canonicalize_bootstrap_address  # what `ray.init` uses; Ray publishes no function

    try:
        return canonicalize_bootstrap_address("auto"), True
    except ConnectionError:
        raise UserError(f"this machine belongs to no cluster: {ADDRESS_HELP}") from None


def _check_answer(address: str, sends_token: bool = False) -> None:
    """Raise UserError when no Ray cluster answers at HOST:PORT. Ray itself would try for two minutes.

    sends_token: `ray.init` will send the token without RAY_AUTH_MODE, so a cluster that asks for it is an answer.
    """
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
            if sends_token:
                return
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
