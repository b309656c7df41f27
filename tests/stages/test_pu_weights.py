"""The probabilities behind positive-unlabelled weights: each from the network that had not seen the image, by plain loops."""

import dataclasses
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.folds import folds
from rotnet_lib.data.loader import Batch
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.directory import METRICS, MODEL, PARAMETERS, PU, RunDirectory, directory_of
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.pu_weights import PuOutcome, PuWeightsConfig, weigh_copies
from rotnet_lib.suites.resolve import configure
from rotnet_lib.training.checkpoints import load_network, load_tensors, save_tensors
from tests.results import finish, forget_checksums

Pretrained = Callable[..., RunDirectory]


def weigh(**parameters: Any) -> PuOutcome:
    return weigh_copies(PuWeightsConfig.build({"device": "cpu"} | parameters))


def upright_by_loop(
    network: Network, image: torch.Tensor, upright: int = 0, turns: tuple[int, ...] = (0, 1, 2, 3)
) -> list[float]:
    """p(upright) of each copy of an image (S, S, 3), one at a time."""
    found = []
    for quarters in turns:
        copy = np.rot90(image.permute(2, 0, 1).numpy(), quarters, axes=(1, 2)).copy()
        with torch.no_grad():
            found.append(network(torch.from_numpy(copy)[None])[0].softmax(0)[upright].item())
    return found


# --- Who scores which images ---


def test_each_image_is_scored_by_the_network_that_was_trained_without_it(
    tiny: dict[str, Any], shapes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, shown = Rotation.step, set[bytes]()

    def noted(self: Rotation, batch: Batch) -> Any:
        shown.update(image.permute(1, 2, 0).contiguous().numpy().tobytes() for image in batch.images)
        return step(self, batch)

    monkeypatch.setattr(Rotation, "step", noted)
    networks, seen = [], []
    for fold in ("1/3", "2/3", "3/3"):
        shown.clear()
        # At a rate as high as this a tiny network's answers differ from one to the other.
        parameters = {"arch": "nin3", "fold": fold, "augment": "none", "batch_size": 2, "epochs": 2, "lr": 0.3}
        trained = pretrain(PretrainConfig.build(tiny | parameters))
        trained.save()
        networks.append(load_network(trained.directory.path / MODEL, 32))
        seen.append(set(shown))
    found = weigh()
    assert found.result.parameters["others"] is not None
    own = folds(40, 3)
    differ = 0.0
    for place, image in enumerate(shapes_data.train.images):
        scorer = own[place]
        assert image.numpy().tobytes() not in seen[scorer]
        assert all(image.numpy().tobytes() in seen[other] for other in range(3) if other != scorer)
        expected = upright_by_loop(networks[scorer], image)
        assert found.plausibility.p[place].tolist() == pytest.approx(expected, abs=1e-5)
        differ += abs(upright_by_loop(networks[(scorer + 1) % 3], image)[1] - expected[1])
    assert differ / 40 > 1e-3  # or it would not matter who scores
    assert "3 RotNets scored the images, each those that it was trained without" in found.note


def test_one_rotnet_scores_all_and_it_is_said_that_it_knows_them(pretrained: Pretrained, shapes_data: Dataset) -> None:
    run = pretrained()
    found = weigh()
    network = load_network(run.path / MODEL, 32)
    for place in (0, 17, 39):
        assert found.plausibility.p[place].tolist() == pytest.approx(
            upright_by_loop(network, shapes_data.train.images[place]), 1e-4
        )
    assert found.result.parameters["others"] is None
    assert "It was trained on them, so p is in sample" in found.note


def test_other_images_are_new_to_a_rotnet(pretrained: Pretrained) -> None:
    asked = {"backbone": pretrained().name, "train_size": 20, "test_size": 10}
    assert "It was trained on others (shapes), so p is out of sample" in weigh(**asked, dataset="shapes:1").note
    assert "It was trained on images of the same set, so p is in sample" in weigh(**asked, dataset="shapes").note


def test_an_earlier_checkpoint_is_asked_of_every_fold(pretrained: Pretrained, shapes_data: Dataset) -> None:
    runs = [pretrained(fold=fold, epochs=2, checkpoints=[0.5], batch_size=2) for fold in ("1/2", "2/2")]
    found = weigh(checkpoint=0.5)
    for place in (0, 1, 2, 39):
        network = load_network(runs[folds(40, 2)[place]].path / "model-epoch1.safetensors", 32)
        expected = upright_by_loop(network, shapes_data.train.images[place])
        assert found.plausibility.p[place].tolist() == pytest.approx(expected, abs=1e-5)
    assert "at-0.5" in found.directory.name


# --- Figures ---


def test_the_figures_are_those_of_the_copies(pretrained: Pretrained, shapes_data: Dataset) -> None:
    """At angles of which the second is upright."""
    run = pretrained(task_options={"angles": [90, 360, 180]}, batch_size=2, lr=0.3)
    found = weigh()
    network = load_network(run.path / MODEL, 32)
    p: list[float] = []
    right, by_class = [0, 0, 0], dict[str, list[float]]()
    for image, label in zip(shapes_data.train.images, shapes_data.train.labels.tolist(), strict=True):
        copies = rotate_all(image.permute(2, 0, 1)[None], (90, 360, 180))
        with torch.no_grad():
            answers = [network(copy[None])[0].softmax(0) for copy in copies]
        right = [hits + int(answer.argmax() == true) for true, (hits, answer) in enumerate(zip(right, answers, strict=True))]
        turned = [answers[0][1].item(), answers[2][1].item()]
        p += turned
        by_class.setdefault(shapes_data.classes[label], []).extend(turned)
    metrics = found.result.metrics
    assert list(metrics) == ["plausible", "upright", "rotation_top1"]  # what the run is for is its headline
    assert metrics["rotation_top1"].chance == pytest.approx(100 / 3)
    assert metrics["rotation_top1"].last == pytest.approx(100 * sum(right) / 120)
    assert metrics["upright"].last == pytest.approx(100 * np.mean(p), rel=1e-4)
    assert metrics["plausible"].last == pytest.approx(100 * np.mean([one > 0.5 for one in p]))
    assert {value.images for value in metrics.values()} == {None}  # the network was trained on these images
    targets = found.result.by_target
    assert targets["upright"] == pytest.approx({name: 100 * np.mean(own) for name, own in by_class.items()}, rel=1e-4)
    names = ("90 degrees", "360 degrees", "180 degrees")
    assert targets["rotation_top1"] == pytest.approx({n: 100 * hits / 40 for n, hits in zip(names, right, strict=True)})
    assert list(found.rotated) == [90, 180]
    assert found.rotated[180] == pytest.approx(p[1::2], rel=1e-4)


def test_the_most_plausible_copies_are_as_the_network_saw_them(pretrained: Pretrained, shapes_data: Dataset) -> None:
    pretrained(task_options={"angles": [180, 0, 90], "crop_for": [45]})
    found = weigh(shown=5)
    p = found.plausibility.p
    rotated = sorted(p[:, [0, 2]].flatten().tolist(), reverse=True)
    assert [copy.p for copy in found.copies] == rotated[:5]
    for copy in found.copies:
        label = (180, 0, 90).index(int(copy.angle))
        assert p[copy.index, label].item() == copy.p
        image = shapes_data.train.images[copy.index].permute(2, 0, 1)[None]
        expected = rotate_all(image, [copy.angle], (45,))[0].permute(1, 2, 0)
        assert copy.pixels.shape == (22, 22, 3)
        assert (copy.pixels == expected.numpy()).all()
        assert copy.name == shapes_data.classes[shapes_data.train.labels[copy.index]]


# --- The run ---


def test_the_file_is_there_before_the_run_is_finished(pretrained: Pretrained) -> None:
    pretrained()
    first = weigh()
    assert not first.directory.finished
    written = (first.directory.path / PU).stat().st_mtime_ns
    assert torch.equal(Plausibility.load(first.directory.path / PU).p, first.plausibility.p)
    first.save()
    again = weigh()
    assert again.result == first.result
    assert torch.equal(again.plausibility.p, first.plausibility.p)
    assert [dataclasses.replace(copy, pixels=0) for copy in again.copies] == [  # type: ignore[arg-type]
        dataclasses.replace(copy, pixels=0)  # type: ignore[arg-type]
        for copy in first.copies
    ]
    assert (first.directory.path / PU).stat().st_mtime_ns == written


def test_a_pretrain_run_takes_them(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    """Of a tiny network p is about a quarter, so a copy weighs about 1 - 1/16."""
    pretrained(fold="1/2", batch_size=2)
    pretrained(fold="2/2", batch_size=2)
    made = weigh()
    made.save()
    losses = [
        pretrain(PretrainConfig.build(tiny | {"arch": "nin4"} | more)).history["train_loss"][0]
        for more in ({}, {"pu_weights": made.directory.name})
    ]
    assert losses[1] < losses[0]


def test_images_that_cannot_be_read_pass_for_nothing(tmp_path: Path, tiny: dict[str, Any]) -> None:
    """Streamed they keep their places."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for number in range(count):
            folder = tmp_path / "photos" / split / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.jpg")
    (tmp_path / "photos" / "train" / "a" / "4.jpg").write_bytes(b"no image")
    data = {"dataset": f"imagefolder:{tmp_path / 'photos'}", "stream": True, "max_damaged": 0.5, "workers": 0}
    sizes = {"train_size": None, "test_size": None}
    for fold in ("1/2", "2/2"):
        pretrain(PretrainConfig.build(tiny | data | sizes | {"arch": "nin3", "fold": fold, "batch_size": 4})).save()
    found = weigh(max_damaged=0.5, workers=0)
    # a/0, a/10, a/2, a/4: files stand sorted by name, so it is the fourth.
    assert found.plausibility.known.tolist() == [place != 3 for place in range(12)]
    assert found.plausibility.p[3].tolist() == [0, 0, 0, 0]
    assert found.result.data.damaged == ["train/a/4.jpg"]
    assert all(len(p) == 11 for p in found.rotated.values())
    metrics = found.result.metrics
    assert {name: value.images for name, value in metrics.items()} == {"rotation_top1": 11, "upright": None, "plausible": None}
    assert metrics["rotation_top1"].target_images == dict.fromkeys(found.result.by_target["rotation_top1"], 11)
    assert 3 not in {copy.index for copy in found.copies}
    assert len(weigh(max_damaged=0.5, workers=0, shown=60).copies) == 33
    assert "33 rotated copies of 11 images" in found.meaning


# --- Finding the other folds ---


def test_the_other_folds_are_found_by_their_parameters(pretrained: Pretrained) -> None:
    runs = {fold: pretrained(fold=fold) for fold in ("1/3", "2/3", "3/3")}
    pretrained(fold="2/3", seed=1)
    pretrained(fold="1/2")
    pretrained()
    config = PuWeightsConfig.build({"backbone": runs["2/3"].name})
    assert set(config.others or ()) == {runs["1/3"].name, runs["3/3"].name}
    assert "pu-nin3-3-folds" in config.slug
    for spelled in (f"{runs['3/3'].name}, runs/{runs['1/3'].name}", [runs["1/3"].name, runs["3/3"].name]):
        assert PuWeightsConfig.build({"backbone": f"runs/{runs['2/3'].name}", "others": spelled}) == config


def test_a_fold_from_before_a_parameter_came_is_found_beside_one_of_today(pretrained: Pretrained) -> None:
    """Its parameters lack `init`, with which the other one has what all runs had before."""
    one, two = (pretrained(fold=fold) for fold in ("1/2", "2/2"))
    forget_checksums(one)
    for file in (METRICS, PARAMETERS):
        document = yaml.safe_load((one.path / file).read_text())
        del document.get("parameters", document)["init"]
        (one.path / file).write_text(json.dumps(document))
    assert PuWeightsConfig.build({"backbone": two.name}).others == (one.name,)
    assert PuWeightsConfig.build({"backbone": one.name}).others == (two.name,)


def test_runs_in_another_folder_have_their_other_folds_there(pretrained: Pretrained, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    one, two = (pretrained(fold=fold, runs=elsewhere) for fold in ("1/2", "2/2"))
    pretrained(fold="2/2")
    found = weigh(backbone=str(one.path))
    assert found.result.parameters["others"] == [str(two.path)]
    assert found.directory.path.parent == tmp_path / "runs"


def test_what_is_missing_comes_with_the_line_that_makes_it(pretrained: Pretrained) -> None:
    run = pretrained(fold="2/3", epochs=2, lr_milestones=[0.5], task_options={"angles": [0, 180]})
    unfinished = pretrained(fold="3/3", epochs=2, lr_milestones=[0.5], task_options={"angles": [0, 180]})
    (unfinished.path / METRICS).unlink()
    with pytest.raises(RotnetError, match=rf"run {run.name} left out fold 2/3.*left out fold 1/3, 3/3") as error:
        PuWeightsConfig.build({"backbone": run.name})
    lines = [part for part in str(error.value).split("`") if part.startswith("rotnet run pretrain ")]
    assert len(lines) == 2
    words = shlex.split(lines[0])[3:]
    assert words[:2] == ["--preset", "none"]  # by another preset it would be another training
    words = words[2:]
    told = {name: yaml.safe_load(value) for flag, name, value in zip(*[iter(words)] * 3, strict=True) if flag == "-p"}
    assert told["fold"] == "1/3"
    assert not {"device", "lr", "seed"} & told.keys()  # what is the protocol's, or only where it runs
    made = configure("pretrain", told, "none")
    assert made.hashed_parameters() == PretrainConfig.build(run.parameters()).hashed_parameters() | {"fold": "1/3"}


def test_a_backbone_that_is_not_there_yet_leaves_others_open() -> None:
    """A suite names runs before they are made."""
    run = {"backbone": "some-run", "arch": "nin4", "width": 1.0, "dataset": "shapes"}
    assert PuWeightsConfig.build(run).others is None
    assert PuWeightsConfig.build(run | {"others": ["b", "a"]}).others == ("a", "b")


# --- What cannot be asked ---


def error_of(**parameters: Any) -> str:
    with pytest.raises(RotnetError) as caught:
        weigh(**parameters)
    return str(caught.value)


@pytest.mark.parametrize("backbone", UNTRAINED)
def test_a_random_backbone_is_refused(backbone: str) -> None:
    assert "a random one has learned no rotations" in error_of(backbone=backbone)


def test_no_rotnet_at_all() -> None:
    assert "no finished pretext run in 'runs' has what it takes (0 finished runs" in error_of()


@pytest.mark.parametrize("fold", [None, "1/2"])
def test_a_supervised_run_knows_no_upright(fold: str | None, pretrained: Pretrained) -> None:
    """It is not asked to be trained with the other folds first."""
    run = pretrained(task="labels", fold=fold)
    message = error_of(backbone=run.name)
    assert (
        f"run {run.name} is of task labels, and only one that predicts rotations can say which copies look upright" in message
    )


@pytest.mark.parametrize("fold", [None, "1/2"])
def test_a_rotnet_that_never_saw_an_upright_image(fold: str | None, pretrained: Pretrained) -> None:
    pretrained(task_options={"angles": [90, 180]}, fold=fold)
    assert "never saw an upright copy (its angles are [90.0, 180.0])" in error_of()
    assert not list(Path("runs").glob("pu-*"))


def test_others_of_another_training(pretrained: Pretrained) -> None:
    one, two = pretrained(fold="1/2"), pretrained(fold="2/2", seed=1, epochs=2)
    message = error_of(backbone=one.name, others=[two.name])
    assert f"run {two.name} is not the same training as the backbone's, {one.name}: they differ in seed, epochs" in message


def test_others_must_be_the_other_folds(pretrained: Pretrained) -> None:
    one, two, whole = pretrained(fold="1/3"), pretrained(fold="2/3"), pretrained()
    expected = "left out the folds 1/3, 2/3; it takes one run for each of 1/3, 2/3, 3/3"
    assert expected in error_of(backbone=one.name, others=[two.name])
    assert "left out the folds 1/3, None" in error_of(backbone=one.name, others=[whole.name])
    assert "left out the folds 1/3, 1/3" in error_of(backbone=one.name, others=[one.name])
    assert "left no fold out, so it answers for all images alone" in error_of(backbone=whole.name, others=[one.name])
    assert not list(Path("runs").glob("pu-*"))


def test_others_that_are_not_there(pretrained: Pretrained) -> None:
    one, two = pretrained(fold="1/2"), pretrained(fold="2/2")
    for checkpoint in (None, 0.5):
        message = error_of(backbone=one.name, others=[two.name[:-2]], checkpoint=checkpoint)
        assert f"unknown run in others '{two.name[:-2]}'; did you mean '{two.name}'?" in message


def test_a_fold_that_is_not_finished(pretrained: Pretrained) -> None:
    one, two = pretrained(fold="1/2"), pretrained(fold="2/2")
    (two.path / METRICS).unlink()
    assert f"{two.name} is not finished: it has no metrics.json. Run it again" in error_of(backbone=one.name, others=[two.name])
    (two.path / MODEL).unlink()
    assert f"{two.name} is not finished: it has no metrics.json. Run it again" in error_of(backbone=one.name, others=[two.name])


def test_the_same_images_by_other_words_fit_folds(pretrained: Pretrained) -> None:
    """Such as the size that a set has by itself."""
    one, two = pretrained(fold="1/2"), pretrained(fold="2/2")
    found = weigh(backbone=one.name, image_size=32)
    assert found.result.parameters["others"] == [two.name]
    found.directory.close()
    message = error_of(backbone=one.name, image_size=16)
    assert "left out a fold of other images (image_size 32 there, 16 here)" in message


def test_folds_of_other_images(pretrained: Pretrained) -> None:
    pretrained(fold="1/2")
    pretrained(fold="2/2")
    message = error_of(dataset="shapes", train_size=20, test_size=20)
    assert "left out a fold of other images (train_size 40 there, 20 here)" in message
    assert "scored by a RotNet that was trained without a fold" in message


def test_data_that_changed_since_the_folds_were_left_out(pretrained: Pretrained) -> None:
    one = pretrained(fold="1/2")
    pretrained(fold="2/2")
    other = of_other_data(one)
    assert f"the data (shapes) has changed since run {other.name} left out a fold" in error_of()


def of_other_data(run: RunDirectory) -> RunDirectory:
    """The run as if its data had been other data: it has another name then."""
    config, result = PretrainConfig.build(run.parameters()), run.result()
    other = directory_of(config, "0123")
    finish(other, config, "0123", data=result.data.model_copy(update={"fingerprint": "0123"}))
    save_tensors(other.path / MODEL, *load_tensors(run.path / MODEL), run=other.name)
    shutil.rmtree(run.path)
    return other


def test_a_checkpoint_of_another_arch(pretrained: Pretrained) -> None:
    run = pretrained()
    message = error_of(backbone=run.name, arch="nin4", width=0.05, dataset="shapes", train_size=40, test_size=20)
    assert f"{MODEL} holds a nin3 of width 0.05, but arch=nin4" in message
