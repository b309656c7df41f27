"""What a task may bring of its own: optimisers, metrics of any kind, looks at all images, an order, a last word."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.data.loader import Batch, Loader
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.image_pass import ImagePass
from rotnet_lib.training.shares import Share
from rotnet_lib.training.task import Epoch, EpochStart, Step
from rotnet_lib.training.trainer import StuckCheck, Trainer, measured
from tests.training.toys import Adversaries, Brightness, Players, light_and_dark

Make = Callable[..., Trainer]


# --- Optimisers ---


class Grouped(Brightness):
    """The bias learns at a tenth of the rate, without decay."""

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        groups: list[dict[str, Any]] = [
            {"params": [self.module.weight]},
            {"params": [self.module.bias], "lr_factor": 0.1, "weight_decay": 0.0},
        ]
        return (torch.optim.SGD(groups, lr=config.lr, weight_decay=config.weight_decay),)


def test_a_group_of_parameters_has_a_rate_and_a_decay_of_its_own(make: Make) -> None:
    task = Grouped()
    trainer = make(task, epochs=1, lr=0.5, lr_milestones=[], batch_size=32, weight_decay=0.3)
    with torch.no_grad():
        task.module.weight.fill_(1.0)
        task.module.bias.fill_(1.0)
    batch = next(trainer.loader.epoch(0))
    step = task.step(batch)
    of_weight, of_bias = torch.autograd.grad(step.loss, [task.module.weight, task.module.bias])
    trainer.fit()
    torch.testing.assert_close(task.module.weight.detach(), 1 - 0.5 * (of_weight + 0.3))
    torch.testing.assert_close(task.module.bias.detach(), 1 - 0.05 * of_bias)


def test_adversaries_move_as_by_backward_passes_of_their_own(make: Make) -> None:
    """To the last bit."""
    task = Adversaries()
    trainer = make(task, epochs=3, lr=0.01, lr_milestones=[])
    alone = Players()
    optimizers = [torch.optim.Adam(player.parameters(), lr=0.01, betas=(0.5, 0.999)) for player in alone.children()]
    for epoch in range(3):
        for batch in trainer.loader.epoch(epoch):
            images = batch.images.double().mean(dim=(2, 3)) / 128 - 1
            losses = alone.losses(images, batch.randint(1000, 2).double() / 500 - 1)
            for loss, player in zip(losses, alone.children(), strict=True):
                gradients = torch.autograd.grad(loss, list(player.parameters()))
                for parameter, gradient in zip(player.parameters(), gradients, strict=True):
                    parameter.grad = gradient
            for optimizer in optimizers:
                optimizer.step()
    history = trainer.fit()
    for name, tensor in alone.state_dict().items():
        assert torch.equal(task.module.state_dict()[name], tensor), name
    assert {"train_loss", "train_loss_g", "train_loss_d"} <= history[-1].keys()


def test_a_run_with_several_optimisers_goes_on_to_the_last_bit(make: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(Adversaries(stop=2), epochs=4, lr=0.01).fit()
    resumed = Adversaries()
    make(resumed, epochs=4, lr=0.01).fit()
    whole = Adversaries()
    trainer = make(whole, epochs=4, lr=0.01)
    trainer.resume.path.unlink()
    trainer.fit()
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[name], tensor), name


class Dropping(Brightness):
    """A network that draws at random itself."""

    def step(self, batch: Batch) -> Step:
        kept = nn.functional.dropout(batch.images.float(), 0.5, self.module.training)
        return super().step(replace(batch, images=kept))


def test_a_run_with_dropout_goes_on_to_the_last_bit(make: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(Dropping(stop=1)).fit()
    torch.rand(7)  # whatever else was drawn in between
    resumed = Dropping()
    make(resumed).fit()
    whole = Dropping()
    trainer = make(whole)
    trainer.resume.path.unlink()
    trainer.fit()
    for first, second in zip(resumed.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(first, second)


# --- Metrics ---


class Measuring(Brightness):
    """An error, a ratio in decibels, and something that means nothing on the test split; no targets."""

    metrics: Mapping[str, Metric] = {
        "right": Metric(chance=50.0),
        "error": Metric(unit="", better="lower"),
        "psnr": Metric(unit="dB"),
        "agreement": Metric(unit="", tested=False),
        "remembered": Metric(unit="", tested=False),
    }

    def __init__(self, errors: Sequence[float]) -> None:
        super().__init__()
        self.errors = iter(errors)
        self.epoch = 0
        self.target_names = ()

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        self.epoch = epoch.number
        return EpochStart(values={"agreement": 0.25 * epoch.number})

    def measure(self, images: ImagePass) -> Mapping[str, float]:
        assert not self.module.training
        assert not torch.is_grad_enabled()
        return {"remembered": len(images) * (1.0 + self.epoch)}

    def step(self, batch: Batch) -> Step:
        step = super().step(batch)
        n = len(batch)
        values = {"error": torch.full((n,), 3.0), "psnr": torch.full((2 * n,), 20.0 + self.epoch)}
        return replace(step, values={**step.values, **values}, targets=None)

    def evaluate(self, batch: Batch) -> Step:
        step = self.step(batch)
        return replace(step, values={**step.values, "error": torch.full((len(batch),), next(self.errors))})


def test_metrics_of_any_kind_are_means_in_their_unit(make: Make) -> None:
    trainer = make(Measuring([5.0, 2.0, 4.0, 4.0]))
    history = trainer.fit()
    assert [row["test_error"] for row in history] == [5.0, 2.0, 4.0]
    assert [row["train_psnr"] for row in history] == [20.0, 21.0, 22.0]
    assert [row["train_agreement"] for row in history] == [0.0, 0.25, 0.5]
    images = len(trainer.images)
    assert [row["train_remembered"] for row in history] == [images, 2 * images, 3 * images]
    assert not {"test_agreement", "test_remembered"} & history[-1].keys()
    shares = trainer.gather_shares()
    assert shares == {"right": Share(20)}  # there are no targets, and the others count no answers
    found = measured(trainer.task.metrics, history, shares)
    assert (found["error"].last, found["error"].best, found["error"].best_epoch) == (4.0, 2.0, 2)  # lower is better
    assert (found["psnr"].last, found["psnr"].best, found["psnr"].best_epoch) == (22.0, 22.0, 3)
    assert (found["agreement"].last, found["agreement"].best, found["agreement"].tested) == (0.5, None, False)
    assert [value.text for value in found.values()][1:4] == ["4.00", "22.00 dB", "0.500"]
    assert [value.images for value in found.values()] == [20, None, None, None, None]


@pytest.mark.parametrize("leaves", [True, False])
def test_training_is_stuck_only_where_a_metric_must_leave_chance(make: Make, leaves: bool) -> None:
    task = Measuring([1.0] * 9)
    task.metrics = {**task.metrics, "right": Metric(chance=99.5, leaves_chance=leaves)}
    trainer = make(task, epochs=3, stuck=StuckCheck(epochs=2, inputs=1))
    if not leaves:
        trainer.fit()
        return
    with pytest.raises(RotnetError, match="right is stuck at chance"):
        trainer.fit()


class Careless(Brightness):
    """It forgets a parameter, measures what it does not declare, or what is no number."""

    def __init__(self, measured: Mapping[str, float]) -> None:
        super().__init__()
        self.measured = measured

    def step(self, batch: Batch) -> Step:
        step = super().step(batch)
        values = {name: torch.full((len(batch),), value) for name, value in self.measured.items()}
        return replace(step, values={**step.values, **values})


def test_what_is_measured_must_be_declared(make: Make) -> None:
    with pytest.raises(ValueError, match="the task measures 'rigth', and declares right"):
        make(Careless({"rigth": 1.0})).fit()


def test_what_is_measured_between_epochs_is_not_of_the_test_split(make: Make) -> None:
    task = Measuring([1.0] * 9)
    task.metrics = {**task.metrics, "remembered": Metric(unit="")}
    with pytest.raises(ValueError, match="the task measures 'remembered' of its training images between epochs"):
        make(task).fit()


def test_what_is_declared_must_be_measured_on_the_test_split(make: Make) -> None:
    task = Careless({})
    task.metrics = {**task.metrics, "error": Metric(unit="", better="lower")}
    with pytest.raises(ValueError, match="metric 'error' was not measured on the test split"):
        make(task).fit()


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_metric_that_is_no_number_is_named(make: Make, bad: float) -> None:
    task = Careless({"psnr": bad})
    task.metrics = {**task.metrics, "psnr": Metric(unit="dB")}
    with pytest.raises(RotnetError, match=f"train_psnr is {bad} at epoch 1"):
        make(task).fit()


def test_metrics_in_half_precision_are_summed_in_full(make: Make) -> None:
    task = Careless({})
    task.metrics = {**task.metrics, "share": Metric()}
    step = task.step

    def half(batch: Batch) -> Step:
        found = step(batch)
        return replace(found, values={**found.values, "share": torch.full((len(batch),), 0.7, dtype=torch.bfloat16)})

    task.step = half  # type: ignore[method-assign]
    history = make(task, epochs=1, images=4000).fit()
    assert history[0]["train_share"] == pytest.approx(100 * torch.tensor(0.7, dtype=torch.bfloat16).item(), rel=1e-4)


class Forgetful(Brightness):
    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        return (torch.optim.SGD([self.module.weight], lr=config.lr),)


def test_a_parameter_that_no_optimiser_has_is_named(make: Make) -> None:
    with pytest.raises(ValueError, match="bias is a parameter of 0 optimisers"):
        make(Forgetful())


def test_only_accuracies_must_leave_chance() -> None:
    with pytest.raises(ValueError, match="in percent of which higher is better"):
        Metric(unit="dB", leaves_chance=True)


# --- Looks at all training images ---


class Looking(Brightness):
    """Looks at all images before each epoch, and draws the light ones alone."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []
        self.drawn: list[int] = []
        self.modes: list[bool] = []

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        def rows(batch: Batch) -> torch.Tensor:
            self.modes.append(self.module.training)
            return batch.images.float().mean(dim=(1, 2, 3))[:, None]

        found, present = epoch.images.gather(rows)
        assert present.all()
        assert epoch.images.spread(3).shape == (3, 3, 8, 8)
        self.seen.append(found)
        light = (found[:, 0] > 128).nonzero()[:, 0]
        return EpochStart(order=light[torch.randint(len(light), (epoch.entries,), generator=epoch.rng)])

    def step(self, batch: Batch) -> Step:
        if self.module.training:
            self.drawn += batch.index.tolist()
        return super().step(batch)


def test_a_task_looks_at_all_images_and_says_which_are_drawn(make: Make) -> None:
    task = Looking()
    trainer = make(task, epochs=2, images=130)  # more than a batch
    trainer.fit()
    split = light_and_dark(130)
    expected = split.images.float().mean(dim=(1, 2, 3))[:, None]
    assert len(task.seen) == 2
    torch.testing.assert_close(task.seen[0], expected)
    assert not any(task.modes)
    assert len(task.drawn) == 2 * 16 * 8
    assert set(split.labels[task.drawn].tolist()) == {1}
    again = Looking()
    trainer = make(again, epochs=2, images=130)
    trainer.resume.path.unlink()
    trainer.fit()
    assert again.drawn == task.drawn  # a function of the seed


def test_an_order_is_as_long_as_the_epoch_is(make: Make) -> None:
    """Which may draw more images than there are, as with few labels."""
    task = Looking()
    trainer = make(task, epochs=1)
    trainer.loader = Loader(light_and_dark(32), 8, seed=0, augment="none", epoch_images=80)
    trainer.fit()
    assert len(task.drawn) == 80


def test_an_order_of_another_length_is_refused() -> None:
    loader = Loader(light_and_dark(8), 4, seed=0, augment="none")
    with pytest.raises(ValueError, match="8 entries, and an order of 3"):
        next(loader.epoch(0, torch.arange(3)))


def test_some_of_the_images_are_gathered_alone() -> None:
    split = light_and_dark(301)
    read: list[int] = []

    def row(batch: Batch) -> torch.Tensor:
        read.extend(batch.index.tolist())
        return batch.images.float().mean((1, 2, 3))[:, None]

    images = ImagePass(split, nn.Identity())
    some = torch.arange(300, 0, -2)
    found, present = images.gather(row, some)
    assert read == some.tolist()
    every, _ = images.gather(row)
    assert found.shape == every.shape == (301, 1)
    assert torch.equal(found[some], every[some])
    assert present.nonzero()[:, 0].tolist() == sorted(some.tolist())
    assert not found[~present].any()


def test_images_are_spread_over_the_set() -> None:
    split = light_and_dark(101)
    images = ImagePass(split, nn.Identity())
    assert torch.equal(images.spread(5).permute(0, 2, 3, 1), split.images[[0, 25, 50, 75, 100]])
    assert len(images.spread(500)) == 101


def test_a_mean_over_no_entries_is_never_asked_for(make: Make) -> None:
    task: Any = Measuring([1.0])
    assert math.isfinite(make(task, epochs=1, tests=1).fit()[-1]["test_psnr"])
