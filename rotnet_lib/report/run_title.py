"""What a run is, in a line: its page's heading, and what the browser calls the tab."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rotnet_lib.data.source import DATASETS
from rotnet_lib.data.voc.source import VOC_SETS
from rotnet_lib.models import ARCHS
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.task import task_options
from rotnet_lib.report.metric_titles import headline_metric, measured_by_layer, metric_title, short_titles
from rotnet_lib.runs.directory import PARAMETERS, RunDirectory, checkpoint_of
from rotnet_lib.runs.metrics import PERCENT, with_unit
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.stages.backbone_config import RESCALED, UNTRAINED

_DRAWN = re.compile(r"^(shapes|scenes)( of \d+ pixels)? \(drawn, not photographs\)")
_LABELS = "labels"
"""The task of supervised training."""


@dataclass(frozen=True)
class Network:
    """The network that a run trains or builds on.

    Attributes:
        words: what people call it: `RotNet NIN-4`, `random NIN-4`.
        run: the directory of the run that trained it, if that is another one; it need not exist any more.
    """

    words: str
    run: Path | None = None


def run_title(result: RunResult) -> str:
    """`Probe of conv2, conv classifier, on RotNet NIN-4, drawn shapes: 78.3 %`."""
    what = described(result.stage, result.parameters, data_title(result.data.title))
    if not result.metrics:
        return what
    several = measured_by_layer(result)
    name, metric = headline_metric(result.metrics, best=several)
    figure = f"{round(metric.last, 6):.1f} %" if metric.unit == PERCENT else with_unit(metric.last, metric.unit)
    if several:
        return f"{what}: up to {figure} ({short_titles(result)[name]})"
    title = metric_title(result.stage, name)
    named = (
        ""
        if title == "Top-1 accuracy" or what.startswith(title)
        else f"{title} "
        if title.startswith("mAP")
        else f"{title[0].lower()}{title[1:]} "
    )
    return f"{what}: {named}{figure}"


def described(
    stage: str, parameters: Mapping[str, Any], data: str = "", others: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> str:
    """A run without its figure, from its parameters: `Probe of conv2, conv classifier, on RotNet NIN-4, drawn shapes`.

    Args:
        stage: of the run.
        parameters: the effective config.
        data: what the data are called; empty: by the name of the dataset.
        others: the parameters of runs that it may build on, by name; of another one its directory is looked into.
    """
    network = network_of(parameters, others).words
    data = data or _data_of(str(parameters.get("dataset", "")))
    layers = ", ".join(parameters["layer"]) if isinstance(parameters.get("layer"), list | tuple) else ""
    layers = "all layers" if layers == "all" else layers
    classifier = f"{parameters.get('classifier')} classifier".replace("nonlinear", "non-linear").replace("svm", "SVM")
    half = f"{parameters['half']} half alone" if parameters.get("half", "both") != "both" else ""
    few = f"{parameters['labels_per_class']} labels per class" if parameters.get("labels_per_class") else ""
    parts: dict[str, tuple[str, ...]] = {
        "pretrain": (f"{network} trained on {data}", few),
        "probe": (f"Probe of {layers}", half, classifier, f"on {network}", data, few),
        "finetune": (f"Fine-tuning of {network} up to {layers}", classifier, data, few),
        "knn": (f"Nearest neighbours on {layers} of {network}", data),
        "inspect": (f"What {network} looks at", data),
        "pu_weights": (f"Rotated copies that look upright to {network}", data),
        "voc_classification": (f"Classification on {data}", network, f"{parameters.get('trained')} trained"),
        "voc_detection": (f"Detection on {data}", network),
        "voc_segmentation": (f"Segmentation on {data}", network),
    }
    return ", ".join(filter(None, parts.get(stage, (f"{stage} of {network}", data))))


def network_of(parameters: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> Network:
    """The network of a run with these parameters, by the parameters of the run that trained it; see `described`."""
    backbone = parameters.get("backbone")
    if backbone is None:
        return Network(_words(parameters))
    arch = arch_title(str(parameters.get("arch")))
    if backbone in UNTRAINED:
        return Network(f"random rescaled {arch}" if backbone == RESCALED else f"random {arch}")
    path = checkpoint_of(str(backbone), str(parameters.get("runs", "runs"))).parent
    made = others.get(path.name)
    if made is None:
        run = RunDirectory(path)
        if not (path / PARAMETERS).is_file() or run.damage:
            return Network(f"{arch} of {Path(str(backbone)).name}")  # it was removed, say: its name is all that is known
        made = run.parameters()
    words = _words(made) if "task" in made else f"{arch} of {path.name}"
    at = f" after {100 * parameters['checkpoint']:g} % of its epochs" if parameters.get("checkpoint") else ""
    return Network(words + at, path)


def network_title(task: str, arch: str) -> str:
    """`RotNet NIN-4`: a network by the task that it learned and its arch; by the name of the task where that has no title."""
    title = (TASKS[task].title if task in TASKS else "") or task
    return f"{title} {arch_title(arch)}".strip()


def arch_title(arch: str) -> str:
    """`NIN-4`; the name of an arch without a title."""
    return (ARCHS[arch].title if arch in ARCHS else "") or arch


def data_title(title: str) -> str:
    """What data are called in a line: `drawn shapes`, `PASCAL VOC 2007`; see `Source.title`."""
    return re.sub(r"^VOC (?=\d)", "PASCAL VOC ", _DRAWN.sub(r"drawn \1", title))


def _data_of(dataset: str) -> str:
    """The same from the name of a dataset, which is not opened: it may be what failed."""
    name, _, argument = dataset.partition(":")
    if name in ("shapes", "scenes"):
        return f"drawn {name}"
    title = ""
    if name in DATASETS:
        title = DATASETS[name].published_title or ""
    elif name in VOC_SETS:
        title = VOC_SETS[name].published_title or ""
    published = data_title(title)
    return published if published and not argument else f"images of {Path(argument).name}" if argument else dataset


def _words(made: Mapping[str, Any]) -> str:
    """The network of a pretrain run, with what of it is not the task's usual: `RotNet NIN-4 (copies shuffled)`."""
    task = str(made.get("task"))
    extras = []
    if task in TASKS and task != _LABELS:
        usual = task_options(task, {}).model_dump(mode="json")
        extras = [
            f"{name} {_brief(made['task_options'][name])}"
            for name in usual
            if made.get("task_options", {}).get(name, usual[name]) != usual[name]
        ]
    extras += [f"fold {made['fold']}"] if made.get("fold") else []
    extras += ["weighted copies"] if made.get("pu_weights") else []
    extras += ["grey"] if made.get("grey") else []
    return network_title(task, str(made.get("arch"))) + (f" ({', '.join(extras)})" if extras else "")


def _brief(value: Any) -> str:
    return " ".join(f"{item:g}" for item in value) if isinstance(value, list | tuple) else str(value)
