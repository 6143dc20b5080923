"""A Ray cluster on this machine, on loopback, in a process of its own: Ray leaves files open that tests would report.

    python ray_nodes.py

prints the address of a head of one CPU. Of each line that it reads, `add` adds such a node, and `remove` kills the one
that was added last, without a warning. It ends with its input.
"""

import os
import sys

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # read at the import of Ray


def main() -> None:
    from ray.cluster_utils import Cluster

    here = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args=here | {"include_dashboard": False})
    nodes = []
    try:
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if line.strip() == "add":
                nodes.append(cluster.add_node(**here))
            else:
                cluster.remove_node(nodes.pop(), allow_graceful=False)
            print(line.strip(), flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
