"""What people call the metrics of runs, whose names in code are short."""

from collections.abc import Mapping

from rotnet_lib.pretext import TASKS
from rotnet_lib.runs.schema import MetricValue, RunResult

_LAYER = "_top1"
_BY_LAYER = ("probe", "finetune", "knn")
"""Stages that have a metric `<layer>_top1` for each of their layers."""

_OF_STAGE = {
    ("inspect", "compare_top1"): "Top-1 accuracy of the run beside it",
    ("pu_weights", "upright"): "Mean p of rotated copies",
    ("pu_weights", "plausible"): "Rotated copies that look upright",
    ("voc_classification", "map"): "mAP",
    ("voc_classification", "map_1crop"): "mAP, one crop per image",
    ("voc_detection", "map"): "mAP (11-point)",
    ("voc_detection", "map_area"): "mAP (area under the curve)",
    ("voc_segmentation", "miou"): "Mean IoU",
    ("voc_segmentation", "pixel_accuracy"): "Pixel accuracy",
}


def metric_title(stage: str, name: str) -> str:
    """`Rotation accuracy`, `mAP (11-point)`, `Top-1 accuracy`; the name itself where nobody has given a title.

    Args:
        stage: of the run.
        name: the metric's, as in its result.
    """
    if (stage, name) in _OF_STAGE:
        return _OF_STAGE[stage, name]
    if stage in _BY_LAYER and name.endswith(_LAYER):
        return "Top-1 accuracy"
    titles = (TASKS[task].metrics[name].title for task in TASKS if name in TASKS[task].metrics)
    return next(filter(None, titles), name)


def short_titles(result: RunResult) -> dict[str, str]:
    """Metric -> what tells it from the others of its run: the layer where there is one for each, else its title."""
    layered = result.stage in _BY_LAYER and len(result.metrics) > 1
    return {
        name: name.removesuffix(_LAYER) if layered and name.endswith(_LAYER) else metric_title(result.stage, name)
        for name in result.metrics
    }


def measured_by_layer(result: RunResult) -> bool:
    """Whether all of several metrics are the same figure of different layers."""
    return result.stage in _BY_LAYER and len(result.metrics) > 1 and all(name.endswith(_LAYER) for name in result.metrics)


def headline_metric(metrics: Mapping[str, MetricValue], *, best: bool) -> tuple[str, MetricValue]:
    """The metric that a run's title names: the first, or of several layers (`best`) the one with the highest figure."""
    if best:
        return max(metrics.items(), key=lambda item: item[1].last)
    return next(iter(metrics.items()))
