"""Learning rates against the published epochs."""

from typing import Any

import numpy as np
import pytest

from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.training.schedules import iteration_rate, learning_rate
from rotnet_lib.voc.classification_config import ClassificationConfig

STEPS = 390  # 50 000 images in batches of 128
DECOUPLING = [(90, 0.01), (40, 0.001), (60, 1e-4), (20, 1e-5), (20, 1e-4), (15, 1e-5)]
"""(epochs, rate), one after the other: up to 90, 130, 190, 210, 230, 245."""


def rates(config: TrainingConfig, steps: int = STEPS) -> np.ndarray:
    """(epochs, steps): the rate of every step."""
    count = config.epochs * steps
    return np.array([learning_rate(config, step, steps) for step in range(count)]).reshape(config.epochs, steps)


def probe(**parameters: Any) -> ProbeConfig:
    return ProbeConfig.build({"backbone": "random", "arch": "nin4", "dataset": "cifar10"} | parameters)


def linear(**parameters: Any) -> ProbeConfig:
    return probe(arch="alexnet", dataset="imagenet", classifier="linear", **parameters)


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (PretrainConfig.build({}), [(30, 0.1), (30, 0.02), (20, 0.004), (20, 0.0008)]),
        (PretrainConfig.build({"task": "labels", "arch": "nin3"}), [(30, 0.1), (30, 0.02), (20, 0.004), (20, 0.0008)]),
        (PretrainConfig.build({"epochs": 200}), [(60, 0.1), (60, 0.02), (40, 0.004), (40, 0.0008)]),
        (probe(classifier="nonlinear"), [(20, 0.1), (20, 0.02), (5, 0.004), (5, 0.0008)]),
        (probe(classifier="conv"), [(35, 0.1), (35, 0.02), (15, 0.004), (15, 0.0008)]),
        (PretrainConfig.build({"task": "decoupling", "arch": "alexnet"}), DECOUPLING),
        (PretrainConfig.build({"task": "decoupling"}), [(30, 0.1), (30, 0.02), (20, 0.004), (20, 0.0008)]),
        (linear(), [(5, 0.01), (10, 0.002), (10, 0.0004), (10, 0.00008)]),
        (linear(recipe="decoupling"), [(5, 0.01), (20, 0.002), (20, 0.0004), (20, 0.00008)]),
    ],
    ids=[
        *("pretext", "supervised", "released pretext", "nonlinear probe", "conv probe"),
        *("decoupling", "decoupling on NIN", "linear probe", "linear probe of decoupling's"),
    ],
)
def test_the_rate_of_every_epoch_is_the_published_one(config: TrainingConfig, published: list[tuple[int, float]]) -> None:
    expected = [rate for epochs, rate in published for _ in range(epochs)]
    assert config.epochs == len(expected)
    np.testing.assert_allclose(rates(config, steps=3), np.repeat(np.array(expected)[:, None], 3, axis=1), rtol=1e-12)


@pytest.mark.parametrize("epochs", [5, 7, 10, 15, 40])
def test_a_shorter_run_keeps_the_shape(epochs: int) -> None:
    found = rates(PretrainConfig.build({"epochs": epochs}), steps=4)
    assert (found == found[:, :1]).all()  # whole epochs
    falls = np.flatnonzero(np.diff(found[:, 0])) + 1
    np.testing.assert_allclose(falls / epochs, [0.3, 0.6, 0.8], atol=0.5 / epochs)  # to the nearest epoch
    np.testing.assert_allclose(found[[0, *falls], 0], [0.1, 0.02, 0.004, 0.0008])


@pytest.mark.parametrize("epochs", [1, 2, 3, 5])
def test_the_first_epoch_has_the_full_rate_however_short_the_run(epochs: int) -> None:
    np.testing.assert_allclose(rates(PretrainConfig.build({"epochs": epochs}), steps=4)[0], 0.1)


def test_a_list_has_a_factor_for_each_milestone() -> None:
    """The rate may rise too."""
    found = rates(PretrainConfig.build({"epochs": 10, "lr_milestones": [0.2, 0.5, 0.9], "lr_decay": [0.5, 10, 0.1]}), steps=2)
    np.testing.assert_allclose(found[:, 0], [0.1] * 2 + [0.05] * 3 + [0.5] * 4 + [0.05])


def test_milestones_that_fall_together_all_count() -> None:
    found = rates(PretrainConfig.build({"epochs": 2, "lr_milestones": [0.5, 0.6], "lr_decay": [0.1, 0.5]}), steps=2)
    np.testing.assert_allclose(found[:, 0], [0.1, 0.005])


def test_equal_factors_are_the_single_one() -> None:
    one, many = (PretrainConfig.build({"lr_decay": decay}) for decay in (0.2, [0.2, 0.2, 0.2]))
    assert rates(one, steps=2).tolist() == rates(many, steps=2).tolist()


def test_a_list_of_factors_holds_for_iterations_too() -> None:
    changes: dict[str, Any] = {"iterations": 10, "lr_milestones": [0.2, 0.5], "lr_decay": [0.1, 10]}
    config = ClassificationConfig.build({"backbone": "random", "lr": 0.3} | changes)
    found = [iteration_rate(config, iteration, 10) for iteration in range(10)]
    np.testing.assert_allclose(found, [0.3] * 2 + [0.03] * 3 + [0.3] * 5)


def test_no_milestones_mean_one_rate() -> None:
    assert set(rates(PretrainConfig.build({"epochs": 5, "lr_milestones": ()}), steps=3).flat) == {0.1}


def test_one_cycle_rises_over_a_quarter_and_falls_to_zero() -> None:
    config = PretrainConfig.build({"epochs": 10, "schedule": "one-cycle", "lr": 0.4})
    found = rates(config, steps=40).ravel()
    position = (np.arange(400) + 0.5) / 400  # the middle of each step
    np.testing.assert_allclose(found, np.interp(position, [0, 0.25, 1], [0, 0.4, 0]), rtol=1e-9)
    assert found.argmax() in (99, 100)
    assert found.max() == pytest.approx(0.4, rel=0.01)
    assert found.min() > 0
    assert found.mean() == pytest.approx(0.2, rel=0.001)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (1, 7), (3, 1)])
def test_one_cycle_of_a_few_steps_never_stands_still(epochs: int, steps: int) -> None:
    found = rates(PretrainConfig.build({"epochs": epochs, "schedule": "one-cycle"}), steps)
    assert (found > 0).all()
    assert (found <= 0.1).all()
