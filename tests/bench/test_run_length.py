"""How long a run would take: which are measured, and what is said."""

from typing import Any

import pytest

from rotnet_lib.bench.run_length import is_large, say, sentence
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.suites.resolve import configure

RANDOM = {"backbone": "random", "arch": "nin4", "dataset": "shapes"}


def planned(notebook: str, parameters: dict[str, Any], preset: str = "none") -> TrainingConfig:
    config = configure(notebook, parameters, preset)
    assert isinstance(config, TrainingConfig)
    return config


@pytest.mark.parametrize(
    ("notebook", "parameters", "preset", "large"),
    [
        ("pretrain", {}, "quick", False),
        ("pretrain", {"arch": "alexnet"}, "quick", False),
        ("pretrain", {"task": "decoupling"}, "quick", False),
        ("pretrain", {}, "paper", True),
        ("pretrain", {}, "none", True),
        ("pretrain", {"dataset": "shapes"}, "none", True),
        ("pretrain", {"dataset": "shapes", "epochs": 1}, "none", False),
        ("probe", RANDOM | {"width": 0.125, "image_size": 24, "train_size": 4000}, "none", False),
        ("probe", RANDOM | {"width": 0.125, "image_size": 64, "train_size": 4000, "arch": "alexnet"}, "none", True),
        ("voc_classification", {"backbone": "random"}, "none", True),
        ("voc_classification", {"backbone": "random"}, "quick", False),
        ("voc_detection", {"backbone": "random"}, "quick", False),
        ("voc_segmentation", {"backbone": "random"}, "quick", False),
    ],
)
def test_what_could_take_more_than_ten_minutes(notebook: str, parameters: dict[str, Any], preset: str, large: bool) -> None:
    assert is_large(configure(notebook, parameters, preset)) == large


def test_the_sentence_counts_from_beginning_to_end() -> None:
    config = PretrainConfig.build({})
    assert sentence(config, 0.1, 1000, "CPU") is None
    assert sentence(config, 0.5, 1234.4, "CPU") == (
        "about 30 minutes on this machine (CPU): 100 epochs of 50,000 images at 1,234 per second."
    )
    assert str(sentence(config, 36.04, 39, "CPU")).startswith("about 36.0 hours on this machine")
    streamed = sentence(PretrainConfig.build({"arch": "alexnet"}), 36, 39, "CPU")
    assert str(streamed).endswith("images at 39 per second; reading its files is not counted.")


def test_what_is_not_measured_is_said_so() -> None:
    assert "not measured here" in str(say(configure("voc_detection", {"backbone": "random"}, "none")))
    assert "on 4 processes (not measured here)" in str(say(PretrainConfig.build({"gpus": 4})))
    assert say(ProbeConfig.build(RANDOM | {"epochs": 1, "train_size": 40})) is None


@pytest.mark.slow
def test_a_measured_run() -> None:
    told = say(PretrainConfig.build({"dataset": "shapes", "epochs": 3000, "device": "cpu", "threads": 1}))
    assert str(told).startswith("about ")
    assert "3000 epochs of 5,000 images at" in str(told)


@pytest.mark.slow
def test_a_measurement_that_fails_stops_nothing() -> None:
    told = say(PretrainConfig.build({"device": "cuda"}))
    assert "could not be measured" in str(told) or "about " in str(told)  # where there is a GPU
