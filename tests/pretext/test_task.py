"""The register of pretext tasks and their options."""

from typing import Any

import pytest

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext import make_task
from rotnet_lib.pretext.labels import Labels
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.pretext.rotation_instance import RotationInstance
from rotnet_lib.pretext.task import task_options


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        (
            "rotaton",
            {},
            ["unknown pretext task 'rotaton'", "did you mean 'rotation'?", "Allowed: bigan, ", "jigsaw, labels"],
        ),
        ("rotation", {"angels": [0, 90]}, ["task option 'angels' of rotation", "did you mean 'angles'?", "angles, copies"]),
        ("rotation", {"angles": [0, 360]}, ["task_options.angles", "360 degrees occurs twice"]),
        ("rotation", {"angles": "upright"}, ["task_options.angles"]),
        ("rotation", {"angles": [0, "left"]}, ["task_options.angles.1"]),
        ("rotation", {"gamma": 0}, ["task_options.gamma", "greater than 0"]),
        ("rotation-instance", {"copies": "one"}, ["task_options.copies", "in one batch: all, not 'one'"]),
        ("rotation-instance", {"temprature": 1}, ["of rotation-instance", "did you mean 'temperature'?"]),
        ("labels", {"angles": [0, 90]}, ["task option 'angles' of labels", "Allowed: none"]),
    ],
)
def test_what_is_wrong_is_named(name: str, options: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(RotnetError) as error:
        task_options(name, options)
    for part in parts:
        assert part in str(error.value)


def test_options_left_out_are_the_papers() -> None:
    rotation = {"angles": (0, 90, 180, 270), "copies": "all", "crop_for": (), "gamma": 2, "pu_after": 0}
    assert task_options("rotation", {}).model_dump() == rotation
    bank = {"temperature": 0.07, "momentum": 0.5, "dimension": 128, "bank": "empty"}
    instance = bank | {"instance_weight": 1, "negatives": None}
    decoupling = bank | {"lambda_c": 1, "lambda_r": 1, "lambda_n": 1, "negatives": 4096, "pu_after": 6 / 7}
    assert task_options("decoupling", {}).model_dump() == rotation | decoupling
    assert task_options("rotation-instance", {}).model_dump() == rotation | instance


@pytest.mark.parametrize(
    ("name", "kind"), [("rotation", Rotation), ("labels", Labels), ("rotation-instance", RotationInstance)]
)
def test_a_task_is_made_by_name(name: str, kind: type, shapes_data: Dataset) -> None:
    backbone = make_backbone("nin3", width=0.05, mean=shapes_data.mean, std=shapes_data.std)
    task = make_task(name, backbone, shapes_data, {})
    assert isinstance(task, kind)
    assert task.module.backbone is backbone
