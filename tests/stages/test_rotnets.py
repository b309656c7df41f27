"""Which runs are RotNets, for the stages that ask them again."""

import os
from pathlib import Path

import pytest
import yaml

from rotnet_lib.stages.backbone_config import BackboneConfig
from rotnet_lib.stages.inspection import InspectConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.pu_weights import PuWeightsConfig


@pytest.mark.parametrize("schema", [InspectConfig, PuWeightsConfig])
def test_the_newest_run_is_one_that_predicts_rotations(schema: type[BackboneConfig], tmp_path: Path) -> None:
    for age, (name, task) in enumerate([("flipped", "flip"), ("turned", "rotation")]):
        directory = tmp_path / "runs" / name
        directory.mkdir(parents=True)
        made = PretrainConfig.build({"dataset": "shapes"}).model_dump(mode="json") | {"task": task}
        (directory / "parameters.yaml").write_text(yaml.safe_dump(made))
        (directory / "metrics.json").write_text("{}")
        os.utime(directory / "metrics.json", (1e9 - age, 1e9 - age))
    assert schema.build({}).backbone == "turned"
