"""What networks have in common that hold a generator: the backbone, and pictures kept for pages."""

from collections.abc import Iterable

from torch import nn

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.pretext.parts.picture_rows import PictureRows


class GanNetwork(nn.Module):
    """`backbone`, and `rows`: what is made of the same inputs in the course of training.

    Args:
        backbone: what others read.
        side: of generated pictures, in pixels.
        shown: names of the rows.
    """

    def __init__(self, backbone: Backbone, side: int, shown: Iterable[str]) -> None:
        super().__init__()
        self.backbone = backbone
        self.rows = nn.ModuleDict({name: PictureRows(side) for name in shown})

    def rows_of(self, name: str) -> PictureRows:
        """The rows of that name."""
        rows = self.rows[name]
        assert isinstance(rows, PictureRows)
        return rows
