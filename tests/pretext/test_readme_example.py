"""The README's example of a pretext task is a pretext task."""

import re
from pathlib import Path
from typing import Any

from rotnet_lib.pretext import TASKS
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_trains(tiny: dict[str, Any]) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    try:
        exec(found[1], {"__name__": "flip"})
        outcome = pretrain(PretrainConfig.build(tiny | {"task": "flip", "arch": "nin3"}))
    finally:
        TASKS.remove("flip")
    assert 0 <= outcome.result.metrics["flip_top1"].last <= 100
    assert outcome.result.training
    assert outcome.result.training.inputs == 2 * 16 * 2  # two copies of each image, two batches of 16
    assert set(outcome.result.by_target["flip_top1"]) == {"as it is", "flipped"}
