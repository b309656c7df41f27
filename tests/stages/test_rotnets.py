"""Which runs are RotNets, for the stages that ask them again."""

import os
from pathlib import Path

from rotnet_lib.runs.directory import METRICS, RunDirectory, run_name
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.pu_weights import PuWeightsConfig
from tests.results import finish


def test_the_newest_run_is_one_that_predicts_rotations() -> None:
    rotnet = PretrainConfig.build({"dataset": "shapes"})
    for age, config in enumerate([rotnet.model_copy(update={"task": "flip"}), rotnet]):
        run = RunDirectory(Path.cwd() / "runs" / run_name(config, config.task, "0123"))
        finish(run, config, "0123")
        os.utime(run.path / METRICS, (1e9 - age, 1e9 - age))
    assert PuWeightsConfig.build({}).backbone == run.name
