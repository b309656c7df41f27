"""What stands behind a dataset's title where some of it is shown otherwise."""

VALIDATION = " (validation split)"
"""Behind the title of a dataset of which held-out training images are shown in place of the test split."""

GREY = ", grey"
"""Behind the title of a dataset whose colour was taken out."""


def bare_title(title: str) -> str:
    """The title of a dataset (see `Source`) from that of what is shown of it."""
    return title.removesuffix(GREY).removesuffix(VALIDATION)
