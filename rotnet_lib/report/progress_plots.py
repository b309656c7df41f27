"""The loss of a run that did not come to its end."""

from collections.abc import Mapping, Sequence

from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator

from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figures import ReportFigure


def progress_curve(rows: Sequence[Mapping[str, float]]) -> ReportFigure:
    """Training and test loss of the epochs that were finished.

    Args:
        rows: of the history, with `epoch` and `train_loss`, and `test_loss` where it was measured; at least one.
    """
    epochs = [row["epoch"] for row in rows]
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 2.8), layout="constrained")
        for name, label, line in (("train_loss", "training images", "-"), ("test_loss", "test images", "--")):
            if name in rows[0]:
                axis.plot(epochs, [row[name] for row in rows], line, marker="o", markersize=4, label=label)
        axis.set(xlabel="epoch", ylabel="loss")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False)
    first, last = rows[0], rows[-1]
    count = f"{len(rows)} epoch{'' if len(rows) == 1 else 's'}"
    return ReportFigure(
        figure,
        f"The loss of the {count} that were finished before the failure.",
        f"Line chart: the training loss goes from {first['train_loss']:.3g} in epoch {first['epoch']:.0f} to "
        f"{last['train_loss']:.3g} in epoch {last['epoch']:.0f}.",
    )
