"""k-means of DeepCluster, in torch and by faiss, beside scikit-learn's: seconds, and how near points are to their means.

.venv/bin/python benchmarks/kmeans.py
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
import torch
from sklearn.cluster import KMeans

from rotnet_lib.pretext.parts.faiss_kmeans import faiss_kmeans
from rotnet_lib.pretext.parts.kmeans import ITERATIONS, kmeans, means


@dataclass(frozen=True)
class Found:
    """What one implementation did.

    Attributes:
        name: of it.
        seconds: that it took.
        core_seconds: of all threads, which other work on the machine lengthens less.
        spread: mean squared distance of a point from the mean of its cluster.
        empty: clusters without a point.
    """

    name: str
    seconds: float
    core_seconds: float
    spread: float
    empty: int


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--points", default=50_000, show_default=True, help="Points, as many as images: CIFAR-10 has 50 000.")
@click.option("--dimension", default=256, show_default=True, help="Numbers in a point.")
@click.option("--clusters", default=500, show_default=True, help="Clusters.")
@click.option("--seed", default=0, show_default=True, help="Of the points and of where each implementation starts.")
def main(points: int, dimension: int, clusters: int, seed: int) -> None:
    """Time 20 iterations of k-means from random points, on the CPU, of points of unit length round random centres."""
    click.echo(f"{torch.get_num_threads()} threads, torch {torch.__version__}: {points:,} x {dimension}, {clusters} clusters")
    for found in compared(made_points(points, dimension, clusters, seed), clusters, seed):
        click.echo(
            f"{found.name}: {found.seconds:.2f} s, {found.core_seconds:.2f} core-seconds, mean squared distance "
            f"{found.spread:.5f}, {found.empty} empty clusters"
        )


def made_points(count: int, dimension: int, centres: int, seed: int) -> torch.Tensor:
    """(count, dimension) float32 of unit length: noise of length 1 round centres of length 1, twice as many as asked for.

    Twice as many, since features do not come in as many heaps as there are clusters.
    """
    rng = torch.Generator().manual_seed(seed)
    heaps = torch.nn.functional.normalize(torch.randn(2 * centres, dimension, generator=rng), dim=1)
    noise = torch.randn(count, dimension, generator=rng) / dimension**0.5
    return torch.nn.functional.normalize(heaps[torch.randint(2 * centres, (count,), generator=rng)] + noise, dim=1)


def compared(points: torch.Tensor, clusters: int, seed: int) -> Iterator[Found]:
    """Each implementation on the same points, one after the other."""

    def rng() -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    yield _found("ours", points, clusters, lambda: kmeans(points, clusters, rng()).labels)
    yield _found("scikit-learn", points, clusters, lambda: _scikit_learns(points, clusters, seed))
    yield _found("faiss", points, clusters, lambda: faiss_kmeans(points, clusters, rng()).labels)


def _scikit_learns(points: torch.Tensor, clusters: int, seed: int) -> torch.Tensor:
    model = KMeans(clusters, init="random", n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd", random_state=seed)
    return torch.from_numpy(model.fit_predict(points.numpy())).long()


def _found(name: str, points: torch.Tensor, clusters: int, labels_of: Callable[[], torch.Tensor]) -> Found:
    begin, cores = time.perf_counter(), time.process_time()
    labels = labels_of()
    seconds, core_seconds = time.perf_counter() - begin, time.process_time() - cores
    spread = (points - means(points, labels, clusters)[labels]).square().sum(1).mean().item()
    return Found(name, seconds, core_seconds, spread, int((labels.bincount(minlength=clusters) == 0).sum()))


if __name__ == "__main__":
    main()
