"""What tasks have in common whose network sees parts of images, which are smaller than what others will show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rotnet_lib.pretext.parts.reestimated import check_two_images, reestimate
from rotnet_lib.pretext.task import PretextTask

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.parts_network import PartsNetwork
    from rotnet_lib.training.image_pass import ImagePass


class PartsTask(PretextTask):
    """A task that trains a backbone, up to its last convolution, on parts of images.

    The first convolution may have a smaller stride meanwhile. Others use the backbone on whole images, normalised otherwise
    than the parts: at the end batch norm's statistics are estimated anew on those, at the arch's own stride.
    """

    module: PartsNetwork

    def cut_backbone(self, backbone: Backbone, data: Dataset, stride: int) -> None:
        """Cut a backbone after its last convolution and set the first one's stride, unless the arch's own is smaller.

        Raises RotnetError for a set of one image.
        """
        check_two_images(data)
        backbone.cut_after_convolutions()
        self._whole_stride = backbone.stem_stride
        backbone.stem_stride = min(stride, self._whole_stride)

    def at_stride(self, backbone: Backbone) -> str:
        """` at stride 2`, for a sentence about sizes; nothing for an arch whose stride cannot be lowered."""
        return f" at stride {backbone.stem_stride}" if self._whole_stride > 1 else ""

    def finish(self, images: ImagePass) -> None:
        backbone = self.module.backbone
        on_parts, backbone.stem_stride = backbone.stem_stride, self._whole_stride
        try:
            reestimate(backbone, images)
        finally:
            backbone.stem_stride = on_parts  # training may go on


def least_side(backbone: Backbone, stride: int) -> int:
    """The side in pixels of the smallest images that a backbone could work on, were its first convolution's stride that."""
    own, backbone.stem_stride = backbone.stem_stride, stride
    try:
        return backbone.min_image_size
    finally:
        backbone.stem_stride = own


def remedies(*choices: tuple[str, Iterable[Any], Callable[[Any], bool]]) -> str:
    """What would work, with commas between; each by itself.

    Args:
        choices: a text with braces where the value stands, values in the order in which they are tried, and whether one works.
    """
    found = []
    for text, values, works in choices:
        value = next((value for value in values if works(value)), None)
        if value is not None:
            found.append(text.format(value))
    return ", ".join(found)


def below(value: float) -> Iterator[float]:
    """Shares below a value in steps of a thousandth, down to 0."""
    for thousandths in range(int(value * 1000), -1, -1):
        yield thousandths / 1000
