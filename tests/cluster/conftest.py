"""Clusters on loopback, whose processes find the modules of the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]


@contextmanager
def start_cluster(nodes: int, cpus: int) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of nodes with so many CPUs each. Without Ray the test is skipped."""
    pytest.importorskip("ray", reason='needs pip install "glyphline[cluster]"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": cpus, "object_store_memory": 100 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        for _ in range(nodes - 1):
            cluster.add_node(**node)
        yield cluster
        cluster.shutdown()


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes with two CPUs each."""
    with start_cluster(2, 2) as cluster:
        yield cluster
