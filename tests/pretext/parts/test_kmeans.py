"""k-means, whitening, and draws that are even over clusters."""

import sys
from collections.abc import Callable

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.faiss_kmeans import check_faiss, faiss_kmeans
from rotnet_lib.pretext.parts.kmeans import Clusters, kmeans, means, nearest
from rotnet_lib.pretext.parts.uniform_draws import uniform_draws
from rotnet_lib.pretext.parts.whitening import whitened

Implementation = Callable[[torch.Tensor, int, torch.Generator], Clusters]
either = pytest.mark.parametrize("by", [kmeans, faiss_kmeans])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(count: int, apart: float = 20.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in as many Gaussian heaps of 50, and which heap each is of."""
    centres = apart * torch.eye(count, 6)
    points = centres.repeat_interleave(50, 0) + torch.randn(50 * count, 6, generator=rng(1))
    return points, torch.arange(count).repeat_interleave(50)


def spread(points: torch.Tensor, labels: torch.Tensor, count: int) -> float:
    """The sum of squared distances from the means."""
    return float((points - means(points, labels, count)[labels]).square().sum())


@either
def test_heaps_are_found(by: Implementation) -> None:
    points, true = blobs(3)
    found = [by(points, 3, rng(seed)) for seed in range(5)]
    best = min(found, key=lambda clusters: spread(points, clusters.labels, 3))
    assert normalized_mutual_info_score(true, best.labels) == pytest.approx(1)


@either
def test_it_is_a_function_of_the_seed(by: Implementation) -> None:
    points, _ = blobs(5, apart=2)
    first, again, other = (by(points, 8, rng(seed)).labels for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_constant_in_all_points_changes_nothing() -> None:
    points = blobs(5, apart=2)[0].double()
    first = kmeans(points, 8, rng()).labels
    assert torch.equal(kmeans(points + 64.0, 8, rng()).labels, first)


def test_every_point_is_with_the_nearest_mean_in_the_end() -> None:
    points, _ = blobs(4)
    clusters = kmeans(points, 10, rng(), iterations=100)
    distances = torch.cdist(points, means(points, clusters.labels, 10))
    assert clusters.emptied == 0
    torch.testing.assert_close(distances.gather(1, clusters.labels[:, None])[:, 0], distances.amin(1))


@either
def test_it_is_about_as_good_as_scikit_learns(by: Implementation) -> None:
    points = torch.randn(2000, 16, generator=rng(2))
    ours = spread(points, by(points, 40, rng()).labels, 40)
    theirs = KMeans(40, init="random", n_init=1, max_iter=20, random_state=0).fit(points.numpy()).inertia_
    assert ours == pytest.approx(theirs, rel=0.02)


@either
@pytest.mark.parametrize("count", [2, 5, 12])
def test_no_cluster_is_empty_though_most_points_are_one(count: int, by: Implementation) -> None:
    """Centres that start at equal points lose all of them to the first."""
    points = torch.cat([torch.zeros(10, 3), torch.randn(2, 3, generator=rng())])
    clusters = by(points, count, rng())
    assert clusters.labels.bincount(minlength=count).min() > 0
    assert clusters.emptied > 0


@either
def test_each_point_can_be_a_cluster(by: Implementation) -> None:
    assert sorted(by(torch.zeros(7, 2), 7, rng()).labels.tolist()) == list(range(7))


def test_the_nearest_centre_is_found_in_parts_as_at_once() -> None:
    points, centres = torch.randn(40, 5, generator=rng()), torch.randn(3_000_000, 5, generator=rng(1))
    assert torch.equal(nearest(points[:7], centres), nearest(points, centres)[:7])


def test_components_have_variance_one_and_are_not_correlated() -> None:
    mixed = torch.randn(3000, 8, generator=rng()) @ torch.randn(8, 8, generator=rng(1)) + 5
    found = whitened(mixed, 8)
    torch.testing.assert_close(found.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.T @ found / 3000, torch.eye(8), atol=1e-3, rtol=0)


def test_the_largest_components_are_kept() -> None:
    features = torch.randn(500, 4, generator=rng()) * torch.tensor([1.0, 30, 0.1, 10])
    found = whitened(features, 2)
    correlation = torch.corrcoef(torch.cat([found, features], 1).T)[:2, 2:].abs()
    assert correlation.max(0).values.gt(0.9).tolist() == [False, True, False, True]


def test_features_that_say_nothing_have_no_components() -> None:
    constant = torch.ones(50, 3)
    assert whitened(constant, 3).shape == (50, 0)
    assert whitened(torch.cat([constant, torch.arange(50.0)[:, None]], 1), 3).shape == (50, 1)
    for by in (kmeans, faiss_kmeans):
        assert by(whitened(constant, 3), 4, rng()).labels.bincount().min() > 0


def test_where_faiss_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(
        RotnetError, match=r"task_options\.kmeans: faiss is not installed here\. Install it \(pip install faiss-cpu\)"
    ):
        check_faiss()


def test_draws_are_even_over_clusters() -> None:
    labels = torch.cat([torch.zeros(990, dtype=torch.int64), torch.full((10,), 3)])
    drawn = uniform_draws(labels, 1000, rng())
    assert len(drawn) == 1000
    assert [int((labels[drawn] == cluster).sum()) for cluster in (0, 3)] == [pytest.approx(500, abs=1)] * 2
    assert drawn[labels[drawn] == 0].bincount().max() == 1  # none twice as long as there are others
    assert set(drawn.bincount()[990:].tolist()) <= {49, 50, 51}
    assert not torch.equal(labels[drawn].sort().values, labels[drawn])


def test_images_without_a_cluster_are_not_drawn() -> None:
    labels = torch.tensor([-1, 0, 1, -1, 1])
    assert set(uniform_draws(labels, 9, rng()).tolist()) == {1, 2, 4}
