"""The hours a suite would take, from rates: the arithmetic with made-up rates, and once with measured ones."""

import re

import pytest
import torch

from rotnet_lib.bench import estimate
from rotnet_lib.bench.loading import LoadingRates
from rotnet_lib.bench.training import TrainingRates
from rotnet_lib.errors import RotnetError
from rotnet_lib.suites.plan import Options

STEP, TEST = 0.8, 0.2
"""Seconds of a training step, and of evaluating as many images."""


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Rates of 8 images a step; notes what is measured."""
    measured: list[str] = []

    def measure(config, task, data, seconds, device):
        measured.append(f"{config.stage} {len(data.classes)} classes {data.image_size} pixels")
        return TrainingRates(inputs=32, images=8, step=STEP, load=0.1, test=TEST, flops=1e9)

    monkeypatch.setattr(estimate, "measure", measure)
    # AlexNet's weights take seconds to draw, and nothing is trained.
    for layer in (torch.nn.Conv2d, torch.nn.Linear):
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)
    monkeypatch.setattr(estimate, "loading_rates", lambda seconds, workers: LoadingRates(2000, 1800, 900, workers, 30))
    return measured


def hours(text: str) -> dict[str, float]:
    return {key.strip(): float(value) for key, value in re.findall(r"^([\w -]+?) +([\d.]+) h", text, re.MULTILINE)}


def test_hours_are_epochs_times_images_over_rates(made_up: list[str]) -> None:
    found = hours(estimate.report("table5", Options(preset="paper"), 1.0))
    train, test = 1_281_167, 50_000
    computing = (train * STEP + test * TEST) / 8 / 3600
    pretext = 30 * (computing + (train / 900 + test / 1800) / 3600)
    probe = 35 * (computing + (train / 1800 + test / 1800) / 3600)
    assert found["rotnet"] == found["supervised"] == pytest.approx(pretext, abs=0.006)
    assert found["linear-rotnet"] == pytest.approx(probe, abs=0.006)
    assert found["in all"] == pytest.approx(2 * pretext + 4 * probe, abs=0.006)


def test_other_methods_than_core_are_counted_where_they_are_asked_for(made_up: list[str]) -> None:
    found = hours(estimate.report("table5", Options(preset="paper", methods="jigsaw"), 1.0))
    train, test = 1_281_167, 50_000
    computing = (train * STEP + test * TEST) / 8 / 3600
    assert found["jigsaw"] == pytest.approx(70 * (computing + (train / 1800 + test / 1800) / 3600), abs=0.006)
    assert "rotnet" not in found


def test_what_costs_the_same_is_measured_once_on_data_like_the_suites(made_up: list[str]) -> None:
    estimate.report("table6", Options(preset="paper"), 1.0)
    assert sorted(made_up) == sorted(
        [
            *["pretrain 1000 classes 224 pixels"] * 2,  # labels, rotation
            *["pretrain 205 classes 224 pixels"] * 2,
            "probe 205 classes 224 pixels",
        ]
    )


def test_every_schedule_is_counted_as_long_as_it_is_and_measured_once(made_up: list[str]) -> None:
    text = estimate.report("decoupling-table5", Options(preset="paper"), 1.0)
    found = hours(text)
    for key in ("supervised", "random", "rescaled", "rotnet", "decoupling"):
        assert found[f"longer-{key}"] == pytest.approx(found[f"linear-{key}"] * 65 / 35, abs=0.02)
    assert found["decoupling"] == pytest.approx(found["rotnet"] * 245 / 30, abs=0.1)
    train, test = 1_281_167, 50_000
    assert f"245 epochs of {train:,} images" in text
    assert f"30 epochs of {train // 2:,} images" in text  # the fold's half is left out
    share = (train // 2 * STEP + test * TEST) / (train * STEP + test * TEST)
    assert share < found["rotnet-fold2"] / found["rotnet"] < 0.53  # files to read are counted as well
    assert "pu" not in found  # trains nothing
    assert sorted(made_up) == ["pretrain 1000 classes 224 pixels"] * 3 + ["probe 1000 classes 224 pixels"]


def test_a_set_in_memory_has_no_files_to_read(made_up: list[str]) -> None:
    text = estimate.report("table3", Options(preset="paper"), 1.0)
    assert "reading the files" not in text
    assert hours(text)["supervised"] == pytest.approx(100 * (50_000 * STEP + 10_000 * TEST) / 8 / 3600, abs=0.006)


def test_what_does_not_train_by_epochs_is_named_and_not_counted(made_up: list[str]) -> None:
    text = estimate.report("table3", Options(preset="paper", methods="exemplar"), 1.0)
    assert "exemplar" in hours(text)
    assert text.splitlines()[-1] == "not counted, since they do not train by epochs: exemplar-svm"
    with_voc = estimate.report("detection", Options(preset="paper"), 1.0)
    assert "not counted, since they do not train by epochs: detection-supervised, detection-random, " in with_voc


def test_every_seed_is_counted(made_up: list[str]) -> None:
    once = hours(estimate.report("table3", Options(preset="paper"), 1.0))
    thrice = hours(estimate.report("table3", Options(preset="paper", seeds=3), 1.0))
    assert [thrice[f"rotnet s{seed}"] for seed in range(3)] == [once["rotnet"]] * 3
    assert thrice["in all"] == pytest.approx(3 * once["in all"], abs=0.02)


def test_what_is_set_is_counted_as_it_is_set(made_up: list[str]) -> None:
    usual = hours(estimate.report("table3", Options(preset="paper"), 1.0))
    longer = hours(estimate.report("table3", Options(preset="paper", set="rotnet.epochs=500"), 1.0))
    assert longer["rotnet"] == pytest.approx(5 * usual["rotnet"], abs=0.03)
    assert longer["supervised"] == usual["supervised"]


def test_sizes_that_are_not_known_are_an_error(made_up: list[str]) -> None:
    with pytest.raises(RotnetError, match="how many images"):
        estimate.report("table5", Options(preset="short"), 1.0)


@pytest.mark.slow
def test_a_measured_estimate() -> None:
    found = hours(estimate.report("frozen-stem", Options(preset="quick"), 0.1))
    assert set(found) == {"supervised", "rotnet", "stem-random", "stem-rotnet", "in all"}
    assert found["in all"] > 0
