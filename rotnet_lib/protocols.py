"""What the published protocol says where a parameter is left at None (docs/protocol.md), by benchmark and stage.

A benchmark is what an arch was published on: `Backbone.benchmark`.
"""

from collections.abc import Mapping
from typing import Any

from rotnet_lib.models.backbone import sample_backbone

Values = Mapping[str, Any]

# Milestones are fractions of the epochs (see `TrainingConfig.lr_milestones`).
_CIFAR10_SHORT: Values = {"epochs": 50, "lr_milestones": (0.4, 0.8, 0.9)}  # x0.2 after 20, 40, 45
_CIFAR10_LONG: Values = {"epochs": 100, "lr_milestones": (0.35, 0.7, 0.85)}  # x0.2 after 35, 70, 85
_CIFAR10_CLASSIFIERS: Mapping[str, Values] = {
    "nonlinear": _CIFAR10_SHORT,
    "linear": _CIFAR10_SHORT,  # the protocol has no linear probe on NIN: as the non-linear one
    "conv": _CIFAR10_LONG,
    "rest": _CIFAR10_LONG,  # on conv2 the same as conv
}

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

_PROTOCOLS: Mapping[str, tuple[Values, Mapping[str, Mapping[str, Values]]]] = {
    "cifar10": (
        {"dataset": "cifar10", "crop_pct": 1.0, "augment": "pad-crop", "batch_size": 128, "lr": 0.1, "lr_decay": 0.2},
        {
            "pretrain": {"": {"epochs": 100, "lr_milestones": (0.3, 0.6, 0.8)}},
            "probe": _CIFAR10_CLASSIFIERS,
            "finetune": _CIFAR10_CLASSIFIERS,
        },
    ),
    "imagenet": (
        {"dataset": "imagenet", "crop_pct": 0.875, "batch_size": 192, "lr": 0.01, "lr_decay": 0.2},
        {
            # Supervised training has no protocol of its own: as the pretext task.
            "pretrain": {"": {"augment": "resized-crop", "epochs": 30, "lr_milestones": (1 / 3, 2 / 3), "lr_decay": 0.1}},
            "probe": _IMAGENET_CLASSIFIERS,
            "finetune": _IMAGENET_CLASSIFIERS,
            **_VOC,
        },
    ),
}
"""Benchmark -> what holds for all its stages, and stage -> classifier (none: every kind of run) -> what it says on top."""

BENCHMARKS = tuple(_PROTOCOLS)


def benchmark_of(arch: str) -> str:
    """The benchmark whose protocol an arch follows. Raises RotnetError for an unknown arch."""
    return sample_backbone(arch).benchmark


def published(stage: str, arch: str, classifier: str = "") -> dict[str, Any]:
    """What the protocol says for a stage on an arch, of the parameters that it decides by benchmark.

    Args:
        stage: the notebook.
        arch: registered.
        classifier: of a probe or a fine-tuned network; one that the protocol does not know says nothing on top.
    """
    common, stages = _PROTOCOLS[benchmark_of(arch)]
    return {**common, **stages.get(stage, {}).get(classifier, {})}
