"""k-means of faiss, an optional extra, on the CPU."""

import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.kmeans import ITERATIONS, Clusters, fill_empty


def check_faiss() -> None:
    """Raises RotnetError if faiss is not installed."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        raise RotnetError(
            "task_options.kmeans: faiss is not installed here. Install it (pip install faiss-cpu), or leave kmeans at torch."
        ) from None


def faiss_kmeans(points: torch.Tensor, count: int, rng: torch.Generator) -> Clusters:
    """As `kmeans`, by faiss, which splits a cluster in two where another one is empty; all points are looked at.

    Args:
        points: (N, D) float32, N at least `count`.
        count: k.
        rng: on the CPU.
    """
    import faiss

    seed = int(torch.randint(2**31 - 1, (), generator=rng))
    if not points.shape[1]:  # features that say nothing have no components, and faiss takes none
        labels = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        return Clusters(labels, fill_empty(labels, points, count, rng))
    here = points.cpu().contiguous().numpy()
    model = faiss.Kmeans(
        here.shape[1], count, niter=ITERATIONS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=len(here)
    )
    model.train(here)
    _, nearest = model.index.search(here, 1)
    labels = torch.from_numpy(nearest[:, 0]).to(points.device)
    split = [int(step["nsplit"]) for step in model.iteration_stats or ()]
    return Clusters(labels, sum(split) + fill_empty(labels, points, count, rng))
