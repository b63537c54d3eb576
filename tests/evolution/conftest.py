"""A Ray cluster of three machines, all of them this one."""

import os
from pathlib import Path

import pytest

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory):
    """A cluster that tests may take machines from, and add machines to; three at the start."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'evopose[ray]'")
    from evopose.evolution.executors.ray_cluster import require_ray

    require_ray()
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        tests = str(Path(__file__).parents[1])
        patch.setenv("PYTHONPATH", os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("EVOPOSE_HOME", str(tmp_path_factory.mktemp("machines")))
        head = NODE | {"include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                cluster.add_node(wait=False, **NODE)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            cluster.shutdown()
