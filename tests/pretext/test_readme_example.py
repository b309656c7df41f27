"""The README's example of a pretext task is a pretext task."""

import re
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.task import Step

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_trains(tiny: dict[str, Any]) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    names = {name.__name__: name for name in (BaseModel, ConfigDict, Batch, Dataset, Backbone, Network, PretextTask, Step)}
    try:
        exec(found[1], names | {"TASKS": TASKS, "torch": torch})
        outcome = pretrain(PretrainConfig.build(tiny | {"task": "flip", "arch": "nin3"}))
    finally:
        TASKS._entries.pop("flip", None)
    assert 0 <= outcome.result.metrics["flip_top1"].last <= 100
    assert outcome.result.training
    assert outcome.result.training.inputs == 2 * 16 * 2  # two copies of each image, two batches of 16
    assert set(outcome.result.by_target["flip_top1"]) == {"as it is", "flipped"}
