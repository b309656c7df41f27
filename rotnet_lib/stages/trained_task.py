"""The task of a finished pretrain run, with everything that it trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rotnet_lib.data.folds import Fold
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.task import PretextTask


def load_task(weights: Path, data: Dataset) -> tuple[PretextTask, Backbone]:
    """The task of a pretrain run, made again from its parameters, with the weights in one of its files, and its backbone.

    Its module is in evaluation mode, as it was trained: what `Task.finish` then changed for others is undone. The copies of its
    images are not weighed: that is for training alone.

    Args:
        weights: the run's own file or one of its checkpoints.
        data: the images it will be given. A task whose module depends on them (on the classes, the size or the number of the
            images) takes no others than it was trained on.

    Raises RotnetError if the run was trained on no task; for the first weight that is missing, over, or of another shape; and
    as `load_tensors` and `pretext_task` do.
    """
    from rotnet_lib.stages.train import training_images
    from rotnet_lib.training.checkpoints import TRAINED, load_strictly, load_tensors, of_prefix

    run = RunDirectory(weights.parent)
    parameters = run.parameters()
    if "task" not in parameters:
        raise RotnetError(f"run {run.name} has no task that it was trained on: name a pretrain run.")
    made = PretrainConfig.build(parameters | {"pu_weights": None})
    fold = Fold.parse(made.fold) if made.fold else None
    tensors, _ = load_tensors(weights)
    task, backbone = pretext_task(made, replace(data, train=training_images(made, data, fold)))
    as_others_take_it = {name: tensor for name, tensor in tensors.items() if not name.startswith(TRAINED)}
    as_trained = as_others_take_it | of_prefix(tensors, TRAINED)
    origin = f"It is of task {made.task} on {made.dataset}" + (f", {made.image_size} px." if made.image_size else ".")
    load_strictly(task.module.state_dict(), as_trained, weights, origin)
    task.module.eval()
    return task, backbone
