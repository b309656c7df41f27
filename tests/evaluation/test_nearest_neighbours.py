"""The k-NN classifier against plain loops and against scikit-learn's, and where these say nothing."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.nearest_neighbours import classify
from rotnet_lib.seeds import generator

CLASSES = 5


def drawn(count: int, seed: int, channels: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Features that are all positive, as behind a ReLU, and labels that they say something of."""
    rng = generator(torch.device("cpu"), seed, "features")
    labels = torch.randint(CLASSES, (count,), generator=rng)
    features = torch.rand(count, channels, generator=rng) + 0.4 * torch.nn.functional.one_hot(labels, channels)
    return features, labels


def by_loops(test: np.ndarray, train: np.ndarray, labels: np.ndarray, k: int, tau: float) -> list[int]:
    """Section 3.4 of the paper, image by image, in float64."""
    found = []
    for one in test:
        s = train @ one / np.linalg.norm(train, axis=1) / np.linalg.norm(one)
        votes = np.zeros(CLASSES)
        for place in np.argsort(-s, kind="stable")[:k]:
            votes[labels[place]] += np.exp(s[place] / tau)
        found.append(int(votes.argmax()))
    return found


@pytest.mark.parametrize(("k", "tau"), [(1, 0.07), (7, 0.07), (40, 0.5), (90, 0.07)])
def test_it_is_the_papers_classifier(k: int, tau: float) -> None:
    (train, labels), (test, truth) = drawn(90, 0), drawn(60, 1)
    found = classify(test, train, labels, CLASSES, neighbours=k, temperature=tau)
    expected = by_loops(test.double().numpy(), train.double().numpy(), labels.numpy(), k, tau)
    assert found.tolist() == expected
    assert (found == truth).float().mean() > 0.3  # 0.2 by guessing


@pytest.mark.parametrize("k", [1, 7, 40])
def test_it_is_scikit_learns_with_these_weights(k: int) -> None:
    (train, labels), (test, _) = drawn(90, 2), drawn(60, 3)

    def weights(distances: np.ndarray) -> np.ndarray:
        return np.exp((1 - distances) / 0.07)

    theirs = KNeighborsClassifier(k, metric="cosine", weights=weights, algorithm="brute").fit(train.double(), labels)
    found = classify(test, train, labels, CLASSES, neighbours=k, temperature=0.07)
    assert found.tolist() == theirs.predict(test.double()).tolist()


def test_features_that_separate_the_classes_are_all_right() -> None:
    labels = torch.arange(CLASSES).repeat(8)
    train = torch.nn.functional.one_hot(labels, CLASSES).float()
    test = 3.0 * train[:CLASSES]
    assert classify(test, train, labels, CLASSES, neighbours=8, temperature=0.07).tolist() == list(range(CLASSES))


def test_the_length_of_features_does_not_matter() -> None:
    (train, labels), (test, _) = drawn(90, 0), drawn(60, 1)
    found = classify(test, train, labels, CLASSES, neighbours=9, temperature=0.07)
    scales = torch.tensor([1e-14, 1e-36, 1e-6, 1.0, 1e6, 1e20]).repeat(15)[:, None]
    longer = classify(1e20 * test, scales * train, labels, CLASSES, neighbours=9, temperature=0.07)
    assert torch.equal(found, longer)


@pytest.mark.parametrize("numbers", [1, 200, 10**6])
def test_chunks_change_nothing(numbers: int) -> None:
    (train, labels), (test, _) = drawn(90, 0), drawn(61, 1)
    whole = classify(test, train, labels, CLASSES, neighbours=9, temperature=0.07)
    assert torch.equal(classify(test, train, labels, CLASSES, neighbours=9, temperature=0.07, chunk_numbers=numbers), whole)


def test_no_table_is_larger_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    topk, einsum = torch.Tensor.topk, torch.einsum

    def noting_topk(self: torch.Tensor, count: int) -> object:
        sizes.append(self.numel())
        return topk(self, count)

    def noting_einsum(equation: str, weights: torch.Tensor, votes: torch.Tensor) -> torch.Tensor:
        sizes.append(votes.numel())
        return einsum(equation, weights, votes)

    monkeypatch.setattr(torch.Tensor, "topk", noting_topk)
    monkeypatch.setattr(torch, "einsum", noting_einsum)
    (train, labels), (test, _) = drawn(90, 0), drawn(60, 1)
    classify(test, train, labels, CLASSES, neighbours=30, temperature=0.07, chunk_numbers=1000)
    assert len(sizes) == 2 * 10  # of 6 test images: 30 neighbours of 5 classes each
    assert max(sizes) <= 1000


def test_equal_votes_are_for_the_class_of_the_lowest_index() -> None:
    train, labels = torch.eye(3).repeat(2, 1), torch.tensor([4, 2, 3, 4, 2, 3])
    test = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    assert classify(test, train, labels, CLASSES, neighbours=4, temperature=0.07).tolist() == [2, 2, 3]


@pytest.mark.parametrize("count", [5, 3000])
def test_of_equally_near_images_the_earlier_count(count: int) -> None:
    """Where an implementation sorts in blocks too."""
    train, labels = torch.ones(count, 4), torch.full((count,), 1)
    labels[:2] = 3
    test = torch.ones(2, 4)
    assert classify(test, train, labels, CLASSES, neighbours=3, temperature=0.07).tolist() == [3, 3]


def test_a_dead_layer_says_the_class_of_the_first_images() -> None:
    """Its features are zeros: no direction, so all images are equally near."""
    labels = torch.tensor([2, 2, 0, 0, 0, 0, 1])
    dead = torch.zeros(7, 4)
    assert classify(dead[:2], dead, labels, CLASSES, neighbours=3, temperature=0.07).tolist() == [2, 2]
    alive = torch.rand(7, 4)
    assert classify(dead[:1], alive, labels, CLASSES, neighbours=3, temperature=0.07).tolist() == [2]
    assert classify(alive[:1], dead, labels, CLASSES, neighbours=3, temperature=0.07).tolist() == [2]


@pytest.mark.parametrize("temperature", [1e-30, 1e-4, 1e30])
def test_any_temperature_gives_a_class(temperature: float) -> None:
    """At a low one the nearest image decides, at a high one each neighbour counts as much."""
    (train, labels), (test, _) = drawn(90, 0), drawn(60, 1)
    found = classify(test, train, labels, CLASSES, neighbours=90, temperature=temperature)
    if temperature < 1:
        nearest = classify(test, train, labels, CLASSES, neighbours=1, temperature=1.0)
        assert (found == nearest).float().mean() > 0.95
    else:
        assert set(found.tolist()) == {int(labels.bincount().argmax())}


def test_the_matmul_precision_is_left_as_it_was() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        (train, labels), (test, _) = drawn(9, 0), drawn(6, 1)
        classify(test, train, labels, CLASSES, neighbours=2, temperature=0.07)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_similarities_are_computed_in_whole_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    product = torch.Tensor.__matmul__

    def noting(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_float32_matmul_precision())
        return product(self, other)

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    monkeypatch.setattr(torch.Tensor, "__matmul__", noting)
    try:
        (train, labels), (test, _) = drawn(9, 0), drawn(6, 1)
        classify(test, train, labels, CLASSES, neighbours=2, temperature=0.07)
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["highest"]


def test_more_neighbours_than_images_are_refused() -> None:
    (train, labels), (test, _) = drawn(9, 0), drawn(6, 1)
    with pytest.raises(RotnetError, match=r"neighbours: 10 asked for, but there are 9 training images\. Allowed: 1 to 9\."):
        classify(test, train, labels, CLASSES, neighbours=10, temperature=0.07)


def test_no_test_images_have_no_classes() -> None:
    train, labels = drawn(9, 0)
    assert classify(train[:0], train, labels, CLASSES, neighbours=2, temperature=0.07).tolist() == []
