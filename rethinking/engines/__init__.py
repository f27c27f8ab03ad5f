"""Where runs run. `local`: this machine's cores and GPUs, a worker process each. `cluster`: the nodes of a Ray cluster.

Ray is an extra, imported by `connection` alone, when it is used; `node` has what runs on a node.
"""
