"""The GPU's path without a GPU: nothing mixes its tensors with the CPU's, and no training step waits for it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.models import ARCHS, CLASSIFIERS
from rotnet_lib.pretext import TASKS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAMES = [
    *(f"task {name}" for name in TASKS),
    *(f"arch {name}" for name in ARCHS),
    *("copies one", "copies shuffled", "eight angles", "random-crop", "resized-crop", "grey", "jitter", "one-cycle"),
    *("adversary", "few labels", "fold", "streamed"),
    *(f"{stage} {name}" for name in CLASSIFIERS for stage in ("probe", "finetune")),
    *("probe svm", "probe views", "probe alexnet", "knn", "voc_classification", "voc_segmentation"),
    *("voc_detection selective-search", "voc_detection rpn"),
]
COPIES = {"random-crop": 1, "resized-crop": 2, "jitter": 1, "streamed": 2, "task nat": 1}
"""Copies to the device in a step, of those that need any: images that were read, and what was drawn or matched on the CPU for
them."""
FROM_THE_DEVICE = {"task nat": 2}
"""Copies from the device in a step, of those that need any: SciPy matches a batch with targets, in every third epoch."""
MOST_OPERATIONS = 240
"""In a step of RotNet on NIN-4, with the loader; each is at least a kernel's launch, about 5 us on the host."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Case -> kind of event -> line -> events in a step."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(
        [sys.executable, "-m", "tests.rehearsal.cases", tmp_path_factory.mktemp("rehearsal")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment | {"TQDM_DISABLE": "1"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    result: dict[str, dict[str, Any]] = json.loads(run.stdout.splitlines()[-1])
    return result


def of_the_library(events: dict[str, float]) -> dict[str, float]:
    """Those of this library's lines, without what is shown once a second or kept every fiftieth of the iterations."""
    shown = ("_train_epoch", "_means")
    return {line: count for line, count in events.items() if "/rotnet_lib/" in line and not line.endswith(shown)}


def is_looked_at(line: str, count: float) -> bool:
    """Whether it is the loss that is shown once a second, or what the line search of an SVM's solver compares."""
    return (line.endswith("_train_epoch") and count < 1) or line.endswith("_by_lbfgs")


def test_everything_is_rehearsed(found: dict[str, dict[str, Any]]) -> None:
    assert sorted(found) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_without_mixing_devices(name: str, found: dict[str, dict[str, Any]]) -> None:
    assert "error" not in found[name], found[name]["error"]
    assert found[name]["operations"]["all"] > 50  # it was on the device


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("voc_")])
def test_no_step_waits_for_the_device(name: str, found: dict[str, dict[str, Any]]) -> None:
    waits = {line: count for line, count in found[name].get("waits", {}).items() if not is_looked_at(line, count)}
    assert waits == {}
    assert sum(found[name].get("to host", {}).values()) == FROM_THE_DEVICE.get(name, 0)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("voc_")])
def test_transfer_waits_in_other_libraries_alone(name: str, found: dict[str, dict[str, Any]]) -> None:
    allowed = ("_fast_rcnn_loss",)  # regions of the object's own class are picked by a mask
    waits = of_the_library(found[name].get("waits", {}))
    assert [line for line in waits if not line.endswith(allowed)] == []
    assert of_the_library(found[name].get("to host", {})) == {}


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("voc_")])
def test_little_is_copied_to_the_device(name: str, found: dict[str, dict[str, Any]]) -> None:
    most = COPIES.get(name, 0)
    assert sum(found[name].get("to device", {}).values()) <= most


def test_a_step_of_rotnet_has_few_operations(found: dict[str, dict[str, Any]]) -> None:
    assert found["task rotation"]["operations"]["all"] <= MOST_OPERATIONS


# --- The device itself ---

_SEEN = """
import torch
from tests.rehearsal import pretend_device
with pretend_device.running() as counts:
    x = torch.ones(3, device=pretend_device.DEVICE)
    x[x > 0]
    float(x.sum())
    x.cpu()
    try:
        x + torch.ones(3)
    except RuntimeError as error:
        print("mixes tensors" in str(error))
    print({kind: sum(n for (k, _), n in counts.items() if k == kind) for kind, _ in counts})
"""


def test_it_sees_waits_copies_and_mixes() -> None:
    run = subprocess.run([sys.executable, "-c", _SEEN], cwd=ROOT, capture_output=True, text=True, check=True)
    mixed, counts = run.stdout.splitlines()
    assert mixed == "True"
    assert (found := eval(counts))["waits"] == 2
    assert found["to host"] == 1
