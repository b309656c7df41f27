"""Named datasets as images and labels, and their loading and augmentation."""

from rotnet_lib.data.cifar10 import Cifar10
from rotnet_lib.data.dataset import Dataset, load_dataset, open_source
from rotnet_lib.data.fashion_mnist import FashionMnist
from rotnet_lib.data.imagefolder import ImageFolder
from rotnet_lib.data.imagenet import ImageNet
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.data.places205 import Places205
from rotnet_lib.data.shapes_source import Shapes
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.data.tiny_imagenet import TinyImageNet

__all__ = [
    "Batch",
    "Cifar10",
    "Dataset",
    "FashionMnist",
    "ImageFolder",
    "ImageNet",
    "Loader",
    "Places205",
    "Shapes",
    "Split",
    "StreamedSplit",
    "TinyImageNet",
    "load_dataset",
    "open_source",
    "ordered_batches",
]
