"""Shares of right answers: of how many images, and by target."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch

from rotnet_lib.data.loader import Batch
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.shares import Share
from rotnet_lib.training.task import Step
from rotnet_lib.training.trainer import Trainer
from tests.training.toys import Brightness


class Patterned(Brightness):
    """Right on every second light image of a batch and on no dark one; a second metric is always right."""

    metrics: Mapping[str, Metric] = {"some": Metric(), "all": Metric()}

    def step(self, batch: Batch) -> Step:
        step = super().step(batch)
        light = batch.labels == 1
        return replace(step, values={"some": light & (batch.index % 4 == 1), "all": torch.ones_like(light)})


def test_accuracy_is_told_for_each_right_answer(make: Callable[..., Trainer]) -> None:
    trainer = make(Patterned(), tests=300)  # three batches; light images have odd places
    found = {metric: share.by_target for metric, share in trainer.gather_shares().items()}
    assert found == {"some": {"dark": 0.0, "light": 50.0}, "all": {"dark": 100.0, "light": 100.0}}


def test_an_answer_that_is_never_right_has_no_accuracy(make: Callable[..., Trainer]) -> None:
    task = Patterned()
    task.target_names = ("dark", "light", "neither")
    share = make(task).gather_shares()["all"]
    assert set(share.by_target) == set(share.target_images) == {"dark", "light"}


class Viewed(Brightness):
    """Every light image is shown three times, a dark one once; and one answer is given about each pair of images."""

    def step(self, batch: Batch) -> Step:
        step = super().step(batch)
        targets = batch.labels.repeat_interleave(1 + 2 * batch.labels)
        pairs = torch.ones(len(batch) // 2, dtype=torch.bool)
        return replace(step, values={"right": targets == 1, "pairs": pairs, "sure": torch.ones(len(batch))}, targets=targets)


def test_a_share_is_of_images_not_of_answers(make: Callable[..., Trainer]) -> None:
    task = Viewed()
    task.metrics = {name: Metric() for name in ("right", "pairs", "sure")}
    task.target_names = ()
    assert make(task, tests=300).gather_shares() == {"right": Share(300), "pairs": Share(150)}


def test_a_target_has_no_more_images_than_there_are(make: Callable[..., Trainer]) -> None:
    task = Viewed()
    step = task.step

    def saying_which(batch: Batch) -> Step:
        places = torch.arange(len(batch)).repeat_interleave(1 + 2 * batch.labels)
        found = step(batch)
        return replace(found, values={"right": found.values["right"]}, places=places)

    task.step = saying_which  # type: ignore[method-assign]
    share = make(task, tests=20).gather_shares()["right"]
    assert share.by_target == {"dark": 0.0, "light": 100.0}
    assert share.target_images == {"dark": 10, "light": 10}  # of 30 answers


class Asked(Brightness):
    """Always right. Each image is asked about as often as `targets` has columns, by its label."""

    target_names = ("dark", "light", "third")

    def __init__(self, targets: list[list[int]], *, says_which: bool = True) -> None:
        super().__init__()
        self.targets, self.says_which = torch.tensor(targets), says_which

    def evaluate(self, batch: Batch) -> Step:
        targets = self.targets[batch.labels].flatten()
        places = torch.arange(len(targets)) // self.targets.shape[1] if self.says_which else None
        return replace(super().step(batch), values={"right": targets >= 0}, targets=targets, places=places)


@pytest.mark.parametrize(
    ("targets", "images"),
    [
        ([[0, 1], [0, 1]], {"dark": 300, "light": 300}),  # as rotations: every image has every target once
        ([[0, 0], [1, 1]], {"dark": 150, "light": 150}),  # the same question twice
        ([[0, 2], [0, 0]], {"dark": 300, "third": 150}),
        ([[0, 2, 0, 2], [1, 1, 0, 1]], {"dark": 300, "light": 150, "third": 150}),
    ],
)
def test_an_image_counts_once_for_a_target(
    make: Callable[..., Trainer], targets: list[list[int]], images: dict[str, int]
) -> None:
    assert make(Asked(targets), tests=300).gather_shares()["right"].target_images == images


def test_answers_that_do_not_say_which_image_they_are_about_have_no_images_by_target(make: Callable[..., Trainer]) -> None:
    share = make(Asked([[0, 1], [0, 1]], says_which=False), tests=300).gather_shares()["right"]
    assert share == Share(300, {"dark": 100.0, "light": 100.0})


def test_the_last_evaluation_says_the_shares(make: Callable[..., Trainer]) -> None:
    task = Brightness()
    trainer = make(task, tests=300)
    trainer.fit()
    calls = len(task.calls)
    shares = trainer.gather_shares()
    assert len(task.calls) == calls  # no further pass
    again = Brightness()
    resumed = make(again, tests=300)
    resumed.fit()
    assert not again.calls
    assert resumed.gather_shares() == shares
    assert [size for _, _, size in again.calls] == [size for _, _, size in task.calls[-len(again.calls) :]]


def test_accuracy_by_answer_averages_to_the_test_figure(make: Callable[..., Trainer]) -> None:
    task = Brightness()
    with torch.no_grad():  # so that about half the light images pass for dark
        task.module.weight[1] = 1
        task.module.bias[0] = 0.488
    trainer = make(task, epochs=1, lr=0, tests=300)
    row = trainer.fit()[-1]
    by_target = trainer.gather_shares()["right"].by_target
    assert by_target["dark"] == 100
    assert 0 < by_target["light"] < 100
    assert (by_target["dark"] + by_target["light"]) / 2 == pytest.approx(row["test_right"])


def test_telling_the_accuracy_by_answer_changes_nothing(make: Callable[..., Trainer]) -> None:
    task = Brightness()
    trainer = make(task)
    trainer.gather_shares()
    assert {(training, gradients) for training, gradients, _ in task.calls} == {(False, False)}
    assert task.module.weight.eq(0).all()
