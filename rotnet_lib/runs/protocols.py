"""The published protocol's values of parameters (docs/protocol.md), by benchmark and stage.

Those of a pretext task stand beside it (`PretextTask.protocol`).

A benchmark is the dataset that an arch was published on: `Arch.benchmark`.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Literal

from rotnet_lib.models import ARCHS

Values = Mapping[str, Any]

Recipe = Literal["rotnet", "decoupling"]
"""The publication whose schedule a probe follows, where two differ."""

KIND = ("task", "classifier", "recipe")
"""The parameters that decide a run's kind (see `kind_of`), the most general first."""

# Milestones are fractions of the epochs (see `TrainingConfig.lr_milestones`).
_CIFAR10_SHORT: Values = {"epochs": 50, "lr_milestones": (0.4, 0.8, 0.9)}  # x0.2 after 20, 40, 45
_CIFAR10_LONG: Values = {"epochs": 100, "lr_milestones": (0.35, 0.7, 0.85)}  # x0.2 after 35, 70, 85
_CIFAR10_CLASSIFIERS: Mapping[str, Values] = {
    "nonlinear": _CIFAR10_SHORT,
    "linear": _CIFAR10_SHORT,  # the protocol has no linear probe on NIN: as the non-linear one
    "conv": _CIFAR10_LONG,
    "rest": _CIFAR10_LONG,  # on conv2 the same as conv
}
_SOLVED: Values = {"augment": "none", "epochs": 1, "lr": 0.0, "lr_milestones": ()}
"""Of a classifier that is not trained in steps: one look at each image, as it is."""

_IMAGENET_LONG: Values = {"augment": "random-crop", "epochs": 40, "lr_milestones": (0.25, 0.5, 0.75)}  # after 10, 20, 30
_IMAGENET_CLASSIFIERS: Mapping[str, Values] = {
    "linear": {"augment": "random-crop", "epochs": 35, "lr_milestones": (5 / 35, 15 / 35, 25 / 35)},
    "rest": _IMAGENET_LONG,  # table 4's non-linear probes
    "nonlinear": _IMAGENET_LONG,  # the protocol has neither of these on AlexNet: as table 4's
    "conv": _IMAGENET_LONG,
}

# Counted in iterations; on an AlexNet.
_VOC: Mapping[str, Mapping[str, Values]] = {
    "voc_classification": {
        "": {
            "dataset": "voc2007",
            "iterations": 80_000,
            "batch_size": 16,
            "lr": 0.001,
            "lr_milestones": tuple(step / 8 for step in range(1, 8)),
            "lr_decay": 0.5,  # x0.5 every 10 000
        }
    },
    "voc_detection": {
        "": {
            "dataset": "voc2007",
            "iterations": 200_000,
            "batch_size": 2,
            "lr": 0.001,
            "lr_milestones": (0.4, 0.8),
            "lr_decay": 0.1,  # x0.1 every 80 000
        }
    },
    # The published schedule is not known: these are FCN-AlexNet's rate and batch (Long, Shelhamer, Darrell 2015, section 4.3),
    # and a number of iterations of our own.
    "voc_segmentation": {
        "": {
            "dataset": "voc2012",
            "iterations": 25_000,
            "batch_size": 20,
            "lr": 0.001,
            "lr_milestones": (),
            "lr_decay": 0.1,
        }
    },
}

FCN_ALEXNET: Values = {"iterations": 100_000, "lr": 1e-4}
"""On the dataset `voc2011-sbd`, where they differ from `voc_segmentation`: those of the FCN-AlexNet that was published on it
(Long, Shelhamer, Darrell 2015, and their code).
"""

_PROTOCOLS: Mapping[str, tuple[Values, Mapping[str, Mapping[str, Values]]]] = {
    "cifar10": (
        {"dataset": "cifar10", "crop_pct": 1.0, "augment": "pad-crop", "batch_size": 128, "lr": 0.1, "lr_decay": 0.2},
        {
            "probe": {**_CIFAR10_CLASSIFIERS, "svm": _SOLVED},
            "finetune": _CIFAR10_CLASSIFIERS,
        },
    ),
    "imagenet": (
        {"dataset": "imagenet", "crop_pct": 0.875, "batch_size": 192, "lr": 0.01, "lr_decay": 0.2},
        {
            "probe": {
                **_IMAGENET_CLASSIFIERS,
                "svm": _SOLVED,
                "linear.decoupling": {"epochs": 65, "lr_milestones": (5 / 65, 25 / 65, 45 / 65)},
            },
            "finetune": _IMAGENET_CLASSIFIERS,
            **_VOC,
        },
    ),
}
"""Benchmark -> (values of all its stages, stage -> kind of run -> values that override them). Kind "" is every kind.

A kind is named by its task or its classifier, followed by a dot and the recipe if the recipe changes something.
"""

BENCHMARKS = tuple(_PROTOCOLS)


def benchmark_of(arch: str) -> str:
    """The benchmark whose protocol an arch follows. Raises RotnetError for an unknown arch."""
    return ARCHS[arch].benchmark


def kind_of(values: Values) -> str:
    """The kind of a run with these parameters: `rotation`, `linear`, `linear.decoupling`."""
    return ".".join(str(values[name]) for name in KIND if values.get(name))


def general_first(key: str) -> list[str]:
    """`probe.linear.decoupling` -> `probe`, `probe.linear` and itself. The values of each override those of the one before."""
    return list(itertools.accumulate(key.split("."), "{}.{}".format))


def protocol_values(stage: str, arch: str, kind: str = "") -> dict[str, Any]:
    """The protocol's values for a stage on an arch: parameter -> value.

    Args:
        stage: its name.
        arch: registered.
        kind: see `kind_of`. A kind without values of its own has those of its stage.
    """
    common, stages = _PROTOCOLS[benchmark_of(arch)]
    values = dict(common)
    for key in ("", *general_first(kind)):
        values |= stages.get(stage, {}).get(key, {})
    return values


def protocol_key(stage: str, arch: str, kind: str) -> str:
    """The most special key that has values for a kind of run: `probe.linear`, or the stage alone."""
    _, stages = _PROTOCOLS[benchmark_of(arch)]
    known = [key for key in general_first(kind) if key in stages.get(stage, {})]
    return ".".join((stage, *known[-1:]))


def usual_dataset(stage: str, arch: str) -> str:
    """The protocol's dataset for a stage on an arch."""
    dataset: str = protocol_values(stage, arch)["dataset"]
    return dataset


def recipes(stage: str) -> dict[tuple[str, str], list[str]]:
    """(benchmark, classifier) -> the recipes other than `rotnet` that have a schedule of their own there."""
    found: dict[tuple[str, str], list[str]] = {}
    for benchmark, (_, stages) in _PROTOCOLS.items():
        for key in stages.get(stage, {}):
            kind, _, recipe = key.partition(".")
            if recipe:
                found.setdefault((benchmark, kind), []).append(recipe)
    return found
