"""Methods beside RotNet for tests: entries of `methods.yaml` whose tasks are there, in a file of the test's own."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotnet_lib.suites import methods
from rotnet_lib.suites.documents import METHODS, SUITES, read_document

INSTANCE: dict[str, Any] = {
    "title": "RotNet with instances",
    "label": "Instances",
    "labels": {"table5": "Context (Doersch et al., 2015)"},
    "task": "rotation-instance",
    "needs": "an upright and memory for a bank",
    "options": {"cifar10": {"dimension": 64, "momentum": 0.6}, "imagenet": {"angles": [0, 180]}},
    "presets": {
        "quick": {
            "cifar10": {"epochs": 3, "lr": 0.03, "task_options": {"gamma": 1.5, "dimension": 16}},
            "imagenet": {"epochs": 4},
        }
    },
    "deviations": {
        "all": ["The bank is that of Wu et al., 2018."],
        "cifar10": ["Its images are small."],
        "imagenet": ["Its network is an AlexNet."],
    },
}
"""A method that is published in table 5 and in no other."""

SPLIT: dict[str, Any] = {"title": "Decoupling", "label": "Decoupling", "task": "decoupling", "needs": "an upright"}
"""A method of which nothing is published."""


def use_methods(folder: Path, monkeypatch: pytest.MonkeyPatch, **others: dict[str, Any]) -> None:
    """Put a `methods.yaml` into a folder of the test, with RotNet and others, and take the methods from there."""
    document = {"rotnet": read_document(METHODS, SUITES)["rotnet"], **others}
    (folder / f"{METHODS}.yaml").write_text(yaml.safe_dump(copy.deepcopy(document), sort_keys=False))
    monkeypatch.setattr(methods, "FOLDER", folder)
