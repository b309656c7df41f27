"""The network of a run as a table: layers, shapes of their outputs, parameters, and which of them are read."""

from collections.abc import Mapping
from typing import Any

from IPython.display import HTML

from rotnet_lib.lazy import torch
from rotnet_lib.models import SVM
from rotnet_lib.models.inputs import RGB
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.task import task_options
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.run_title import arch_title, network_of
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import RunResult


def network_table(result: RunResult) -> HTML:
    """A row a layer of the backbone; beside those that the run reads, what it measured on them.

    Shapes follow from the arch, the width and the size of the images: the run's weights are not read.

    Args:
        result: the run's. Where its images have several sizes, the table has no shapes.
    """
    from rotnet_lib.models.backbone import make_backbone

    arch, width, size = str(result.parameters["arch"]), float(result.parameters["width"]), result.data.image_size
    inputs, stride = _inputs_and_stride(result.parameters)
    with torch.device("meta"):  # nothing is drawn, and the global generator stays as it is
        backbone = make_backbone(arch, width=width, mean=(0.0,) * 3, std=(1.0,) * 3, inputs=inputs).eval()
    if stride and stride < backbone.stem_stride:
        backbone.keep_stem_stride(stride)
    shapes = {}
    if size is not None and size >= backbone.min_image_size:
        # On the CPU with whatever numbers are there: on the meta device torch would import its compiler, which takes seconds.
        with torch.inference_mode():
            shapes = backbone.to_empty(device="cpu").features(torch.zeros(1, 3, size, size), backbone.taps)
    together = result.parameters["layer"] if result.parameters.get("classifier") == SVM else []  # that one classifier reads
    read = [tap for tap in backbone.taps if f"{tap}_top1" in result.metrics or tap in together or together == ["all"]]
    rows = []
    for place, tap in enumerate(backbone.taps):
        shape = " x ".join(map(str, shapes[tap].shape[1:])) if shapes else "images too small"
        measured = result.metrics.get(f"{tap}_top1")
        weights = sum(parameter.numel() for parameter in backbone.blocks[tap].parameters())
        above = bool(read) and place > backbone.taps.index(read[-1])
        said = measured.text if measured else "read" if tap in read else "not used" if above else ""
        rows.append((tap, shape, weights, said))
    return HTML(
        fragment(
            "network.html.j2",
            name=arch_title(arch),
            width=width,
            size=size,
            rows=rows,
            total=sum(weights for _, _, weights, _ in rows),
            trained=result.training.parameters if result.training else None,
            read=bool(read),
            inputs=inputs,
            stride=backbone.kept_stride,
        )
    )


def _inputs_and_stride(parameters: Mapping[str, Any]) -> tuple[str, int | None]:
    """The kind of input of the network's first convolution, and the stride that its pretext task keeps it at, if any."""
    run = network_of(parameters).run
    made = parameters if "task" in parameters else RunDirectory(run).parameters() if run else {}
    task = str(made.get("task"))
    if task not in TASKS:
        return RGB, None
    options = made["task_options"]
    inputs = TASKS[task].inputs_of(task_options(task, options))
    return inputs, options["stride"] if TASKS[task].keeps_stride else None
