"""Named datasets as images and labels, and their loading and augmentation on the device."""

from rotnet_lib.data.cifar10 import Cifar10
from rotnet_lib.data.dataset import Dataset, Split, load_dataset, open_source
from rotnet_lib.data.fashion_mnist import FashionMnist
from rotnet_lib.data.imagefolder import ImageFolder
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.data.shapes_source import Shapes

__all__ = [
    "Batch",
    "Cifar10",
    "Dataset",
    "FashionMnist",
    "ImageFolder",
    "Loader",
    "Shapes",
    "Split",
    "load_dataset",
    "open_source",
    "ordered_batches",
]
