"""How many CPU cores there are for this process."""

import os


def usable_cores() -> int:
    """Number of cores that this process may run on: on a cluster's node, those of its job."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
