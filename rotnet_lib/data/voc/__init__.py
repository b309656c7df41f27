"""Images with objects in PASCAL VOC's layout: read, checked, drawn.

`sets.open_voc` opens a set by name; `split.VocSplit` reads its images, annotations and masks. Importing this fills the
register of sets, and imports no torch.
"""

from rotnet_lib.data.voc import drawn, folder, official, sbd
from rotnet_lib.data.voc.source import VOC_SETS

__all__ = ["VOC_SETS", "drawn", "folder", "official", "sbd"]
