"""Training by iterations: what it computes, and that neither an interruption nor loader processes change it."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.voc.config import VocConfig
from rotnet_lib.voc.loop import fit
from rotnet_lib.voc.task import VocTask

CPU = torch.device("cpu")
IMAGES = 7


class ToyConfig(VocConfig):
    stage = "voc_detection"
    task = "detection"


def config(**values: Any) -> ToyConfig:
    usual = {"backbone": "random", "iterations": 100, "batch_size": 4, "lr": 0.05, "lr_milestones": (), "workers": 0}
    return ToyConfig.build(usual | values)


class Toy(VocTask):
    """A line through noisy points, with dropout; remembers which images it was shown."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Dropout(0.2), nn.Linear(2, 1))
        self.shown: list[int] = []

    def sample(self, index: int, rng: np.random.Generator) -> tuple[int, torch.Tensor]:
        return index, torch.tensor([index / IMAGES, rng.normal()], dtype=torch.float32)

    def collate(self, samples: list[Any]) -> dict[str, Any]:
        return {"index": [index for index, _ in samples], "x": torch.stack([x for _, x in samples])}

    def loss(self, batch: Any) -> dict[str, torch.Tensor]:
        self.shown += batch["index"]
        wanted = 3 * batch["x"][:, :1] - batch["x"][:, 1:]
        return {"fit": (self.module(batch["x"]) - wanted).square().mean(), "size": 0.01 * self.module[1].weight.abs().sum()}  # type: ignore[index]

    def predict(self, device: torch.device, directory: Path) -> None:
        raise NotImplementedError


def run(
    path: Path, task: Toy | None = None, save_seconds: float = 60, **values: Any
) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    task = task or Toy()
    history = fit(task, IMAGES, config(**values), ResumeState(path / "resume"), CPU, save_seconds=save_seconds)
    return history, task.module.state_dict()


def test_each_pass_shows_every_image_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    task = Toy()
    run(tmp_path, task, iterations=7, batch_size=4)  # 28 samples: 4 passes over 7 images
    passes = [tuple(task.shown[place : place + IMAGES]) for place in range(0, 28, IMAGES)]
    assert [sorted(order) for order in passes] == [list(range(IMAGES))] * 4
    assert len(set(passes)) == 4


def test_the_history_covers_the_run(tmp_path: Path) -> None:
    history, _ = run(tmp_path, iterations=110)
    assert [row["iteration"] for row in history] == [*range(2, 111, 2)]
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2
    for row in history:
        assert row["train_loss"] == pytest.approx(row["train_fit"] + row["train_size"], rel=1e-5)
        assert 0 <= row["waiting"] <= 1
        assert row["images_per_second"] == pytest.approx(8 / row["seconds"])


def test_the_rate_falls_at_the_milestones_and_biases_learn_twice_as_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[list[float]] = []
    step = torch.optim.SGD.step

    def noting(self: torch.optim.SGD, *args: Any, **kwargs: Any) -> Any:
        rates.append([group["lr"] for group in self.param_groups])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", noting)
    history, _ = run(tmp_path, iterations=10, lr=0.5, lr_milestones=(0.3, 0.8), lr_decay=0.1)
    weights = [0.5] * 3 + [0.05] * 5 + [0.005] * 2
    assert [pair[0] for pair in rates] == pytest.approx(weights)
    assert [pair[1] for pair in rates] == pytest.approx([2 * rate for rate in weights])
    assert [row["lr"] for row in history] == pytest.approx(weights)


def test_the_gradient_is_clipped(tmp_path: Path) -> None:
    before = Toy().module.state_dict()
    _, after = run(tmp_path, iterations=1, lr=1.0, momentum=0.0, weight_decay=0.0, clip_gradient=1e-3)
    change = torch.cat([(after[name] - before[name]).flatten() / (2 if name.endswith("bias") else 1) for name in before])
    assert change.norm().item() == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("iterations_done", [34, 90])
def test_an_interrupted_run_ends_bit_for_bit_as_another(tmp_path: Path, iterations_done: int) -> None:
    whole, weights = run(tmp_path / "whole")

    class Killed(Exception):
        pass

    class Mortal(Toy):
        def loss(self, batch: Any) -> dict[str, torch.Tensor]:
            if len(self.shown) == 4 * iterations_done + 4:
                raise Killed
            return super().loss(batch)

    with pytest.raises(Killed):
        run(tmp_path / "cut", Mortal(), save_seconds=0)
    task = Toy()
    torch.manual_seed(99)  # nothing may hang on the state of torch's own generator
    history, found = run(tmp_path / "cut", task)
    assert len(task.shown) == 4 * (100 - iterations_done)
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    timed = ("seconds", "images_per_second", "waiting")
    assert [{n: v for n, v in row.items() if n not in timed} for row in history] == [
        {n: v for n, v in row.items() if n not in timed} for row in whole
    ]


def test_loader_processes_change_nothing(tmp_path: Path) -> None:
    _, alone = run(tmp_path / "alone", iterations=10)
    _, helped = run(tmp_path / "helped", iterations=10, workers=2)
    assert all(torch.equal(helped[name], alone[name]) for name in alone)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_wrong_with_an_image_is_said_without_a_traceback(tmp_path: Path, workers: int) -> None:
    class Broken(Toy):
        def sample(self, index: int, rng: np.random.Generator) -> tuple[int, torch.Tensor]:
            if index == 3:
                raise RotnetError("damaged image 3.jpg")
            return super().sample(index, rng)

    with pytest.raises(RotnetError) as caught:
        run(tmp_path, Broken(), workers=workers)
    assert str(caught.value) == "damaged image 3.jpg"


@pytest.mark.slow
def test_a_loader_process_that_is_killed_is_no_traceback_either(tmp_path: Path) -> None:
    class Mortal(Toy):
        def sample(self, index: int, rng: np.random.Generator) -> tuple[int, torch.Tensor]:
            os.kill(os.getpid(), signal.SIGKILL)
            return super().sample(index, rng)

    with pytest.raises(RotnetError, match="a process that reads images was killed"):
        run(tmp_path, Mortal(), workers=1)


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    _, one = run(tmp_path / "one", iterations=10)
    _, other = run(tmp_path / "other", iterations=10, seed=1)
    assert not torch.equal(one["1.weight"], other["1.weight"])


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RotnetError, match=r"the loss is (inf|nan) between iterations \d+ and \d+.* Lower lr \(now 1e\+08\)"):
        run(tmp_path, lr=1e8)
