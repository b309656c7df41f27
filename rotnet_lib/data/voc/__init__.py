"""Images with objects in PASCAL VOC's layout: read, checked, drawn.

`sets.open_voc` opens a set by name; `split.VocSplit` reads its images, annotations and masks.
"""
