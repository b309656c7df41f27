"""The stages: a file a notebook, with its config and its function; and training in several processes.

Each config's docstring is the protocol it carries out. Importing this registers the stages, and imports no torch.
"""

from rotnet_lib.stages import finetune, inspection, knn, pretrain, probe, pu_weights
from rotnet_lib.stages.register import STAGES

__all__ = ["STAGES", "finetune", "inspection", "knn", "pretrain", "probe", "pu_weights"]
