"""Transfer to PASCAL VOC: three stages, their engines and metrics (docs/protocol.md, "PASCAL VOC").

Importing this registers the stages, and imports no torch.
"""

from rotnet_lib.voc.stages import classify, detect, segment

__all__ = ["classify", "detect", "segment"]
