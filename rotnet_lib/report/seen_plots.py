"""What a network saw in training and what it answered, on the page of its run."""

from collections.abc import Sequence
from dataclasses import replace

from IPython.display import HTML
from matplotlib import pyplot

from rotnet_lib.evaluation.seen import Named, Seen, Shown, read_seen
from rotnet_lib.pretext.examples import Example
from rotnet_lib.report.confusion_plots import confusion_figure, mistakes_figure
from rotnet_lib.report.example_plots import example_grid
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import one_by_one
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.metric_titles import measured_by_layer, short_titles
from rotnet_lib.runs.directory import RunDirectory

_DPI = 90
_EXAMPLES = {False: (3, 6), True: (2, 4)}
"""Whether pictures are large -> training and test images of which examples are shown: a page has 3 MB at most."""
_LARGE = 64
"""Pixels of a side above which they are."""
_CHARTS = "What the task knows of its training images, or made on the way."


def seen_section(run: RunDirectory) -> HTML:
    """The augmented training images, what the task makes of them, answers on test images, confusion and surest mistakes.

    What a run from before these were kept lacks is said, with how to get it. Raises RotnetError as `read_seen`.

    Args:
        run: a finished one that trained by epochs.
    """
    result, seen = run.result(), read_seen(run)
    figures = seen_figures(seen, result.data.tested_on, _whose(run, seen)) if seen else []
    can_inspect = result.stage == "pretrain"
    return HTML(
        fragment(
            "seen.html.j2",
            figures=[figure.html for figure in figures],
            lacking=seen is None,
            problem=seen.problem if seen else "",
            name=run.name,
            inspect=can_inspect,
        )
    )


def seen_figures(seen: Seen, tested_on: str, whose: str = "") -> list[ReportFigure]:
    """A figure for each of the things that there are; see `Seen`.

    Args:
        seen: what a run kept.
        tested_on, whose: as of `confusion_figure`.
    """
    found: list[ReportFigure | None] = [augmented_images(seen.training)]
    made, tested = _EXAMPLES[max(seen.training[0].picture.pixels.shape) > _LARGE]
    found.append(example_grid(_captioned(seen.made, made), "the training split, augmented"))
    found.append(example_grid(_captioned(seen.examples, tested), tested_on))
    found.append(example_grid([chart.example for chart in seen.charts], about=_CHARTS))
    answered = f"What is answered for what on {tested_on}."
    found.append(example_grid([picture.example for picture in seen.answered], about=answered))
    if seen.confusion:
        found.append(confusion_figure(seen.confusion, tested_on, whose))
        found.append(mistakes_figure(seen.confusion.mistakes, tested_on, whose))
    return [figure for figure in found if figure is not None]


def augmented_images(images: Sequence[Named]) -> ReportFigure:
    """Training images as the network gets them, augmented, under the names of their classes; at least one."""
    with figure_style(0.75):
        figure, axes = pyplot.subplots(1, len(images), figsize=(1.5 * len(images), 1.8), dpi=_DPI, squeeze=False)
        for axis, image in zip(axes.flat, images, strict=True):
            axis.imshow(image.picture.pixels, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_title(image.name)
    return ReportFigure(
        figure,
        "Some of the training images, cropped and mirrored at random as the run's parameters say.",
        f"{len(images)} images of these classes: " + one_by_one(image.name for image in images) + ".",
        bitmap=True,
    )


def _captioned(shown: Sequence[Shown], images: int) -> list[Example]:
    """Examples of so many images, with the probability of each answer in their captions."""
    beside = max((each.beside for each in shown), default=1)
    examples = [each.example for each in shown[: images * beside]]
    return [
        replace(example, caption=f"{example.caption}\n({', '.join(f'{100 * p:.0f} %' for p in example.probability)} sure)")
        if example.probability
        else example
        for example in examples
    ]


def _whose(run: RunDirectory, seen: Seen | None) -> str:
    """` of the classifier on conv2`, where a run has several."""
    result = run.result()
    if seen is None or seen.confusion is None or not measured_by_layer(result):
        return ""
    return f" by the classifier on {short_titles(result)[seen.confusion.metric]}, the best of the layers,"
