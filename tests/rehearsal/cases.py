"""What is rehearsed on the pretend device: every task, classifier, augmentation and VOC engine, tiny.

Run as `python -m tests.rehearsal.cases FOLDER`, in a process of its own, since the pretend device changes torch for good.
Prints JSON: case -> kind of event -> line of code -> how often it happened in a training step.
"""

import collections
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.rehearsal import pretend_device  # first

Counts = dict[str, dict[str, float]]

_SHORT, _LONG = 2, 4
"""Steps of two runs, whose difference is what the steps do: what comes before and after them is the same."""


class Case(NamedTuple):
    """A run on the pretend device: a stage's name and its parameters."""

    name: str
    stage: str
    parameters: dict[str, Any]


def cases() -> Iterator[Case]:
    """What is rehearsed. A new task, classifier or backbone comes in by itself."""
    from rotnet_lib.models import ARCHS, CLASSIFIERS
    from rotnet_lib.pretext import TASKS

    tiny = {"dataset": "shapes", "test_size": 8, "width": 0.05, "epochs": 1, "batch_size": 8, "threads": 1}
    for task in TASKS:
        arch = (*TASKS[task].archs, "nin4")[0]
        yield Case(f"task {task}", "pretrain", tiny | {"arch": arch, "task": task, "augment": "pad-crop"})
    for arch in ARCHS:
        size = {"image_size": 64} if ARCHS[arch].benchmark == "imagenet" else {}
        yield Case(f"arch {arch}", "pretrain", tiny | size | {"arch": arch, "augment": "pad-crop"})
    changes: dict[str, dict[str, Any]] = {
        "copies one": {"task_options": {"copies": "one"}},
        "copies shuffled": {"task_options": {"copies": "shuffled"}},
        "eight angles": {"task_options": {"angles": [0, 45, 90, 135, 180, 225, 270, 315]}},
        "random-crop": {"augment": "random-crop", "crop_pct": 0.8},
        "resized-crop": {"augment": "resized-crop"},
        "grey": {"grey": True},
        "jitter": {"colour_jitter": 0.4},
        "one-cycle": {"schedule": "one-cycle"},
        "adversary": {"task": "context-encoder", "augment": "pad-crop", "task_options": {"adversary": 0.1}},
        "few labels": {"task": "labels", "labels_per_class": 1},
        "fold": {"fold": "1/2"},
        "streamed": {"dataset": f"imagefolder:{photographs()}", "image_size": 32, "stream": True, "workers": 0},
    }
    for name, change in changes.items():
        yield Case(name, "pretrain", tiny | {"arch": "nin3"} | change)
    untrained = tiny | {"backbone": "random", "arch": "nin4"}
    for classifier in CLASSIFIERS:
        yield Case(f"probe {classifier}", "probe", untrained | {"classifier": classifier, "layer": "conv1,conv2"})
        yield Case(f"finetune {classifier}", "finetune", untrained | {"classifier": classifier, "layer": "conv2"})
    without_steps = {name: value for name, value in untrained.items() if name not in ("epochs", "batch_size")}
    yield Case("probe svm", "probe", without_steps | {"classifier": "svm", "layer": "conv1", "grid": 16})
    yield Case("probe views", "probe", untrained | {"classifier": "linear", "layer": "conv2", "views": "rotated"})
    alexnet = {"backbone": "random-rescaled", "arch": "alexnet", "image_size": 64, "width": 0.02, "layer": "all"}
    yield Case("probe alexnet", "probe", tiny | alexnet | {"classifier": "linear", "augment": "pad-crop"})
    yield Case("knn", "knn", without_steps | {"neighbours": 5})
    voc = {
        "backbone": "random",
        "dataset": "scenes:64",
        "width": 0.05,
        "batch_size": 2,
        "test_size": 2,
        "threads": 1,
        "workers": 0,
    }
    yield Case("voc_classification", "voc_classification", voc | {"image_size": 64, "crops": 2, "trained": "all"})
    yield Case("voc_segmentation", "voc_segmentation", voc | {"image_size": 64})
    detection = voc | {"train_scales": [64], "test_scale": 64, "engine": "torchvision"}
    for proposals in ("selective-search", "rpn"):
        yield Case(f"voc_detection {proposals}", "voc_detection", detection | {"proposals": proposals})


def photographs() -> Path:
    """A folder of JPEG files: 48 training images and 8 test images, of two classes."""
    import numpy as np
    from PIL import Image

    root = Path("photographs").absolute()
    for split, count in {"train": 24, "test": 4}.items():
        for number, name in ((number, name) for name in ("cat", "dog") for number in range(count)):
            path = root / split / name / f"{number}.jpg"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = np.random.default_rng([number, len(split), len(name)]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(noise).save(path)
    return root


def counted(case: Case, steps: int) -> collections.Counter[tuple[str, str]]:
    """The events of a run of so many steps, from its start to its end."""
    import rotnet_lib.voc  # noqa: F401  # registers its stages
    from rotnet_lib.data.loader import TEST_BATCH
    from rotnet_lib.stages import STAGES

    shutil.rmtree("runs", ignore_errors=True)
    schema = STAGES[case.stage].config
    if "iterations" in schema.model_fields:
        length = {"iterations": steps, "train_size": 8}
    else:
        batch = case.parameters.get("batch_size", TEST_BATCH)  # where nothing is trained, a batch of images is a step
        length = {"train_size": steps * batch * (2 if "fold" in case.parameters else 1)}
    config = schema.build(length | case.parameters)
    with pretend_device.running() as counts:
        STAGES[case.stage].run(config)
        return collections.Counter(counts)


def a_step(case: Case) -> Counts:
    """Kind -> line -> events in a step."""
    more = counted(case, _LONG)
    more.subtract(counted(case, _SHORT))
    found: Counts = collections.defaultdict(dict)
    for (kind, line), count in more.items():
        if count:
            found[kind][line] = count / (_LONG - _SHORT)
    return found


def main(folder: str) -> None:
    """Rehearse everything in a folder."""
    from rotnet_lib.training import devices

    devices.KINDS = (*devices.KINDS, pretend_device.NAME)
    os.chdir(folder)
    os.environ |= {"ROTNET_DATA": folder, "ROTNET_CACHE": f"{folder}/cache"}
    found: dict[str, Any] = {}
    for case in cases():
        try:
            found[case.name] = a_step(case)
        except Exception:  # whatever it is, the test of this case shows it, and the others go on
            found[case.name] = {"error": traceback.format_exc()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
