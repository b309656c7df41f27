"""Transfer to PASCAL VOC: classification, detection, segmentation (docs/protocol.md, "PASCAL VOC")."""
