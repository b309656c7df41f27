"""What standard errors on a page are of, in sentences. N counts images, n seeds, as over the columns of tables."""

from collections.abc import Collection, Mapping

from rotnet_lib.report.cells import Cell
from rotnet_lib.report.headings import ACCURACY
from rotnet_lib.runs.schema import MetricValue

_SAMPLING = "√(p(1 − p)/N)"
_BOTH = "√(std²/n + p(1 − p)/N)"
_ONE_SEED = "without the spread over seeds, which one seed does not show"


def note_on_run(metrics: Mapping[str, MetricValue]) -> str:
    """The standard errors of a run's figures; empty where no figure says of how many images it is the share.

    `Standard error 1.30 points: √(p(1 − p)/N) of N = 1,000 images, without the spread over seeds, ...`
    """
    found = {name: (m.standard_error, m.images) for name, m in metrics.items() if m.standard_error is not None and m.images}
    if not found:
        return ""
    what = f"{_SAMPLING} of {_images([images for _, images in found.values()])}, {_ONE_SEED}."
    if len(metrics) == 1:
        [(error, _)] = found.values()
        return f"Standard error {error:.2f} points: {what}"
    each = ", ".join(f"{name} {error:.2f}" for name, (error, _) in found.items())
    return f"Standard error{'' if len(found) == 1 else 's'} {each} points: {what}"


def note_on_table(cells: Collection[Cell], *, listed: bool) -> str:
    """What the standard errors of a table's figures are of, and when figures are told apart; empty where no figure has one.

    Args:
        cells: the table's.
        listed: whether the table has a column of the errors; else the note says how large they are.
    """
    found = [(cell, error, cell.images) for cell in cells if (error := cell.error) is not None and cell.images]
    if not found:
        return ""
    errors = [error for _, error, _ in found]
    several = [cell.n > 1 for cell, _, _ in found]
    images = _images([images for _, _, images in found])
    size = "" if listed else f"{_range(f'{min(errors):.2f}', f'{max(errors):.2f}')} points, "
    if not any(several):
        what = f"{_SAMPLING} of {images}, {_ONE_SEED}"
    else:
        what = f"{_BOTH} of n seeds and {images}"
        if not all(several):
            what += f"; where n is 1, {_SAMPLING}, the sampling error, {_ONE_SEED}"
    lacking = any(cell.mean is not None and cell.error is None and cell.kind == ACCURACY and cell.tested for cell in cells)
    unknown = " Of accuracies without one it is not known: their results do not say N." if lacking else ""
    return (
        f"Standard error{', in points' if listed else ''}: {size}{what}.{unknown} Figures are said to be within the "
        f"{'error' if any(several) else 'sampling error'} of each other if they differ by at most two standard errors of the "
        "difference, the images of both taken as independent: compared image by image they might still be told apart."
    )


def _images(counts: Collection[int]) -> str:
    return f"N = {_range(f'{min(counts):,}', f'{max(counts):,}')} image{'' if max(counts) == 1 else 's'}"


def _range(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"
