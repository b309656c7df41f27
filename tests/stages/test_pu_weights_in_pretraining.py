"""Pretraining with positive-unlabelled weights, and with a part of the images left out, from end to end."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.folds import folds
from rotnet_lib.data.loader import Batch
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.pu import Plausibility, PuWeights, choice_of
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.directory import PU
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.train import load_data
from tests.training.weights import killed, same_weights

Build = Callable[..., PretrainConfig]
RIGHT_ANGLES = (0.0, 90.0, 180.0, 270.0)


@pytest.fixture
def weights_run(build: Build, shapes_data: Dataset) -> Callable[..., Path]:
    """Leaves the file of a pu_weights run of that name, on the images of `build`: random p, or one and the same."""

    def leave(name: str = "pu", p: float | None = None, angles: tuple[float, ...] = RIGHT_ANGLES, **images: Any) -> Path:
        with seeded(0):
            table = torch.rand(40, len(angles)) if p is None else torch.full((40, len(angles)), p)
        path = Path("runs") / name / PU
        Plausibility(table, angles, choice_of(build().data, shapes_data) | images).save(path)
        return path

    return leave


# --- Weights ---


def test_weights_change_what_is_learnt(build: Build, weights_run: Callable[..., Path]) -> None:
    weights_run()
    alone, weighted = pretrain(build()), pretrain(build(pu_weights="pu"))
    assert weighted.directory.name != alone.directory.name
    assert not same_weights(weighted.directory, alone.directory)
    assert weighted.history["train_loss"][0] < alone.history["train_loss"][0]  # the weights are at most 1
    assert weighted.result.training
    assert weighted.result.training.parameters == alone.result.training.parameters


def test_copies_that_never_pass_for_upright_all_count(build: Build, weights_run: Callable[..., Path]) -> None:
    weights_run(p=0.0)
    assert same_weights(pretrain(build()).directory, pretrain(build(pu_weights="pu")).directory)


def test_a_batch_is_weighed_by_the_rows_of_its_own_images(
    build: Build, weights_run: Callable[..., Path], shapes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, step, shown = weights_run(), Rotation.step, []

    def noted(self: Rotation, batch: Batch) -> Any:
        shown.append(batch)
        return step(self, batch)

    monkeypatch.setattr(Rotation, "step", noted)
    asked: list[tuple[list[int], list[int]]] = []
    forward = PuWeights.forward

    def looked_up(self: PuWeights, index: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        asked.append((index.tolist(), labels.tolist()))
        return forward(self, index, labels)

    monkeypatch.setattr(PuWeights, "forward", looked_up)
    pretrain(build(pu_weights="pu", augment="none"))
    assert path.exists()
    for batch, (index, labels) in zip(shown, asked, strict=True):
        for place, image in zip(batch.index.tolist(), batch.images, strict=True):
            assert torch.equal(image.permute(1, 2, 0), shapes_data.train.images[place])
        assert index == batch.index.tolist() * 4
        assert labels == [label for label in range(4) for _ in range(len(batch))]


def test_they_count_after_a_share_of_the_epochs(build: Build, weights_run: Callable[..., Path]) -> None:
    """Before, it is the same run; with one epoch, they count in that."""
    weights_run()
    late = {"pu_weights": "pu", "task_options": {"pu_after": 0.6}}
    alone, weighted = (pretrain(build(epochs=3, lr_milestones=[], **more)).history["train_loss"] for more in ({}, late))
    assert weighted[:2].tolist() == alone[:2].tolist()
    assert weighted[2] < alone[2]
    assert not same_weights(pretrain(build()).directory, pretrain(build(**late)).directory)


@pytest.mark.parametrize("spelled", ["pu", "runs/pu", f"runs/pu/{PU}"])
def test_a_run_of_weights_is_given_by_name_folder_or_file(spelled: str, build: Build, weights_run: Callable[..., Path]) -> None:
    weights_run()
    named = pretrain(build(pu_weights="pu"))
    assert named.history["train_loss"].tolist() == pretrain(build(pu_weights=spelled)).history["train_loss"].tolist()
    assert build(pu_weights="runs/pu") == build(pu_weights="pu")


@pytest.mark.parametrize("killed_at", [2, 4, 6])
def test_a_weighted_run_that_was_killed_ends_as_one_that_was_not(
    killed_at: int, build: Build, weights_run: Callable[..., Path]
) -> None:
    """Bit for bit, wherever it was killed: in two batches an epoch, the weights count in the last of three epochs."""
    weights = str(weights_run().parent.absolute())
    parameters = {"epochs": 3, "pu_weights": weights, "task_options": {"pu_after": 0.6}}
    whole = pretrain(build(**parameters, runs="whole"))
    with killed(Rotation, killed_at):
        pretrain(build(**parameters, runs="killed"))
    resumed = pretrain(build(**parameters, runs="killed"))
    assert same_weights(whole.directory, resumed.directory)
    assert resumed.history["train_loss"].tolist() == whole.history["train_loss"].tolist()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pu_weights": ""}, "pu_weights: String should have at least 1 character.*pu_weights run that down-weights copies"),
        ({"task": "labels"}, r"pu_weights: task 'labels' has no rotated copies.*rotation, decoupling, rotation-instance"),
        ({"labels_per_class": 2}, "labels_per_class: not together with pu_weights"),
        ({"fold": "1/2"}, "fold: not together with pu_weights"),
        ({"task_options": {"angles": [0, 180]}}, r"angles of run pu are \[0\.0, 90\.0.*this run's are \[0\.0, 180\.0\]"),
        ({"train_size": 30}, r"run pu is of other images \(train_size 40 there, 30 here\).*`rotnet run pu_weights`"),
        ({"grey": True}, "grey False there, True here"),
        ({"dataset": "shapes:1"}, "dataset shapes there, shapes:1 here"),
        ({"image_size": 16}, "image_size 32 there, 16 here"),
    ],
)
def test_weights_of_no_use_are_said(
    parameters: dict[str, Any], message: str, build: Build, weights_run: Callable[..., Path]
) -> None:
    weights_run()
    with pytest.raises(RotnetError, match=message):
        pretrain(build(**{"pu_weights": "pu"} | parameters))


def test_data_that_changed_since_is_said(build: Build, weights_run: Callable[..., Path]) -> None:
    weights_run(fingerprint="0123")
    with pytest.raises(RotnetError, match=r"the data \(shapes\) has changed since run pu was made"):
        pretrain(build(pu_weights="pu"))


def test_a_run_without_weights_is_said_with_those_that_have_some(build: Build, weights_run: Callable[..., Path]) -> None:
    pretrain(build()).save()
    weights_run("pu-nin3").parent.joinpath("parameters.yaml").write_text("{}")
    with pytest.raises(RotnetError, match=r"unknown pu_weights run 'pu-nin4'; did you mean 'pu-nin3'\?.*rotnet run pu_weights"):
        pretrain(build(pu_weights="pu-nin4"))
    with pytest.raises(RotnetError, match=r"Allowed: pu-nin3\. One is made"):
        pretrain(build(pu_weights=pretrain(build()).directory.name))


def test_a_run_that_has_no_weights_yet_is_not_unknown(build: Build, weights_run: Callable[..., Path]) -> None:
    path = weights_run()
    path.unlink()
    path.with_name("parameters.yaml").write_text("{}")
    with pytest.raises(RotnetError, match=r"run pu is not finished: it has no pu\.safetensors yet.*`rotnet run pu_weights`"):
        pretrain(build(pu_weights="pu"))


def test_an_image_that_could_not_be_read_leaves_no_row_of_another(build: Build, tmp_path: Path) -> None:
    """In memory the images behind it move up. Mended since, it is there again."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "photos" / split / "a").mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / split / "a" / f"{number}.jpg")
    config = build(dataset=f"imagefolder:{tmp_path / 'photos'}", train_size=None, test_size=None, batch_size=2)
    data = load_data(config)
    Plausibility(torch.zeros(5, 4), RIGHT_ANGLES, choice_of(config.data, data)).save(tmp_path / "runs" / "pu" / PU)
    with pytest.raises(RotnetError, match=r"run pu is of 5 images, and here 6 could be read"):
        pretrain(PretrainConfig.build(config.model_dump() | {"pu_weights": "pu"}))


# --- Folds ---


def test_the_fold_left_out_is_never_trained_on(build: Build, shapes_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """And every other image is, once an epoch."""
    left_out = np.flatnonzero(folds(40, 2) == 1)
    shown: list[bytes] = []
    step = Rotation.step

    def noted(self: Rotation, batch: Batch) -> Any:
        shown.extend(image.permute(1, 2, 0).contiguous().numpy().tobytes() for image in batch.images)
        return step(self, batch)

    monkeypatch.setattr(Rotation, "step", noted)
    outcome = pretrain(build(fold="2/2", batch_size=10, epochs=2, augment="none", lr=0.0))
    images = {image.numpy().tobytes(): place for place, image in enumerate(shapes_data.train.images)}
    places = [images[image] for image in shown]
    rest = sorted(set(range(40)) - set(left_out.tolist()))
    assert sorted(places[:20]) == sorted(places[20:]) == rest
    assert outcome.result.data.train_images == 20
    assert "fold-2-2" in outcome.directory.name


def test_folds_of_too_few_images_are_said(build: Build) -> None:
    with pytest.raises(RotnetError, match=r"fold: 21 parts of 40 training images.*at most 20 parts"):
        pretrain(build(fold="1/21"))


def test_few_labels_have_no_folds(build: Build) -> None:
    with pytest.raises(RotnetError, match="labels_per_class: not together with fold"):
        build(task="labels", labels_per_class=2, fold="1/2")


def test_what_a_table_is_of_is_what_chose_the_images(build: Build, shapes_data: Dataset) -> None:
    first = choice_of(build().data, shapes_data)
    assert first == choice_of(build(seed=1, epochs=3, arch="nin4", test_size=10, image_size=32).data, shapes_data)
    for other in (build(train_size=30), build(grey=True), build(stream=True), build(shrink=64)):
        assert choice_of(other.data, shapes_data) != first
    assert choice_of(build().data, dataclasses.replace(shapes_data, fingerprint="0123")) != first
