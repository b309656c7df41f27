"""What every training stage leaves behind, and what it does when it is run again."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.seen import SEEN
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.directory import HISTORY, METRICS, MODEL, PARAMETERS, RESUME, RunDirectory, directory_of
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training import collectives
from rotnet_lib.training.checkpoints import load_tensors
from tests.training.weights import killed

Pretrained = Callable[..., RunDirectory]


def where(config: TrainingConfig) -> RunDirectory:
    return directory_of(config, config.fingerprint())


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    """File name -> time of the last change and content."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir() if path.name != ".lock"}


def test_a_finished_run_holds_what_the_readme_of_runs_says(pretrained: Pretrained) -> None:
    run = pretrained()
    assert set(contents(run.path)) == {PARAMETERS, METRICS, HISTORY, MODEL, SEEN}  # one epoch: nothing kept on the way
    assert run.path.parent == Path("runs").resolve()
    assert run.result().run == run.name


def test_a_run_is_finished_only_once_its_result_is_saved(tiny: dict[str, Any]) -> None:
    outcome = pretrain(PretrainConfig.build(tiny))
    directory = outcome.directory
    assert directory.state == "running"
    assert (directory.path / RESUME).exists()
    outcome.save()
    assert directory.state == "finished"
    assert not directory.running
    assert not (directory.path / RESUME).exists()


def test_the_headline_is_the_last_epoch_and_the_best_stands_beside_it(pretrained: Pretrained) -> None:
    run = pretrained(epochs=4, lr=0.5)
    history = pd.read_csv(run.path / HISTORY)
    metric = run.result().metrics["rotation_top1"]
    accuracy = history["test_rotation_top1"]
    assert metric.last == accuracy.iloc[-1]
    assert metric.best == accuracy.max()
    assert metric.best_epoch == accuracy.tolist().index(accuracy.max()) + 1
    assert history["epoch"].tolist() == [1, 2, 3, 4]


def test_the_result_says_with_what_on_which_data_and_how_it_was_measured(pretrained: Pretrained) -> None:
    result = pretrained(epochs=2, threads=1).result()
    history = pd.read_csv(Path("runs", result.run, HISTORY))
    assert result.stage == "pretrain"
    assert result.training
    assert result.parameters["epochs"] == result.training.epochs == 2
    assert result.protocol_differences["epochs"] == [100, 2]
    assert result.protocol_differences["dataset"] == ["cifar10", "shapes"]
    assert "seed" not in result.protocol_differences
    assert (result.data.name, result.data.train_images, result.data.test_images) == ("shapes", 40, 20)
    assert (result.data.image_size, len(result.data.classes)) == (32, 10)
    assert result.training.inputs == history["inputs"].sum() == 2 * 32 * 4
    assert result.training.seconds == pytest.approx(history["seconds"].sum())
    assert result.training.inputs_per_second == pytest.approx(history["inputs_per_second"].median())
    assert result.wall_seconds > result.training.seconds
    assert torch.__version__.startswith(result.environment.packages["torch"])
    assert result.environment.threads == 1
    tensors, _ = load_tensors(Path("runs", result.run, MODEL))
    assert result.training.parameters == sum(t.numel() for name, t in tensors.items() if name.endswith(("weight", "bias")))


def test_the_result_tells_the_figure_of_each_rotation(pretrained: Pretrained) -> None:
    result = pretrained(lr=0.5).result()
    by_rotation = result.by_target["rotation_top1"]
    assert list(by_rotation) == ["0 degrees", "90 degrees", "180 degrees", "270 degrees"]
    assert len(set(by_rotation.values())) > 1
    assert sum(by_rotation.values()) / 4 == pytest.approx(result.metrics["rotation_top1"].last)


def test_the_result_tells_of_how_many_images_an_accuracy_is(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    """Not of how many rotated copies: those of one image are not independent."""
    run = pretrained()
    rotation = run.result().metrics["rotation_top1"]
    assert rotation.images == 20
    assert rotation.target_images == dict.fromkeys(run.result().by_target["rotation_top1"], 20)
    outcome = probe(ProbeConfig.build(tiny | {"backbone": run.name, "layer": "conv1,conv2", "views": "rotated", "epochs": 1}))
    for metric in outcome.result.metrics.values():
        assert metric.images == 20
        assert metric.target_images == dict.fromkeys(outcome.result.data.classes, 2)


def test_the_result_tells_the_figure_of_each_class(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    outcome = probe(ProbeConfig.build(tiny | {"backbone": pretrained().name, "layer": "conv1,conv2", "epochs": 3}))
    by_class = outcome.result.by_target
    assert list(by_class) == ["conv1_top1", "conv2_top1"]
    for metric, figures in by_class.items():
        assert list(figures) == outcome.result.data.classes
        assert set(figures.values()) <= {0.0, 50.0, 100.0}  # of two test images each
        assert sum(figures.values()) / 10 == pytest.approx(outcome.result.metrics[metric].last)


# --- The data ---


def test_grey_data_are_said_to_be_grey(pretrained: Pretrained) -> None:
    grey, colour = pretrained(grey=True).result(), pretrained().result()
    assert grey.data.title == f"{colour.data.title}, grey"
    assert grey.run != colour.run
    means = [load_tensors(Path("runs", run.run, MODEL))[0]["backbone.normalize.mean"].flatten() for run in (grey, colour)]
    assert means[0].unique().numel() == 1  # the statistics it normalises by are those of the grey images
    assert means[1].unique().numel() == 3


def test_few_labels_count_as_what_is_trained_on(tiny: dict[str, Any]) -> None:
    few = pretrain(PretrainConfig.build(tiny | {"task": "labels", "labels_per_class": 3})).result
    every = pretrain(PretrainConfig.build(tiny | {"task": "labels"})).result
    assert (few.data.train_images, every.data.train_images) == (30, 40)
    assert few.training
    assert every.training
    assert few.training.inputs == every.training.inputs == 32  # an epoch draws as many
    assert few.run.startswith("labels-nin4-3-labels-shapes-")
    assert every.run.startswith("labels-nin4-shapes-")


def test_a_class_with_fewer_labels_is_named(tiny: dict[str, Any], shapes_data: Dataset) -> None:
    config = PretrainConfig.build(tiny | {"task": "labels", "labels_per_class": 4, "train_size": 39})
    with pytest.raises(RotnetError, match=f"labels_per_class: 4 asked for, but class '{shapes_data.classes[9]}' has 3 images"):
        pretrain(config)


def test_jitter_changes_the_run_and_repeats(tiny: dict[str, Any]) -> None:
    def losses(**parameters: Any) -> list[float]:
        outcome = pretrain(PretrainConfig.build(tiny | {"epochs": 2} | parameters))
        found: list[float] = outcome.history["train_loss"].tolist()
        return found

    assert losses(colour_jitter=0.4, runs="a") == losses(colour_jitter=0.4, runs="b")
    assert losses(colour_jitter=0.4, runs="c", seed=1) != losses(colour_jitter=0.4, runs="a") != losses(runs="a")


# --- Again ---


def test_a_finished_run_is_read_and_not_made_again(
    pretrained: Pretrained, tiny: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = pretrained()
    before = contents(run.path)
    capsys.readouterr()
    outcome = pretrain(PretrainConfig.build(tiny | {"arch": "nin3", "threads": 2}))
    outcome.save()
    assert outcome.directory.path == run.path
    assert outcome.result == run.result()
    assert len(outcome.history) == 1
    assert contents(run.path) == before
    assert "finished already" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_and_ends_as_one_that_was_not(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build(tiny | {"epochs": 4})
    with killed(Rotation, 5):  # in the third epoch: an epoch has two steps
        pretrain(config)
    directory = where(config)
    directory.close()
    assert directory.state == "interrupted"
    done = load_tensors(directory.path / RESUME)[1]["history"]
    assert len(done) == 2

    resumed = pretrain(config)
    resumed.save()
    whole = pretrain(PretrainConfig.build(tiny | {"epochs": 4, "runs": "elsewhere"}))
    whole.save()
    assert resumed.history["seconds"].tolist()[:2] == [row["seconds"] for row in done]  # these were not trained again
    assert len(resumed.history) == 4
    assert resumed.directory.path != whole.directory.path
    assert resumed.result.metrics == whole.result.metrics
    timing = ["seconds", "inputs_per_second"]
    one, other = (pd.read_csv(outcome.directory.path / HISTORY).drop(columns=timing) for outcome in (resumed, whole))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    ours, theirs = (load_tensors(outcome.directory.path / MODEL)[0] for outcome in (resumed, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_run_that_another_process_finished_meanwhile_is_read(
    pretrained: Pretrained, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two notebooks of one run started at once: the second waits for the lock and must not begin again."""
    run = pretrained()
    hidden = run.path / METRICS
    text = hidden.read_text()
    hidden.unlink()

    def finish_and_open(self: RunDirectory, config: Any, **options: Any) -> None:
        hidden.write_text(text)  # what the other process does before it gives the lock back
        open_run(self, config, **options)

    open_run = RunDirectory.open
    monkeypatch.setattr(RunDirectory, "open", finish_and_open)
    before = (run.path / MODEL).stat().st_mtime_ns
    outcome = pretrain(PretrainConfig.build(tiny | {"arch": "nin3"}))
    outcome.save()
    assert (run.path / MODEL).stat().st_mtime_ns == before
    assert outcome.result == run.result()


# --- In several processes (tests/stages/test_child.py has the rest) ---


def test_a_rank_says_what_it_cannot_do_before_it_trains(tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process that started it could not know: other nodes' processes, the size of the training set."""
    monkeypatch.setattr(collectives, "in_process_group", lambda: True)
    monkeypatch.setattr(collectives, "rank_and_world_size", lambda: (0, 3))
    for batch_size, found in ((16, 16), (60, 40)):
        with pytest.raises(RotnetError, match=f"batch_size: {found} images are not 3 equal parts"):
            pretrain(PretrainConfig.build(tiny | {"batch_size": batch_size}))
    assert not Path("runs").exists()  # only the process that started it opens the directory


# --- Where ---


def test_data_that_are_not_there_stop_a_run_before_it_has_a_directory(tiny: dict[str, Any], tmp_path: Path) -> None:
    config = PretrainConfig.build(tiny | {"dataset": f"imagefolder:{tmp_path}/photos"})
    with pytest.raises(RotnetError, match=f"no folder {tmp_path}/photos"):
        pretrain(config)
    with pytest.raises(RotnetError, match=r"did you mean 'shapes'\?"):
        pretrain(PretrainConfig.build(tiny | {"dataset": "shape"}))
    assert not Path("runs").exists()


def test_a_directory_is_named_from_what_runs_and_on_what(tiny: dict[str, Any], tmp_path: Path) -> None:
    path = where(PretrainConfig.build(tiny)).path
    assert path.parent == tmp_path / "runs"
    assert path.name.startswith("rotation-nin4-shapes-s0-")
    absolute = where(PretrainConfig.build(tiny | {"runs": str(tmp_path / "elsewhere")})).path
    assert absolute == tmp_path / "elsewhere" / path.name


def test_other_data_under_the_same_name_are_another_run(tiny: dict[str, Any], tmp_path: Path) -> None:
    for split in ("train", "test"):
        folder = tmp_path / "photos" / split / "cat"
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"one")
    config = PretrainConfig.build(tiny | {"dataset": f"imagefolder:{tmp_path}/photos"})
    before = where(config).name
    assert "-photos-" in before
    (tmp_path / "photos" / "train" / "cat" / "b.png").write_bytes(b"two")
    assert where(config).name != before


def test_a_probe_reads_its_backbone_from_where_runs_are(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    run = pretrained(runs="elsewhere")
    with pytest.raises(RotnetError, match="no finished pretext run in 'runs'"):
        ProbeConfig.build(tiny)
    outcome = probe(ProbeConfig.build(tiny | {"runs": "elsewhere"}))
    outcome.save()
    assert outcome.result.parameters["backbone"] == run.name


@pytest.mark.parametrize("stream", [True, False])
def test_a_damaged_image_is_left_out_and_named_in_the_result(stream: bool, tiny: dict[str, Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, kind, number in itertools.product(("train", "test"), "ab", range(4)):
        path = tmp_path / "photos" / split / kind / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    path = tmp_path / "photos" / "train" / "b" / "2.jpg"
    path.write_bytes(path.read_bytes()[:200])
    own = {"dataset": f"imagefolder:{tmp_path / 'photos'}", "train_size": None, "test_size": None, "batch_size": 4}
    parameters = tiny | own | {"stream": stream, "workers": 0, "arch": "nin3"}
    result = pretrain(PretrainConfig.build(parameters | {"max_damaged": 0.2})).result
    assert result.data.damaged == ["train/b/2.jpg"]
    with pytest.raises(RotnetError, match=r"1 of the 8 files of the train split.*max_damaged 0.001 allows 0"):
        pretrain(PretrainConfig.build(parameters | {"seed": 1}))
