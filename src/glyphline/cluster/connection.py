"""Connects to a Ray cluster, or starts Ray on this machine."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from glyphline.errors import MissingPackage, UserError

PORT_SECONDS, ANSWER_SECONDS = 3, 11  # limits for the connection and for the answer of a cluster
OBJECT_STORE_BYTES = 256 * 2**20  # of Ray on this machine: only names and counts pass through it
ADDRESS_HELP = 'give "local", or HOST:PORT of a cluster that `ray start --head` has started'


@contextmanager
def connect(address: str, workers: int) -> Iterator[None]:
    """Connect this process to Ray for the length of the block.

    address: "local" starts Ray on this machine with a CPU for each of the `workers` and one for Ray's own tasks.
    HOST:PORT is a running cluster, of which this machine must be a node. "auto" is the cluster of this machine. A
    process that is connected already stays connected, whatever the address.
    Raises MissingPackage without Ray, UserError when the address is malformed or the cluster does not answer within
    15 s or refuses this process.
    """
    if find_spec("ray") is None:
        raise MissingPackage("ray", "cluster", "--cluster")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when ray is imported
    import ray

    if ray.is_initialized():
        yield
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
            yield
    finally:
        ray.shutdown()


def _check_answer(address: str) -> None:
    """Raise UserError when no Ray cluster answers at HOST:PORT. Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:]+\]", host) or not port.isdecimal():
        raise UserError(f'"{address}" is no address of a cluster: {ADDRESS_HELP}')
    remedy = "check the address, the firewall, and that `ray status` works on its head node"
    try:
        socket.create_connection((host.strip("[]"), int(port)), PORT_SECONDS).close()
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
