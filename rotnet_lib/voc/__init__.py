"""Transfer to PASCAL VOC: three stages, their engines and metrics (docs/protocol.md, "PASCAL VOC")."""

from rotnet_lib.voc import classification, detection, segmentation

__all__ = ["classification", "detection", "segmentation"]
