"""Which views of an image a backbone is shown, and what becomes of their features (docs/protocol.md, "Questions", 8)."""

from typing import Literal

Views = Literal["one", "rotated", "flipped"]
"""The image as it is; at four right angles; the image and its mirror image."""
Combine = Literal["average", "concatenate"]
