"""A figure as a page shows it: sharp at any size, with a caption and a text for who cannot see it."""

import base64
import io
from dataclasses import dataclass

from IPython.display import HTML
from matplotlib import pyplot
from matplotlib.figure import Figure

from rotnet_lib.report.fragments import fragment

_SHARPER = 2
"""Pixels of a bitmap for each pixel of the page, as screens of phones and laptops have them."""
_CSS_INCH = 96
"""Pixels of a page in an inch."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure with its words; a notebook cell that ends with one shows it, and so does the page made of the notebook.

    pyplot lets go of the figure at once, so that a notebook does not show it a second time.

    Attributes:
        figure: the drawing.
        caption: what it shows, in a sentence or two. The page writes the number before it.
        description: what one sees in it, with its figures: the text that stands in for it (`alt`).
        bitmap: whether it shows images. It is then kept as PNG at twice the page's resolution, otherwise as SVG.
    """

    figure: Figure
    caption: str
    description: str
    bitmap: bool = False

    def __post_init__(self) -> None:
        pyplot.close(self.figure)

    @property
    def html(self) -> str:
        """The `<figure>` element; nothing in it is loaded from elsewhere."""
        kind = "png" if self.bitmap else "svg"
        with io.BytesIO() as stream:
            # Without a date, and with names that are not random, the same figures give the same page.
            undated = {} if self.bitmap else {"Date": None}
            with pyplot.rc_context({"svg.hashsalt": "rotnet"}):
                self.figure.savefig(stream, format=kind, dpi=_SHARPER * self.figure.dpi, bbox_inches="tight", metadata=undated)
            data = stream.getvalue()
        # bbox_inches has changed the size, which is known from the file alone: a PNG says it in bytes 16 to 20.
        width = round(int.from_bytes(data[16:20]) / (_SHARPER * self.figure.dpi) * _CSS_INCH) if self.bitmap else None
        return fragment(
            "figure.html.j2",
            kind="image/png" if self.bitmap else "image/svg+xml",
            picture=base64.b64encode(data).decode(),
            width=width,
            caption=self.caption,
            description=self.description,
        )

    def _repr_html_(self) -> str:
        return self.html


def several(figures: list[ReportFigure]) -> HTML | None:
    """Figures one below the other, for a notebook cell; None where there are none."""
    return HTML("\n".join(figure.html for figure in figures)) if figures else None
