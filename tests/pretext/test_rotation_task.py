"""The rotation task: its loss, how it spreads copies over batches, its options, and weights for the copies."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Loader, ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.seeds import seeded
from tests.training import toys

RIGHT_ANGLES = (0, 90, 180, 270)
MODES = ("all", "shuffled", "one", "one-large-batch")
EIGHT = (0, 45, 90, 135, 180, 225, 270, 315)

IMAGES = {"fingerprint": "0"}
"""Which images the weights are of."""


def turned(image: np.ndarray, quarters: int) -> np.ndarray:
    """(..., H, W) counter-clockwise by quarter turns, with transposes and flips alone."""
    for _ in range(quarters % 4):
        image = np.swapaxes(image, -1, -2)[..., ::-1, :]
    return image


# --- The task ---


def network(data: Dataset) -> Backbone:
    with seeded(0):
        return make_backbone("nin3", width=0.05, mean=data.mean, std=data.std)


def task(data: Dataset, **options: Any) -> Rotation:
    return Rotation(network(data), data, Rotation.Options(**options))


def test_the_loss_is_the_papers(shapes_data: Dataset) -> None:
    """-1/N sum_i 1/K sum_y log F^y(g(X_i|y)), one copy at a time."""
    rotation = task(shapes_data)
    rotation.module.eval()  # batch norm would tie the copies of a batch together
    batch = next(ordered_batches(shapes_data.train, 6))
    total, correct = 0.0, {}
    with torch.no_grad():
        for position, image in enumerate(batch.images):
            over_copies = 0.0
            for y in range(4):
                copy = torch.from_numpy(turned(image.numpy(), y).copy())
                probabilities = rotation.module(copy[None])[0].softmax(0)
                over_copies += math.log(probabilities[y])
                correct[y, position] = bool(probabilities.argmax() == y)
            total += over_copies / 4
        for step in (rotation.step(batch), rotation.evaluate(batch)):
            assert step.loss.item() == pytest.approx(-total / 6, rel=1e-5)
            assert step.values["rotation_top1"].view(4, 6).tolist() == [[correct[y, i] for i in range(6)] for y in range(4)]
            assert step.targets.tolist() == [y for y in range(4) for _ in range(6)]
            assert step.inputs == 24


def test_guessing_is_one_in_k(shapes_data: Dataset) -> None:
    assert task(shapes_data).metrics["rotation_top1"].chance == 25.0
    assert task(shapes_data, angles=EIGHT).metrics["rotation_top1"].chance == 12.5


def test_answers_are_called_by_their_angle(shapes_data: Dataset) -> None:
    assert task(shapes_data, angles=(0, 22.5, -90)).target_names == ["0 degrees", "22.5 degrees", "-90 degrees"]


class Reader(torch.nn.Module):
    """In place of the network: keeps what it is shown, and reads the rotation off the corner that is lit."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images)
        # A quarter turn counter-clockwise takes the top left corner to the bottom left, then bottom right, top right.
        corners = images[:, 0, [0, -1, -1, 0], [0, 0, -1, -1]]
        return 20 * (corners > 0).float()

    def copies_seen(self) -> Counter[tuple[int, int]]:
        """(image, rotation) -> how often it was shown."""
        images = torch.cat(self.seen)
        names = images.amax(dim=(1, 2, 3)).tolist()
        return Counter(zip(names, self.forward(images).argmax(1).tolist(), strict=True))


def corner_split(count: int) -> Split:
    """Black images of 8 x 8 whose top left pixel is the image's number, from 1."""
    images = torch.zeros(count, 8, 8, 3, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(1, count + 1, dtype=torch.uint8)[:, None]
    return Split(images, torch.zeros(count, dtype=torch.int64))


def run_epoch(rotation: Rotation, number: int = 0, images: int = 24, batch_size: int = 8) -> tuple[Reader, list[Any]]:
    """An epoch as `train_stage` makes its batches."""
    reader = Reader()
    rotation.module = reader
    size = batch_size * rotation.batch_copies
    loader = Loader(corner_split(images), size, seed=0, augment="none", copies=rotation.copies)
    return reader, [rotation.step(batch) for batch in loader.epoch(number)]


@pytest.mark.parametrize("mode", ["all", "shuffled"])
def test_an_epoch_shows_every_image_in_every_rotation_once(mode: str, shapes_data: Dataset) -> None:
    reader, steps = run_epoch(task(shapes_data, copies=mode))
    assert reader.copies_seen() == {(image, y): 1 for image in range(1, 25) for y in range(4)}
    assert [step.inputs for step in steps] == [32, 32, 32]


@pytest.mark.parametrize("mode", MODES)
def test_labels_name_the_rotation_shown(mode: str, shapes_data: Dataset) -> None:
    _, steps = run_epoch(task(shapes_data, copies=mode))
    assert all(step.values["rotation_top1"].all() for step in steps)
    assert {int(target) for step in steps for target in step.targets} == {0, 1, 2, 3}
    assert all(step.loss.item() < 1e-6 for step in steps)


def test_shuffled_spreads_an_images_copies_over_batches(shapes_data: Dataset) -> None:
    reader, _ = run_epoch(task(shapes_data, copies="shuffled"))
    together, _ = run_epoch(task(shapes_data, copies="all"))

    def images_in(batch: torch.Tensor) -> int:
        return len(batch.amax(dim=(1, 2, 3)).unique())

    assert [images_in(batch) for batch in together.seen] == [8, 8, 8]
    assert all(images_in(batch) > 8 for batch in reader.seen)


@pytest.mark.parametrize("mode", ["one", "one-large-batch"])
def test_one_draws_the_rotation_of_every_sample(mode: str, shapes_data: Dataset) -> None:
    """An image is seen four times an epoch, in whatever rotations come: not once in each."""
    shown = []
    for epoch in (0, 1, 0):
        reader, _ = run_epoch(task(shapes_data, copies=mode), epoch)
        seen = reader.copies_seen()
        per_image = Counter[int]()
        for (image, _), count in seen.items():
            per_image[image] += count
        assert per_image == dict.fromkeys(range(1, 25), 4)
        assert {y for _, y in seen} == {0, 1, 2, 3}
        assert max(seen.values()) > 1
        shown.append(seen)
    assert shown[0] != shown[1]
    assert shown[0] == shown[2]


@pytest.mark.parametrize(
    ("mode", "batches"), [("all", [32] * 3), ("shuffled", [32] * 3), ("one", [8] * 12), ("one-large-batch", [32] * 3)]
)
def test_every_mode_has_the_same_gradient_samples_an_epoch(mode: str, batches: list[int], shapes_data: Dataset) -> None:
    """24 images, 8 a batch, 4 rotations."""
    reader, steps = run_epoch(task(shapes_data, copies=mode))
    assert [step.inputs for step in steps] == batches
    assert reader.copies_seen().total() == 96


@pytest.mark.parametrize("mode", MODES)
def test_testing_takes_all_copies_however_training_spreads_them(mode: str, shapes_data: Dataset) -> None:
    rotation = task(shapes_data, copies=mode)
    rotation.module = Reader()
    step = rotation.evaluate(next(ordered_batches(corner_split(5), 5)))
    assert step.values["rotation_top1"].tolist() == [True] * 20
    assert rotation.module.copies_seen() == {(image, y): 1 for image in range(1, 6) for y in range(4)}


def test_the_copies_of_an_image_share_its_crop_and_flip(shapes_data: Dataset) -> None:
    rotation = task(shapes_data)
    reader = Reader()
    rotation.module = reader
    batch = next(Loader(shapes_data.train, 16, seed=0, augment="pad-crop").epoch(0))
    rotation.step(batch)
    copies = reader.seen[0].numpy().reshape(4, 16, 3, 32, 32)
    for y in range(4):
        np.testing.assert_array_equal(turned(copies[y], -y), batch.images.numpy())


@pytest.mark.parametrize("mode", MODES)
def test_a_run_of_every_mode_trains_on_as_many_inputs(mode: str, pretrained: Callable[..., RunDirectory]) -> None:
    record = pretrained(task_options={"copies": mode}, batch_size=20).result().training
    assert record
    assert record.inputs == 40 * 4


@pytest.mark.parametrize("mode", MODES)
def test_training_can_crop_right_angles_as_if_for_eighths(mode: str, shapes_data: Dataset) -> None:
    rotation = task(shapes_data, copies=mode, crop_for=[45])
    shown: list[torch.Size] = []
    rotation.module.register_forward_pre_hook(lambda module, images: shown.append(images[0].shape[-2:]))
    batch = next(Loader(shapes_data.train, 8, seed=0, augment="none", copies=rotation.copies).epoch(0))
    rotation.step(batch)
    rotation.evaluate(next(ordered_batches(shapes_data.test, 8)))
    assert shown == [(22, 22)] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"angles": [0, 90, 0]}, "0 degrees occurs twice"),
        ({"angles": [90, 180, 450]}, r"450 degrees occurs twice \(modulo 360\)"),
        ({"angles": [0, -90, 270]}, "270 degrees occurs twice"),
        ({"angles": [90]}, "at least two rotations"),
        ({"angles": []}, "at least two rotations"),
        ({"copies": "some"}, "'all', 'shuffled', 'one' or 'one-large-batch'"),
        ({"crop_for": [math.nan]}, "finite"),
        ({"gamma": 0}, "greater than 0"),
        ({"pu_after": -0.1}, "greater than or equal to 0"),
        ({"pu_after": 1}, "less than 1"),
        ({"angles": [0, math.nan]}, "finite"),
        ({"angles": [0, math.inf]}, "finite"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Rotation.Options(**options)


# --- With weights ---


def plausibility(angles: tuple[float, ...] = RIGHT_ANGLES) -> Plausibility:
    """Any probabilities of the 40 images of `shapes_data`."""
    with seeded(1):
        return Plausibility(torch.rand(40, len(angles)), angles, IMAGES)


@pytest.mark.parametrize("gamma", [2.0, 0.5])
@pytest.mark.parametrize("mode", MODES)
def test_copies_that_pass_for_upright_weigh_less(mode: str, gamma: float, shapes_data: Dataset) -> None:
    """L = 1/n sum w CE with w = 1 upright, 1 - p^gamma else, one copy at a time; upright is label 1 here."""
    angles = (90, 0, 180, 270)
    rotation, table = task(shapes_data, angles=angles, copies=mode, gamma=gamma), plausibility(angles)
    rotation.weigh_copies(table, "a run", IMAGES)
    rotation.module.eval()
    shown: list[torch.Tensor] = []
    rotation.module.register_forward_pre_hook(lambda module, images: shown.append(images[0]))
    batch = next(Loader(shapes_data.train, 8, seed=0, augment="none", copies=rotation.copies).epoch(0))
    step = rotation.step(batch)
    total, weights = 0.0, []
    with torch.no_grad():
        for position, (image, label) in enumerate(zip(shown[0], step.targets.tolist(), strict=True)):
            upright = turned(image.numpy(), -angles[label] // 90)
            place = int(batch.index[position % len(batch)])
            np.testing.assert_array_equal(upright, shapes_data.train.images[place].permute(2, 0, 1).numpy())
            weights.append(1.0 if label == 1 else 1 - float(table.p[place, label]) ** gamma)
            total -= weights[-1] * math.log(rotation.module(image[None])[0].softmax(0)[label])
    assert step.loss.item() == pytest.approx(total / step.inputs, rel=1e-4)
    assert max(w for w in weights if w != 1) - min(weights) > 0.1  # so that the weights tell


def test_testing_weighs_every_copy_alike(shapes_data: Dataset) -> None:
    batch = next(ordered_batches(shapes_data.test, 8))
    weighted, alone = task(shapes_data), task(shapes_data)
    weighted.module.load_state_dict(alone.module.state_dict())
    weighted.weigh_copies(plausibility(), "a run", IMAGES)
    for rotation in (weighted, alone):
        rotation.module.eval()
    assert weighted.evaluate(batch).loss.item() == alone.evaluate(batch).loss.item()
    assert weighted.step(batch).loss.item() < alone.step(batch).loss.item()


def test_weights_are_neither_trained_nor_saved(shapes_data: Dataset) -> None:
    rotation = task(shapes_data)
    names = set(rotation.module.state_dict())
    rotation.weigh_copies(plausibility(), "a run", IMAGES)
    assert set(rotation.module.state_dict()) == names
    (weights,) = rotation.references
    assert not list(weights.parameters())


@pytest.mark.parametrize(
    ("after", "epochs", "weighted"),
    [
        (0.0, 3, [0, 1, 2]),
        (0.5, 4, [2, 3]),
        (6 / 7, 245, list(range(210, 245))),  # the authors': the last 35 of 245
        (6 / 7, 5, [4]),
        (0.99, 3, [2]),  # in the last at least
        (6 / 7, 1, [0]),
    ],
)
def test_weights_count_after_a_share_of_the_epochs(
    after: float, epochs: int, weighted: list[int], shapes_data: Dataset
) -> None:
    rotation, alone = task(shapes_data, pu_after=after), task(shapes_data)
    rotation.weigh_copies(plausibility(), "a run", IMAGES)
    batch = next(ordered_batches(shapes_data.train, 4))
    alone.module.load_state_dict(rotation.module.state_dict())
    for both in (rotation, alone):
        both.module.eval()
    plain = alone.step(batch).loss.item()
    found = []
    for epoch in (*range(min(2, epochs)), *range(max(0, epochs - 40), epochs)):
        rotation.before_epoch(toys.epoch(epoch, epochs))
        if rotation.step(batch).loss.item() < plain:
            found.append(epoch)
    assert sorted(set(found)) == weighted
