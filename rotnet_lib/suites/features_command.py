"""The command `rotnet features`."""

from collections.abc import Collection
from pathlib import Path

import click

from rotnet_lib.suites.command_options import parameters_behind_p

# Heavy imports are inside the command: `rotnet --help` should not load torch.


_ELSEWHERE = {
    "layer": "layers are named by --layer: --layer conv3.",
    "backbone": "the backbone is RUN, the first argument: rotnet features RUN.",
    "runs": "the folder of the runs is named by --runs: --runs FOLDER.",
}
"""Parameters that the command has words of its own for -> what to say instead."""


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
    help="Another parameter of the data or the backbone, read as YAML.",
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

    given = parameters_behind_p(parameters)
    _check(layers, dataset, given)
    given |= {"backbone": run, "runs": runs, "layer": ",".join(layers) or "all"}
    click.echo(write_features(given | ({} if dataset is None else {"dataset": dataset}), out))


def _check(layers: tuple[str, ...], dataset: str | None, names: Collection[str]) -> None:
    """Raises RotnetError for a parameter that is said elsewhere."""
    from rotnet_lib.errors import RotnetError

    for name in names:
        if name in _ELSEWHERE:
            raise RotnetError(f"-p {name}: {_ELSEWHERE[name]}")
    if dataset is not None and "dataset" in names:
        raise RotnetError("the dataset is said twice, by --dataset and by -p dataset. Leave one.")
    if dataset == "":
        raise RotnetError("--dataset is empty. Name a dataset, or leave it out: then it is the run's own.")
    if any(not layer.strip() for layer in layers):
        raise RotnetError("--layer is empty. Name a layer, or leave it out: then all are taken.")
