"""The loss of a run that did not come to its end."""

from collections.abc import Mapping, Sequence

from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator

from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figures import ReportFigure


def progress_curve(rows: Sequence[Mapping[str, float]]) -> ReportFigure:
    """Training and test loss of what was finished.

    Args:
        rows: of the history, with `epoch` or `iteration` and `train_loss`, and `test_loss` where it was measured; at least one.
    """
    number = "epoch" if "epoch" in rows[0] else "iteration"
    places = [row[number] for row in rows]
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 2.8), layout="constrained")
        for name, label, line in (("train_loss", "training images", "-"), ("test_loss", "test images", "--")):
            if name in rows[0]:
                axis.plot(places, [row[name] for row in rows], line, marker="o", markersize=4, label=label)
        axis.set(xlabel=number, ylabel="loss")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False)
    first, last = rows[0], rows[-1]
    return ReportFigure(
        figure,
        f"The loss before the failure, up to {number} {last[number]:.0f}.",
        f"Line chart: the training loss goes from {first['train_loss']:.3g} in {number} {first[number]:.0f} to "
        f"{last['train_loss']:.3g} in {number} {last[number]:.0f}.",
    )
