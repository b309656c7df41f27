"""Runs whose weights are of a backbone that no task trains yet."""

from typing import Any

from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.network import Network
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.seeds import seeded
from rotnet_lib.training.checkpoints import save_backbone


def fresh(arch: str, *, last: str = "", inputs: str = "rgb", **values: Any) -> Backbone:
    """A random backbone of width 0.05, cut after the layer `last`."""
    with seeded(0, "test"):
        backbone = make_backbone(arch, width=0.05, mean=(120.0, 110, 100), std=(60.0, 61, 62), inputs=inputs, **values)
    if last:
        backbone.cut_after(last)
    return backbone


def put_weights(run: RunDirectory, backbone: Backbone, image_size: int = 32) -> RunDirectory:
    """The run, its weights replaced by those of a backbone with a head of 4 answers."""
    save_backbone(run.path / MODEL, Network(backbone, 4, image_size), backbone, run=run.name)
    return run
