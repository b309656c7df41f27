"""The stages: a file for each notebook, with its config and its function; and training in several processes."""

from rotnet_lib.stages import finetune, inspection, pretrain, probe, pu_weights
from rotnet_lib.stages.register import STAGES

__all__ = ["STAGES", "finetune", "inspection", "pretrain", "probe", "pu_weights"]
