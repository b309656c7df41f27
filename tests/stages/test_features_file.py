"""`rotnet features`: a file of features that NumPy loads, and what stands in its way."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from click.testing import CliRunner, Result

from rotnet_lib.cli import main
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.models.network import Network
from rotnet_lib.runs.directory import METRICS, MODEL, RunDirectory
from rotnet_lib.stages.knn import KnnConfig, find_neighbours
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_backbone, save_backbone
from tests.weights import fresh, put_weights

Pretrained = Callable[..., RunDirectory]


def features(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["features", *arguments, "-p", "device", "cpu"])


def loaded(path: str | Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:  # without pickle, as NumPy does unless it is told to
        return dict(file)


def error(*arguments: str) -> str:
    result = features(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)  # no traceback
    return re.sub(r"\s+", " ", result.output)


def test_the_file_holds_the_features_of_both_splits(pretrained: Pretrained, shapes_data: Dataset) -> None:
    run = pretrained()
    done = features(run.name, "--layer", "conv3", "--layer", "conv1")
    assert done.exit_code == 0, done.output
    path = Path(f"{run.name}-conv3-conv1.npz")
    found = loaded(path)
    backbone = load_backbone(run.path / MODEL).eval()
    for name, split in (("train", shapes_data.train), ("test", shapes_data.test)):
        with torch.no_grad():
            maps = backbone.features(split.read(range(len(split))), ["conv1", "conv3"])
        for layer in ("conv1", "conv3"):
            assert found[f"{name}_{layer}"].dtype == np.float32
            np.testing.assert_allclose(found[f"{name}_{layer}"], maps[layer].mean((2, 3)).numpy(), rtol=1e-4, atol=1e-6)
        assert found[f"{name}_labels"].tolist() == split.labels.tolist()
        assert found[f"{name}_places"].tolist() == list(range(len(split)))
    assert found["classes"].tolist() == list(shapes_data.classes)
    said = json.loads(str(found["parameters"]))
    assert said["parameters"]["backbone"] == run.name
    assert said["fingerprint"] == shapes_data.fingerprint
    lines = done.output.splitlines()
    assert str(path) in lines[0]
    assert f"  train_conv3 {found['train_conv3'].shape} float32" in lines
    assert f'load it: d = numpy.load("{path}"); d["train_conv3"], d["train_labels"]' in lines


def test_without_a_layer_there_are_all(pretrained: Pretrained) -> None:
    run = put_weights(pretrained(arch="nin4"), fresh("nin4", last="conv3"))
    features(str(run.path), "--out", "cut.npz")
    assert {name for name in loaded("cut.npz") if name.startswith("test_conv")} == {"test_conv1", "test_conv2", "test_conv3"}


def test_a_probes_run_has_its_own_images(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    outcome = probe(ProbeConfig.build(tiny | {"backbone": pretrained().name, "dataset": "shapes:1", "train_size": 30}))
    outcome.save()
    features(outcome.directory.name, "--out", "probed.npz")
    assert len(loaded("probed.npz")["train_labels"]) == 30
    assert json.loads(str(loaded("probed.npz")["parameters"]))["parameters"]["dataset"] == "shapes:1"


def test_other_images_and_a_part_of_them(pretrained: Pretrained, tmp_path: Path) -> None:
    run = pretrained(epochs=2, checkpoints=[0.5])
    more = [word for pair in {"train_size": "30", "test_size": "10", "checkpoint": "0.5"}.items() for word in ("-p", *pair)]
    out = tmp_path / "new folder" / "f.npz"
    done = features(run.name, "--layer", "conv2", "--dataset", "shapes:1", "--out", str(out), *more)
    assert done.exit_code == 0, done.output
    assert len(loaded(out)["train_conv2"]) == 30
    features(run.name, "--layer", "conv2", "-p", "checkpoint", "0.5", "-p", "labels_per_class", "2")
    assert len(loaded(f"{run.name}-conv2-at-0.5.npz")["train_conv2"]) == 20


def test_a_file_of_weights_and_held_out_images(pretrained: Pretrained) -> None:
    run = pretrained(validate=0.3)
    done = features(run.name, "--layer", "conv1", "--out", "held.npz")
    assert "test_*: training images that are held out" in done.output
    weights = Path("elsewhere") / "weights.safetensors"
    weights.parent.mkdir()
    backbone = fresh("nin3")
    save_backbone(weights, Network(backbone, 4, 32), backbone)
    sizes = ["--dataset", "shapes", "-p", "train_size", "10", "-p", "test_size", "10"]
    assert features(str(weights), *sizes).exit_code == 0
    assert len(loaded("weights-all.npz")["test_conv3"]) == 10


def test_what_is_wrong_is_said_before_anything_is_computed(pretrained: Pretrained) -> None:
    run = pretrained()
    assert "unknown layer of nin3 'con3'; did you mean 'conv3'?" in error(run.name, "--layer", "con3")
    assert f"did you mean '{run.name}'?" in error(run.name[:-2], "--layer", "conv3")
    assert "Let its name end with .npz" in error(run.name, "--out", "features.txt")
    assert "unknown dataset 'shape'; did you mean 'shapes'?" in error(run.name, "--dataset", "shape")
    assert "unknown parameter of features 'seeed'; did you mean 'seed'?" in error(run.name, "-p", "seeed", "1")
    Path("there.npz").write_text("mine")
    assert "there.npz is there already; delete it or name another file" in error(run.name, "--out", "there.npz")
    assert Path("there.npz").read_text() == "mine"
    assert [path.name for path in Path().glob("*.npz")] == ["there.npz"]


def test_a_run_without_weights_is_told_from_one_that_is_not_finished(pretrained: Pretrained) -> None:
    run = pretrained()
    looked = find_neighbours(KnnConfig.build({"backbone": run.name, "neighbours": 3, "device": "cpu"}))
    looked.save()
    said = error(looked.directory.name)
    assert f"trained nothing and has no weights. Name what it looked at: {run.name}" in said
    untrained = {"backbone": "random", "arch": "nin3", "dataset": "shapes", "train_size": 40, "test_size": 20, "width": 0.05}
    looked = find_neighbours(KnnConfig.build(untrained | {"neighbours": 3, "device": "cpu"}))
    looked.save()
    assert "Name what it looked at: random -p arch nin3" in error(looked.directory.name)
    (run.path / METRICS).unlink()
    (run.path / MODEL).unlink()
    assert f"run {run.name} is not finished (interrupted): it has no weights yet" in error(run.name)
