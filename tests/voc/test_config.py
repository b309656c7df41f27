"""What the VOC stages' configs share: whose backbone, prepared how, on which data."""

import re
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.voc.config import VocConfig


class Config(VocConfig):
    stage = "voc_detection"
    task = "detection"


@pytest.mark.parametrize("backbone", ["random", "random-rescaled"])
def test_an_untrained_backbone_is_an_alexnet_of_width_1_unless_told(backbone: str) -> None:
    config = Config.build({"backbone": backbone})
    assert (config.arch, config.width, config.dataset) == ("alexnet", 1.0, "voc2007")


@pytest.mark.parametrize(("backbone", "rescale"), [("random", False), ("random-rescaled", True), ("some-run", True)])
def test_all_but_plain_random_weights_are_rescaled(backbone: str, rescale: bool) -> None:
    config = Config.build({"backbone": backbone, "arch": "alexnet", "width": 1.0})
    assert config.rescale is rescale
    assert config.protocol_differences() == {}
    other = Config.build({"backbone": backbone, "arch": "alexnet", "width": 1.0, "rescale": not rescale})
    assert other.protocol_differences() == {"rescale": [rescale, not rescale]}


def test_the_schedule_is_the_stages() -> None:
    config = Config.build({"backbone": "random"})
    assert (config.iterations, config.batch_size, config.lr, config.lr_milestones) == (200_000, 2, 0.001, (0.4, 0.8))


def test_the_data_do_not_follow_the_backbones_run(pretrained: Any) -> None:
    run = pretrained(arch="alexnet", image_size=40)
    config = Config.build({"backbone": run.name})
    assert (config.dataset, config.train_size, config.test_size) == ("voc2007", None, None)
    assert config.width == run.result().parameters["width"]


def test_newest_is_the_newest_with_fully_connected_layers(pretrained: Any) -> None:
    alexnet = pretrained(arch="alexnet", image_size=40)
    pretrained()  # a NIN, later
    assert Config.build({}).backbone == alexnet.name


def test_newest_may_have_been_trained_on_any_data(pretrained: Any) -> None:
    alexnet = pretrained(arch="alexnet", image_size=40)
    assert Config.build({"dataset": "scenes:128"}).backbone == alexnet.name


def test_without_a_run_that_fits_it_says_which_command_makes_one(pretrained: Any) -> None:
    pretrained()  # a NIN
    with pytest.raises(RotnetError, match=r"pretrain --preset quick -p arch alexnet`.*-p backbone random -p arch alexnet\."):
        Config.build({"dataset": "scenes:128"})


def test_an_arch_without_fc7_is_refused() -> None:
    with pytest.raises(
        RotnetError, match=re.escape("voc_detection: nin4 has no layer fc7 to build on. Allowed: alexnet, alexnet-split.")
    ):
        Config.build({"backbone": "random", "arch": "nin4"})


def test_an_unknown_set_is_named_with_the_nearest_match() -> None:
    with pytest.raises(RotnetError, match=r"voc2077.*voc2007"):
        Config.build({"backbone": "random", "dataset": "voc2077"}).fingerprint()


def test_the_run_is_named_by_task_and_backbone() -> None:
    assert Config.build({"backbone": "random"}).describe("more") == "voc-detection-random-alexnet-more"
    kept = {"backbone": "some-run", "arch": "alexnet", "width": 1.0, "checkpoint": 0.2}
    assert Config.build(kept).describe() == "voc-detection-alexnet-at-0.2"
