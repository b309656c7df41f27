"""What a notebook shows before a training begins: its first images, and how long it will take."""

from IPython.display import HTML

from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.seen_plots import augmented_images
from rotnet_lib.stages.rehearsal import Rehearsal


def first_images(rehearsal: Rehearsal) -> ReportFigure | None:
    """The first training images, augmented; None if the run is finished and is from before runs kept them."""
    return augmented_images(rehearsal.images) if rehearsal.images else None


def expected_time(rehearsal: Rehearsal) -> HTML:
    """How long the training will take, by the steps that were tried; said to be none for a run that is finished."""
    return HTML(fragment("expected_time.html.j2", rehearsal=rehearsal, time=in_words(rehearsal.seconds)))


def in_words(seconds: float) -> str:
    """`40 seconds`, `12 minutes`, `3.5 hours`, `2.1 days`."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    return f"{max(1, round(seconds))} second{'s' if round(seconds) > 1 else ''}"
