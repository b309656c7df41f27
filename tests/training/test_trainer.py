"""The training loop on a toy task, which it has never heard of."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rotnet_lib.data.loader import Batch
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Epoch, EpochStart, Step
from rotnet_lib.training.trainer import StuckCheck, Trainer
from tests.training.toys import Brightness

CPU = torch.device("cpu")


class Guessing(Brightness):
    """Never better than chance: the one logit does not depend on the image."""

    def step(self, batch: Batch) -> Step:
        step = super().step(batch)
        return replace(step, values={"right": torch.arange(len(batch)) % 2 == 0})


class Diverging(Brightness):
    """The loss of the fourth training step is no number."""

    bad = math.nan

    def step(self, batch: Batch) -> Step:
        step = super().step(batch)
        training = [call for call in self.calls if call[0]]
        return replace(step, loss=step.loss * self.bad) if self.module.training and len(training) == 4 else step


def test_any_task_can_be_learnt(make: Callable[..., Trainer]) -> None:
    history = make(Brightness(), epochs=10).fit()
    assert history[0]["train_loss"] > history[-1]["train_loss"]
    assert history[-1]["train_right"] > 90
    assert history[-1]["test_right"] == 100


def test_the_history_is_a_row_an_epoch(make: Callable[..., Trainer]) -> None:
    history = make(Brightness(), epochs=10).fit()
    timing = {"seconds", "inputs_per_second"}
    columns = {"epoch", "lr", "train_loss", "train_right", "test_loss", "test_right", "inputs"}
    assert all(row.keys() == columns | timing for row in history)
    assert [row["epoch"] for row in history] == list(range(1, 11))
    assert [row["inputs"] for row in history] == [32] * 10
    np.testing.assert_allclose([row["lr"] for row in history], [0.1] * 3 + [0.02] * 3 + [0.004] * 2 + [0.0008] * 2)
    for row in history:
        assert row["inputs_per_second"] == pytest.approx(32 / row["seconds"])
        assert 0 <= row["train_right"] <= 100


def test_the_update_is_sgd_with_nesterov_momentum_and_weight_decay(make: Callable[..., Trainer]) -> None:
    """Written out: v = m v + g + wd w, w -= lr (g + wd w + m v), at the rate of each epoch."""
    task = Brightness()
    trainer = make(task, epochs=2, lr=0.3, lr_milestones=[0.5], lr_decay=0.1, momentum=0.8, weight_decay=0.05)
    weights = [p.detach().clone() for p in task.module.parameters()]
    velocity = [torch.zeros_like(w) for w in weights]
    losses = []
    for epoch, rate in ((0, 0.3), (1, 0.03)):
        for batch in trainer.loader.epoch(epoch):
            means = batch.images.float().mean(dim=(1, 2, 3)) / 128 - 1
            for w in weights:
                w.requires_grad_(True)
            loss = F.cross_entropy(means[:, None] @ weights[0].T + weights[1], batch.labels)
            losses.append(loss.item())
            gradients = torch.autograd.grad(loss, weights)
            for position, (w, g) in enumerate(zip(weights, gradients, strict=True)):
                decayed = g + 0.05 * w.detach()
                velocity[position] = 0.8 * velocity[position] + decayed
                weights[position] = w.detach() - rate * (decayed + 0.8 * velocity[position])
    history = trainer.fit()
    for found, expected in zip(task.module.parameters(), weights, strict=True):
        np.testing.assert_allclose(found.detach(), expected, rtol=1e-5)
    found_losses = [row["train_loss"] for row in history]
    np.testing.assert_allclose(found_losses, [np.mean(losses[:4]), np.mean(losses[4:])], rtol=1e-5)


def test_without_momentum_it_is_plain_sgd(make: Callable[..., Trainer]) -> None:
    task = Brightness()
    trainer = make(task, epochs=1, momentum=0, weight_decay=0, batch_size=32, lr=0.5, lr_milestones=[])
    batch = next(trainer.loader.epoch(0))
    means = batch.images.float().mean(dim=(1, 2, 3)) / 128 - 1
    trainer.fit()
    # From zero weights both classes have probability 1/2; the bias moves by -lr times the mean of (1/2 - label).
    target = F.one_hot(batch.labels, 2).float()
    np.testing.assert_allclose(task.module.bias.detach(), -0.5 * (0.5 - target).mean(0), atol=1e-6)
    expected = -0.5 * ((0.5 - target) * means[:, None]).mean(0)
    np.testing.assert_allclose(task.module.weight.detach()[:, 0], expected, atol=1e-6)


def test_what_asks_for_no_gradient_stays(make: Callable[..., Trainer]) -> None:
    task = Brightness()
    task.module.bias.requires_grad_(False)
    trainer = make(task, weight_decay=0.1)
    assert [tuple(p.shape) for p in trainer.parameters] == [(2, 1)]
    trainer.fit()
    assert task.module.bias.eq(0).all()
    assert task.module.weight.ne(0).all()


def test_training_and_testing_each_have_their_mode(make: Callable[..., Trainer]) -> None:
    task = Brightness()
    make(task, epochs=2).fit()
    epoch = [(True, True, 8)] * 4 + [(False, False, 20)]
    assert task.calls == epoch * 2


def test_test_figures_are_means_over_all_images(make: Callable[..., Trainer]) -> None:
    task = Brightness()
    trainer = make(task, epochs=1, tests=301)
    row = trainer.fit()[-1]
    sizes = [size for training, _, size in task.calls if not training]
    assert sum(sizes) == 301
    assert len(set(sizes)) == 2  # the last batch is smaller, and weighs less
    images, labels = trainer.test.images.float(), trainer.test.labels
    with torch.no_grad():
        logits = task.module(images.mean(dim=(1, 2, 3))[:, None] / 128 - 1)
    assert row["test_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert row["test_right"] == pytest.approx(100 * (logits.argmax(1) == labels).float().mean().item())


def test_one_cycle_changes_the_rate_at_every_step(make: Callable[..., Trainer]) -> None:
    history = make(Brightness(), epochs=2, schedule="one-cycle", lr=0.4).fit()
    # 8 steps; an epoch's rate is that of its last step, whose middle is at 7/16 and 15/16 of the run.
    np.testing.assert_allclose([row["lr"] for row in history], [0.4 * (9 / 16) / 0.75, 0.4 * (1 / 16) / 0.75])


@pytest.mark.parametrize("asked", [True, False])
def test_the_module_is_compiled_in_place_if_asked_for(
    make: Callable[..., Trainer], asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    task = Brightness()
    make(task, compile=asked)
    assert compiled == ([task.module] if asked else [])
    assert set(task.module.state_dict()) == {"weight", "bias"}  # the names on disk are those of the plain module


# --- Training that fails ---


@pytest.mark.parametrize(("bad", "word"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_loss_that_is_no_number_stops_the_run(make: Callable[..., Trainer], bad: float, word: str) -> None:
    task = Diverging()
    task.bad = bad
    trainer = make(task, batch_size=16)
    with pytest.raises(RotnetError, match=rf"the loss is {word} at epoch 2, step \d: training diverged\. Lower lr"):
        trainer.fit()
    fresh = make(Brightness())
    history = fresh.resume.load(fresh.task.module, fresh.optimizers)
    assert [row["epoch"] for row in history] == [1]  # what was good is kept
    assert all(p.isfinite().all() for p in fresh.parameters)


class Breaking(Brightness):
    """The last training step's loss is a number, but its gradient is not: the slope of a root at zero."""

    def step(self, batch: Batch) -> Step:
        step = super().step(batch)
        if not self.module.training or len([call for call in self.calls if call[0]]) < 4:
            return step
        broken = sum((0 * p).abs().sqrt().sum() for p in self.module.parameters())
        return replace(step, loss=step.loss + broken)


def test_weights_that_break_in_the_very_last_step_are_noticed(make: Callable[..., Trainer]) -> None:
    with pytest.raises(RotnetError, match="diverged"):
        make(Breaking(), epochs=1).fit()


EARLY = StuckCheck(epochs=2, inputs=50)
"""So that a test need not train for long."""


def test_training_that_stays_at_chance_is_stopped(make: Callable[..., Trainer]) -> None:
    task = Guessing()
    with pytest.raises(RotnetError) as error:
        make(task, epochs=9, lr=0.25, stuck=EARLY).fit()
    for part in ("right is stuck at chance", "50.00 % after 2 epochs", "guessing gives 50.00 %", "now 0.25"):
        assert part in str(error.value)
    assert len(task.calls) == 2 * (4 + 1)


@pytest.mark.parametrize("epochs", [1, 2])
def test_it_is_not_judged_before_it_has_seen_enough(make: Callable[..., Trainer], epochs: int) -> None:
    later = StuckCheck(epochs=2, inputs=65)  # 2 epochs have 64
    assert len(make(Guessing(), epochs=epochs, stuck=later).fit()) == epochs


def test_training_that_learns_goes_on(make: Callable[..., Trainer]) -> None:
    assert len(make(Brightness(), epochs=5, stuck=EARLY).fit()) == 5


def test_a_task_that_promises_nothing_is_never_stopped(make: Callable[..., Trainer]) -> None:
    task = Guessing()
    task.metrics = {"right": Metric(chance=50.0)}
    assert len(make(task, epochs=5, stuck=EARLY).fit()) == 5


def test_by_default_a_few_epochs_on_little_data_prove_nothing(make: Callable[..., Trainer]) -> None:
    assert len(make(Guessing(), epochs=20).fit()) == 20


# --- Going on ---


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_goes_on_where_it_was(make: Callable[..., Trainer], epochs: int) -> None:
    whole = Brightness()
    expected = make(whole).fit()
    (Path.cwd() / "resume.safetensors").unlink()
    with pytest.raises(KeyboardInterrupt):
        make(Brightness(stop=epochs)).fit()
    second = Brightness()
    history = make(second).fit()
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert len([call for call in second.calls if call[0]]) == 4 * (3 - epochs)  # only what was left
    for column in ("lr", "train_loss", "train_right", "test_loss", "test_right"):
        assert [row[column] for row in history] == [row[column] for row in expected]
    for p, q in zip(second.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(p, q)


def test_what_follows_an_epoch_is_done_before_the_epoch_is_recorded(make: Callable[..., Trainer]) -> None:
    """So that a run that is killed in between does both again, and never the one without the other."""
    recorded: list[tuple[int, int]] = []

    def note(epoch: int) -> None:
        fresh = Brightness()
        optimizer = torch.optim.SGD(fresh.module.parameters(), lr=0.1)
        recorded.append((epoch, len(trainer.resume.load(fresh.module, [optimizer]))))

    trainer = make(Brightness(), after_epoch=note)
    trainer.fit()
    assert recorded == [(1, 0), (2, 1), (3, 2)]


def test_what_follows_an_epoch_is_done_again_if_its_end_was_not_recorded(make: Callable[..., Trainer]) -> None:
    done: list[int] = []

    def stopped_behind_the_second(epoch: int) -> None:
        done.append(epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(Brightness(), after_epoch=stopped_behind_the_second).fit()
    make(Brightness(), after_epoch=done.append).fit()
    assert done == [1, 2, 2, 3]


class Counting(Brightness):
    """Notes the epochs as they start, and fails in the third."""

    fails = True

    def __init__(self) -> None:
        super().__init__()
        self.started: list[tuple[int, int, int]] = []
        """(epoch, of how many, calls before it)."""

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        self.started.append((epoch.number, epoch.epochs, len(self.calls)))
        if epoch.number == 2 and self.fails:
            raise KeyboardInterrupt
        return super().before_epoch(epoch)


def test_a_task_is_told_of_every_epoch_before_it_is_trained_also_where_a_run_goes_on(make: Callable[..., Trainer]) -> None:
    """An epoch is four batches of training and one of testing."""
    first, second = Counting(), Counting()
    with pytest.raises(KeyboardInterrupt):
        make(first, epochs=4).fit()
    assert first.started == [(0, 4, 0), (1, 4, 5), (2, 4, 10)]
    second.fails = False
    make(second, epochs=4).fit()
    assert second.started == [(2, 4, 0), (3, 4, 5)]
