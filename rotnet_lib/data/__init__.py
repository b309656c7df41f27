"""Named datasets as images and labels, and their loading and augmentation.

Importing this fills the register of datasets, and imports no torch.
"""

from rotnet_lib.data import cifar10, fashion_mnist, imagefolder, imagenet, places205, shapes_source, tiny_imagenet
from rotnet_lib.data.source import DATASETS

__all__ = [
    "DATASETS",
    "cifar10",
    "fashion_mnist",
    "imagefolder",
    "imagenet",
    "places205",
    "shapes_source",
    "tiny_imagenet",
]
