"""The command `rotnet features`."""

from pathlib import Path
from typing import Any

import click

# Heavy imports are inside the command: `rotnet --help` should not load torch.


@click.command()
@click.argument("run")
@click.option("--layer", "layers", multiple=True, help="A layer, such as conv3; may be given several times; by default all.")
@click.option("--out", type=click.Path(path_type=Path), help="The file; by default RUN-LAYER.npz in this folder.")
@click.option("--dataset", help="In place of the run's own: cifar10, imagefolder:/path ...")
@click.option("--runs", default="runs", show_default=True, help="Folder of the run directories.")
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Another parameter of the notebook knn, read as YAML.",
)
def features(
    run: str,
    layers: tuple[str, ...],
    out: Path | None,
    dataset: str | None,
    runs: str,
    parameters: tuple[tuple[str, str], ...],
) -> None:
    """Write the features of RUN's layers to a file that NumPy loads: one average vector for each image.

    RUN is the name or path of a finished run, a file of weights, or newest. The images are both splits of the run's dataset, in
    order, not augmented. --dataset and -p say otherwise: `-p image_size 64`, `-p checkpoint 0.2`, `-p labels_per_class 20`.
    """
    from rotnet_lib.stages.features_file import write_features
    from rotnet_lib.yaml_reader import parse_yaml

    given: dict[str, Any] = {name: parse_yaml(value, f"the value of {name} behind -p") for name, value in parameters}
    given |= {"backbone": run, "runs": runs, "layer": ",".join(layers) or "all"}
    click.echo(write_features(given | ({"dataset": dataset} if dataset else {}), out))
