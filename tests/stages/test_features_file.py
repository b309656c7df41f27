"""`rotnet features`: a file of features that NumPy loads, and what stands in its way."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from rotnet_lib.cli import main
from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.voc.writing import write_scenes
from rotnet_lib.models.network import Network
from rotnet_lib.runs.directory import METRICS, MODEL, PARAMETERS, RunDirectory
from rotnet_lib.stages.features import features_of_splits
from rotnet_lib.stages.knn import KnnConfig, find_neighbours
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.stages.train import load_data
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
    out.parent.mkdir()
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
    (run.path / METRICS).unlink()
    (run.path / MODEL).unlink()
    assert f"run {run.name} is not finished (interrupted): it has no weights yet" in error(run.name)


def test_a_run_that_looked_at_an_untrained_backbone_stands_for_it() -> None:
    """Of its width and seed, on its images; else they would be other features than those that were looked at."""
    sizes = {"dataset": "shapes:1", "train_size": 30, "test_size": 20, "image_size": 40, "labels_per_class": 2}
    config = KnnConfig.build(
        {"backbone": "random-rescaled", "arch": "nin3", "width": 0.05, "seed": 3, **sizes, "neighbours": 3}
    )
    looked = find_neighbours(config)
    looked.save()
    done = features(looked.directory.name, "--layer", "conv2")
    assert done.exit_code == 0, done.output
    assert "features of random-rescaled (seed 3), averaged" in done.output
    found = loaded(f"{looked.directory.name}-conv2.npz")
    assert len(found["train_labels"]) == 20
    expected = features_of_splits(config, load_data(config), torch.device("cpu"))
    np.testing.assert_allclose(found["test_conv2"], expected.test.layers["conv2"], rtol=1e-4, atol=1e-6)
    said = json.loads(str(found["parameters"]))["parameters"]
    for name in ("seed", "width", "dataset", "train_size", "image_size", "labels_per_class"):
        assert said[name] == config.model_dump()[name], name
    other = features(looked.directory.name, "--dataset", "shapes", "-p", "train_size", "20", "--out", "other.npz")
    assert other.exit_code == 0, other.output
    said = json.loads(str(loaded("other.npz")["parameters"]))["parameters"]
    assert (said["seed"], said["width"], said["image_size"], said["train_size"]) == (3, 0.05, None, 20)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-p", "layer", "conv3"), "-p layer: layers are named by --layer: --layer conv3"),
        (("-p", "backbone", "random"), "-p backbone: the backbone is RUN, the first argument"),
        (("-p", "runs", "old"), "-p runs: the folder of the runs is named by --runs"),
        (("--dataset", "shapes", "-p", "dataset", "shapes:1"), "the dataset is said twice, by --dataset and by -p dataset"),
        (("-p", "seed", "1", "-p", "seed", "2"), "-p seed stands 2 times. Leave one"),
        (("--layer", ""), "--layer is empty. Name a layer, or leave it out: then all are taken"),
        (("--layer", "conv1", "--layer", " "), "--layer is empty"),
        (("--dataset", ""), "--dataset is empty"),
    ],
)
def test_nothing_that_is_said_is_passed_over(arguments: tuple[str, ...], said: str) -> None:
    assert said in error("random", *arguments)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("missing/f.npz", "there is no folder missing. Make it (mkdir -p), or name another file by --out"),
        ("file/f.npz", "file is a file, no folder. Name another file by --out"),
        ("file/deeper/f.npz", "file is a file, no folder"),
        ("folder.npz", "folder.npz is a folder. Name a file in it: --out folder.npz/features.npz"),
    ],
)
def test_a_place_where_no_file_can_be_is_found_first(
    out: str, said: str, pretrained: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pretrained()
    Path("file").touch()
    Path("folder.npz").mkdir()
    monkeypatch.setattr("rotnet_lib.stages.train.load_data", None)  # nothing is computed
    assert said in error(run.name, "--out", out)


def test_a_run_on_voc_names_its_backbone(pretrained: Pretrained, tmp_path: Path) -> None:
    run = pretrained()
    write_scenes(tmp_path, 64, 2, 2)
    for backbone, named in ((run.name, run.name), ("random", "random -p arch alexnet -p width 0.05 -p seed 0 --dataset NAME")):
        arch = {} if backbone == run.name else {"arch": "alexnet"}
        made = {
            "backbone": backbone,
            "arch": "nin3",
            "width": 0.05,
            "seed": 0,
            "dataset": f"voc:{tmp_path}",
            "task": "labels",
        } | arch
        folder = Path("runs") / f"voc-of-{backbone}"
        folder.mkdir()
        (folder / PARAMETERS).write_text(json.dumps(made))
        (folder / MODEL).write_bytes(b"of another network")
        said = error(folder.name)
        assert f"run {folder.name} is one on VOC: its weights are those of another network" in said
        assert f"Name the backbone that it was made of: {named}" in said


def test_runs_that_would_be_refused_are_not_offered(pretrained: Pretrained) -> None:
    run = pretrained()
    looked = find_neighbours(KnnConfig.build({"backbone": run.name, "neighbours": 3, "device": "cpu"}))
    looked.save()
    unfinished = pretrained(seed=1)
    (unfinished.path / METRICS).unlink()
    (unfinished.path / MODEL).unlink()
    said = error("nonsense")
    assert run.name in said
    assert looked.directory.name not in said
    assert unfinished.name not in said


def test_the_help_says_what_may_be_given() -> None:
    said = re.sub(r"\s+", " ", features("--help").output)
    assert "Another parameter of the data or the backbone" in said
    assert "notebook knn" not in said
