"""How many images a run sees, known before they are decoded."""

import pytest

from rotnet_lib.data.spec import DataSpec


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        (DataSpec("cifar10"), (50_000, 10_000)),
        (DataSpec("cifar10", train_size=7), (7, 10_000)),
        (DataSpec("shapes"), (5000, 1000)),
        (DataSpec("cifar10", validate=0.1), (45_000, 5000)),
        (DataSpec("cifar10", validate=0.1, train_size=1000, test_size=30), (900, 30)),
        (DataSpec("imagefolder:/nowhere", train_size=7, test_size=3), (7, 3)),
    ],
)
def test_images_are_counted_without_the_data(spec: DataSpec, counts: tuple[int, int]) -> None:
    assert spec.counts() == counts
