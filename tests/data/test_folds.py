"""Parts of the training images: equal, at random, and the same for everybody."""

import hashlib

import numpy as np
import pytest

from rotnet_lib.data.folds import Fold, folds
from rotnet_lib.errors import RotnetError


@pytest.mark.parametrize(("count", "parts"), [(40, 2), (41, 2), (100, 3), (7, 7), (1000, 10)])
def test_parts_are_as_equal_as_can_be(count: int, parts: int) -> None:
    found = folds(count, parts)
    assert found.shape == (count,)
    assert found.dtype == np.int64
    sizes = np.bincount(found, minlength=parts)
    assert sizes.sum() == count
    assert sizes.max() - sizes.min() <= 1


def test_they_are_a_function_of_the_two_numbers_alone() -> None:
    """These very parts, whatever the version of numpy: runs made at other times must agree on them."""
    assert folds(12, 2).tolist() == [1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1]
    assert hashlib.sha256(folds(10_000, 3).astype("<i8").tobytes()).hexdigest()[:16] == "bd507e7f744d55c4"


@pytest.mark.parametrize("classes", [2, 10])
def test_they_do_not_follow_the_order_of_the_images(classes: int) -> None:
    """Images stand interleaved by class, or sorted: each part has its share of every class, neighbours are in any two."""
    found = folds(6000, 2)
    for labels in (np.arange(6000) % classes, np.arange(6000) * classes // 6000):
        shares = [found[labels == label].mean() for label in range(classes)]
        assert np.abs(np.array(shares) - 0.5).max() < 0.08  # a tenth of 6000 images: 0.02 is one std
        assert min(shares) < max(shares)
    for step in (1, 2, 10):
        assert abs((found[step:] == found[:-step]).mean() - 0.5) < 0.04  # 0.0065 is one std


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_every_image_is_in_one_part_and_trained_on_without_the_others(parts: int) -> None:
    seen = np.zeros(23, int)
    for number in range(1, parts + 1):
        fold = Fold(number, parts)
        within, without = fold.within(23), fold.without(23)
        assert sorted([*within, *without]) == list(range(23))
        assert (np.diff(within) > 0).all()
        assert (np.diff(without) > 0).all()
        seen[within] += 1
    assert (seen == 1).all()


def test_a_part_is_written_as_a_fraction() -> None:
    assert Fold.parse("2/3") == Fold(2, 3)
    assert str(Fold(2, 3)) == "2/3"
    assert Fold(2, 3).others == (Fold(1, 3), Fold(3, 3))


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/1", "1/0", "-1/2", "1/2/3", "a/b", "0.5", " 1/2", "1 / 2", "²/3"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(ValueError, match=rf"'{text}' is no part: write k/K"):
        Fold.parse(text)


def test_too_few_images() -> None:
    with pytest.raises(RotnetError, match=r"fold: 3 parts of 5 training images.*at most 2 parts"):
        Fold(1, 3).within(5)
    assert len(Fold(1, 2).without(4)) == 2
