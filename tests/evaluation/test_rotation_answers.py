"""A RotNet's answers: the confusion matrix, mistakes and ambiguous images of predictors one can follow."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from rotnet_lib.data.split import Split
from rotnet_lib.evaluation.rotation_answers import RotationAnswers, answer_rotations


@pytest.fixture
def images() -> Split:
    """Five images of 4 x 4 whose top left pixel alone is white, and 20 in the green channel times their number."""
    pixels = torch.zeros(5, 4, 4, 3, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = 255
    pixels[..., 1] = 20 * torch.arange(5, dtype=torch.uint8)[:, None, None]
    return Split(pixels, torch.zeros(5, dtype=torch.int64))


def corner(copies: torch.Tensor) -> torch.Tensor:
    """The rotation of such images by where the white corner is: counter-clockwise it goes down the left side first."""
    corners = torch.stack([copies[:, 0, 0, 0], copies[:, 0, -1, 0], copies[:, 0, -1, -1], copies[:, 0, 0, -1]], 1)
    return corners.argmax(1)


def test_a_predictor_that_knows_is_right_everywhere(images: Split) -> None:
    answers = answer_rotations(lambda x: 100.0 * one_hot(corner(x), 4), images, (0, 90, 180, 270))
    assert answers.said.tolist() == [[0, 1, 2, 3]] * 5
    assert (answers.confusion == 100 * np.eye(4)).all()
    assert answers.accuracy == 100
    assert answers.by_rotation == {"0 degrees": 100, "90 degrees": 100, "180 degrees": 100, "270 degrees": 100}
    assert answers.mistaken(3) == []


def test_the_confusion_matrix_has_truth_in_rows_and_answers_in_columns(images: Split) -> None:
    def predict(copies: torch.Tensor) -> torch.Tensor:
        """Takes 90 for 270, except in image 4, of which it knows nothing."""
        said = corner(copies)
        said[(said == 1) & (copies[:, 1, 1, 1] < 80)] = 3
        sure = torch.where(copies[:, 1, 1, 1] < 80, 2.0, 0.0)[:, None]
        return sure * one_hot(said, 4)

    answers = answer_rotations(predict, images, (0, 90, 180, 270))
    assert answers.confusion.tolist() == [[100, 0, 0, 0], [20, 0, 0, 80], [20, 0, 80, 0], [20, 0, 0, 80]]
    assert answers.accuracy == pytest.approx(65)
    assert answers.probability[4] == pytest.approx([0.25] * 4)
    assert answers.loss[4] == pytest.approx([math.log(4)] * 4, rel=1e-5)
    share = math.exp(2) / (math.exp(2) + 3)
    assert answers.probability[0] == pytest.approx([share] * 4)
    assert answers.loss[0] == pytest.approx([-math.log(s) for s in (share, (1 - share) / 3, share, share)], rel=1e-5)


def test_answers_do_not_depend_on_the_batches(images: Split) -> None:
    batches = []

    def predict(copies: torch.Tensor) -> torch.Tensor:
        batches.append(len(copies))
        return one_hot(corner(copies), 4) * copies[:, 1, 1, 1:2].float()

    angles = (90, 0, 270, 180)
    whole = answer_rotations(predict, images, angles)
    assert batches == [4 * 5]
    repeated = Split(images.images.repeat(200, 1, 1, 1), images.labels.repeat(200))
    parts = answer_rotations(predict, repeated, angles)
    assert len(batches) > 3  # of a thousand images; a batch need not be of a multiple of five
    assert (np.tile(whole.said, (200, 1)) == parts.said).all()
    assert (np.tile(whole.loss, (200, 1)) == parts.loss).all()


def test_the_network_sees_the_copies_of_its_own_task(images: Split) -> None:
    seen = []

    def predict(copies: torch.Tensor) -> torch.Tensor:
        seen.append(copies)
        return torch.zeros(len(copies), 2)

    large = Split(torch.zeros(3, 32, 32, 3, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    answers = answer_rotations(predict, large, (0, 180), crop_for=(45,))
    assert seen[0].shape == (6, 3, 22, 22)
    assert answers.said.shape == (3, 2)


def test_mistakes_are_the_surest_and_ambiguous_the_costliest() -> None:
    sure = [[0.9, 0.1], [0.1, 0.9]]
    told = np.log([sure, [[0.3, 0.7], [0.1, 0.9]], sure, [[0.6, 0.4], [0.8, 0.2]]]).astype(np.float32)
    told[2] = [[-20, 0], [0, -30]]  # so sure that the probability rounds to 1
    answers = RotationAnswers((0, 90), told)
    assert answers.mistaken(10) == [(2, 1), (2, 0), (3, 1), (1, 0)]  # of the two of probability 1 the costlier first
    assert answers.mistaken(1) == [(2, 1)]
    assert [index for index, _ in answers.ambiguous(3)] == [2, 3, 1]
    assert answers.ambiguous(1)[0][1] == pytest.approx(25)


def test_how_plausible_each_copy_is_as_the_upright_one(images: Split) -> None:
    def predict(copies: torch.Tensor) -> torch.Tensor:
        """Finds a copy the more upright the more green there is, and otherwise knows nothing."""
        return torch.log(torch.stack([copies[:, 1, 1, 1] + 40.0, *torch.full((3, len(copies)), 40.0)], 1))

    answers = answer_rotations(predict, images, (90, 180, 270, 0))
    green = torch.arange(5) * 20
    for image, expected in enumerate(((green + 40) / (green + 160)).tolist()):
        assert answers.plausible(0)[image] == pytest.approx([expected] * 4, rel=1e-5)


def test_answers_hold_what_was_said_of_every_rotation(images: Split) -> None:
    answers = answer_rotations(lambda x: 2.0 * one_hot(corner(x), 4), images, (0, 90, 180, 270))
    assert answers.log_p.shape == (5, 4, 4)
    assert answers.log_p.dtype == np.float32
    assert np.exp(answers.log_p).sum(2) == pytest.approx(np.ones((5, 4)), rel=1e-5)
    assert answers.said.shape == answers.probability.shape == answers.loss.shape == (5, 4)
