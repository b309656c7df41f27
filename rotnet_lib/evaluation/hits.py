"""The accuracy of a classifier that answers all test images at once, with that of each class."""

import torch

from rotnet_lib.runs.schema import MetricValue


def accuracy(right: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...]) -> tuple[MetricValue, dict[str, float]]:
    """The share of right answers, in percent, and class -> the same of its images; classes without an image are left out.

    Args:
        right: (n,) bool, whether an image's answer is right; n at least 1.
        labels: (n,) int64, the images' classes.
        classes: their names.
    """
    right, labels = right.cpu(), labels.cpu()
    asked, told = (found.bincount(minlength=len(classes)).tolist() for found in (labels, labels[right]))
    counts = {name: count for name, count in zip(classes, asked, strict=True) if count}
    by_class = {name: 100 * hits / count for name, hits, count in zip(classes, told, asked, strict=True) if count}
    value = MetricValue(last=100 * int(right.sum()) / len(right), chance=100 / len(classes))
    return value.of_images(len(right), counts), by_class
