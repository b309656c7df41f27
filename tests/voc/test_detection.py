"""The detection stage: its config, its samples, its predictions, and that it learns."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rotnet_lib.data.voc.proposals import find_proposals
from rotnet_lib.data.voc.sets import VocSet, open_voc
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.voc.detection import DetectionTask, evaluate_detection, flip, resize
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.detection_scores import DETECTIONS, PROPOSALS
from rotnet_lib.voc.stages import detect

QUICK: dict[str, Any] = {
    "dataset": "scenes:96",
    "backbone": "random-rescaled",
    "width": 0.05,
    "train_size": 4,
    "test_size": 4,
    "train_scales": (96, 128),
    "test_scale": 128,
    "rois": 16,
    "iterations": 3,
    "engine": "torchvision",
    "device": "cpu",
    "workers": 0,
}


def config(**values: Any) -> DetectionConfig:
    return DetectionConfig.build(QUICK | values)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _draw_and_search_once(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTNET_CACHE", str(shared_cache))


def task_of(made: DetectionConfig) -> DetectionTask:
    torch.manual_seed(0)
    backbone = make_backbone("alexnet", width=0.05, mean=(128,) * 3, std=(60,) * 3)
    return DetectionTask(fold(backbone.eval()), made, made.open_data())


def test_the_defaults_are_fast_rcnns():
    made = DetectionConfig.build({"backbone": "random", "engine": "torchvision"})
    assert (made.dataset, made.iterations, made.batch_size, made.rois) == ("voc2007", 200_000, 2, 64)
    assert (made.lr, made.lr_milestones, made.lr_decay) == (0.001, (0.4, 0.8), 0.1)
    assert (made.momentum, made.weight_decay, made.dropout) == (0.9, 0.0005, 0.5)
    assert made.train_scales == (480, 576, 688, 864, 1200)
    assert made.test_scale == 600
    assert made.protocol_differences() == {}


def test_rpn_is_a_difference_from_the_protocol_and_in_the_name():
    made = config(proposals="rpn")
    assert made.protocol_differences()["proposals"] == ["selective-search", "rpn"]
    assert "rpn" in made.slug
    assert "rpn" not in config().slug


@pytest.mark.parametrize(("installed", "engine"), [(None, "torchvision"), (object(), "detectron2")])
def test_the_engine_is_what_is_installed(installed, engine, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: installed if name == "detectron2" else None)
    assert config(engine="protocol").engine == engine
    assert "engine" not in config(engine="protocol").protocol_differences()


@pytest.mark.parametrize(
    ("field", "allowed"),
    [("engine", "'torchvision' or 'detectron2'"), ("proposals", "'selective-search', 'selective-search-250' or 'rpn'")],
)
def test_an_unknown_engine_names_those_there_are(field, allowed):
    with pytest.raises(RotnetError, match=f"voc_detection: {field}: .*{allowed}"):
        config(**{field: "yolo"})


def test_an_image_with_only_difficult_objects_is_left_out_of_training(capsys, monkeypatch, tmp_path):
    mark_difficult(monkeypatch, tmp_path, 0)
    made = config()
    voc = made.open_data()
    assert len(voc.train) == 3
    assert len(voc.test) == 4
    assert "Skipped 1 of 4 training images: without objects, or with 'difficult' ones only." in capsys.readouterr().out
    samples = [task_of(made).sample(index, np.random.default_rng(0)) for index in range(3)]
    assert all(len(sample["boxes"]) for sample in samples)


def test_nothing_to_train_on_is_an_error(monkeypatch, tmp_path):
    mark_difficult(monkeypatch, tmp_path, 0, 1, 2, 3)
    with pytest.raises(RotnetError, match="no image of the trainval split has an object that is not difficult"):
        config().open_data()


def mark_difficult(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *indices: int) -> None:
    """Scenes of the test's own, those training images with difficult objects only."""
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path / "own"))
    voc = open_voc("scenes:96", "detection", 4, 4)
    for index in range(4):
        path = voc.train.annotation_path(index)
        new = "1" if index in indices else "0"
        path.write_text(path.read_text().replace(f"<difficult>{1 - int(new)}<", f"<difficult>{new}<"))


def test_resizing_scales_the_shorter_side_unless_the_longer_grows_too_long():
    image = np.zeros((60, 100, 3), np.uint8)
    resized, factors = resize(image, 120, 500)
    assert resized.shape == (120, 200, 3)
    assert factors.tolist() == [2, 2, 2, 2]
    resized, factors = resize(image, 120, 150)
    assert resized.shape == (90, 150, 3)
    assert factors == pytest.approx([1.5, 1.5, 1.5, 1.5])


def test_boxes_follow_the_image_when_it_is_flipped():
    image = np.zeros((40, 60), np.uint8)
    image[10:20, 5:25] = 1
    assert flip(np.array([[5, 10, 25, 20]]), 60).tolist() == [[35, 10, 55, 20]]
    assert image[:, ::-1][10:20, 35:55].all()


def test_a_sample_is_a_scaled_and_perhaps_flipped_image_with_its_boxes():
    task = task_of(config())
    plain, flipped = (task.sample(1, np.random.default_rng(seed)) for seed in seeds(0.5))
    objects = task.voc.train.objects(1)
    factors = np.array([plain["image"].shape[2 - axis % 2] / task.voc.train.image(1).shape[1 - axis % 2] for axis in range(4)])
    assert plain["image"].dtype == torch.uint8
    assert plain["boxes"].numpy() == pytest.approx(objects.boxes[~objects.difficult] * factors, rel=1e-5)
    assert plain["labels"].tolist() == objects.labels[~objects.difficult].tolist()
    assert plain["proposals"].dtype == torch.float32
    assert torch.equal(flipped["image"], plain["image"].flip(2))
    width = plain["image"].shape[2]
    for name in ("boxes", "proposals"):
        assert flipped[name][:, [0, 2]].numpy() == pytest.approx(width - plain[name][:, [2, 0]].numpy(), abs=1e-3)
        assert torch.equal(flipped[name][:, [1, 3]], plain[name][:, [1, 3]])


def seeds(share: float) -> tuple[int, int]:
    """Of two generators that draw the same scale of two: one that does not flip after it, and one that does."""
    found: dict[tuple[int, bool], int] = {}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found.setdefault((int(rng.choice((96, 128))), bool(rng.random() < share)), seed)
    return found[128, False], found[128, True]


def test_all_scales_are_drawn_and_a_sample_repeats():
    task = task_of(config())
    sides = {min(task.sample(0, np.random.default_rng(seed))["image"].shape[1:]) for seed in range(20)}
    assert sides == {96, 128}
    first, again = (task.sample(0, np.random.default_rng(3)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_conv1_is_fixed_and_biases_learn_faster_without_decay():
    task = task_of(config())
    weights, biases = task.parameter_groups()
    assert (weights["lr_factor"], biases["lr_factor"], biases["weight_decay"]) == (1, 2, 0)
    assert "weight_decay" not in weights
    trained = {id(parameter) for group in (weights, biases) for parameter in group["params"]}
    fixed = [name for name, parameter in task.module.named_parameters() if id(parameter) not in trained]
    assert fixed == ["backbone.blocks.conv1.0.weight", "backbone.blocks.conv1.0.bias"]
    assert len(weights["params"]) == len(biases["params"]) == 8


def test_rpn_needs_no_proposals(tmp_path, monkeypatch):
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path))
    made = config(proposals="rpn")
    made.prepare_data(made.open_data())
    task = task_of(made)
    batch = task.collate([task.sample(index, np.random.default_rng(0)) for index in (0, 1)])
    assert "proposals" not in batch
    assert not list(tmp_path.glob("proposals-*"))
    assert set(task.loss(batch)) == {"classes", "boxes", "rpn_objects", "rpn_boxes"}


def test_prepare_data_finds_the_proposals_of_both_splits(tmp_path, monkeypatch):
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path))
    made = config()
    made.prepare_data(made.open_data())
    voc = made.open_data()
    found = {path: path.stat().st_mtime_ns for path in tmp_path.glob("proposals-*")}
    for split in (voc.train, voc.test):
        assert len(find_proposals(split, voc.fingerprint)) == len(split)
    assert len(found) == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("proposals-*")} == found  # not searched again


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_leaves_detections_in_the_test_images_pixels(workers):
    made = config(workers=workers)
    outcome = detect(made)
    outcome.save()
    result = outcome.result
    assert set(result.metrics) == {"map", "map_area"}
    assert 0 <= result.metrics["map"].last <= 100
    assert set(result.by_target["map"]) <= set(made.open_data().short)
    lines = (outcome.directory.path / DETECTIONS).read_text().splitlines()
    assert lines[0] == "image,class,score,left,top,right,bottom"
    voc = made.open_data()
    shapes = {name: voc.test.image(index).shape for index, name in enumerate(voc.test.names)}
    for line in lines[1:]:
        name, kind, *numbers = line.split(",")
        score, left, top, right, bottom = map(float, numbers)
        assert kind in voc.classes
        assert 0 < score <= 1
        assert 0 <= left <= right <= shapes[name][1] + 0.01
        assert 0 <= top <= bottom <= shapes[name][0] + 0.01
    recorded = json.loads((outcome.directory.path / PROPOSALS).read_text())
    assert recorded["test"]["recall"] > 0.5
    again = detect(made)  # finished: shown from its files
    assert again.evaluation.metrics == outcome.evaluation.metrics
    details = again.evaluation.details
    assert "Fast R-CNN through torchvision" in again.evaluation.notes[0]
    assert "selective search's" in again.evaluation.notes[0]
    assert len(details.examples) == 4


def test_detections_of_other_images_are_named(tmp_path):
    outcome = detect(config())
    path = outcome.directory.path / DETECTIONS
    path.write_text(path.read_text().replace("test_", "other_"))
    with pytest.raises(RotnetError, match=r"detections in .*detections\.csv are missing, damaged or of other images"):
        evaluate_detection(config(), config().open_data(), outcome.directory.path)
    path.unlink()
    with pytest.raises(RotnetError, match=r"detections in .*detections\.csv are missing"):
        evaluate_detection(config(), config().open_data(), outcome.directory.path)


def test_a_damaged_test_image_leaves_no_detections(monkeypatch, tmp_path):
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path / "own"))
    made = config(workers=1)
    task = task_of(made)
    made.prepare_data(made.open_data())
    path = task.voc.test.image_path(2)
    Image.open(path).crop((0, 0, 40, 40)).save(path, quality=95)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(RotnetError, match=f"damaged image {path}") as caught:
        task.predict(torch.device("cpu"), tmp_path)
    assert "Traceback" not in str(caught.value)
    assert not (tmp_path / DETECTIONS).exists()


class ByHeart(DetectionConfig):
    """Tests on the scenes that it trains on."""

    def open_data(self) -> VocSet:
        voc = super().open_data()
        return VocSet(**vars(voc) | {"test": voc.train})


@pytest.mark.slow
@pytest.mark.parametrize("proposals", ["selective-search", "rpn"])
def test_four_scenes_are_learned_by_heart(proposals):
    learning = {"iterations": 150, "lr": 0.01, "schedule": "one-cycle", "dropout": 0.0}
    network = {"width": 0.15, "rescale": True, "rois": 32, "train_scales": (128,)}
    made = ByHeart.build(QUICK | learning | network | {"proposals": proposals})
    outcome = detect(made)
    first, last = outcome.history["train_loss"].iloc[[0, -1]]
    assert last < first / 3
    assert outcome.result.metrics["map"].last > 80
