"""Backbones with named taps, and the classifiers that are put on them."""

from rotnet_lib.models.alexnet import AlexNet
from rotnet_lib.models.backbone import ARCHS, Backbone, make_backbone
from rotnet_lib.models.classifiers import CLASSIFIERS, make_classifier
from rotnet_lib.models.network import Network
from rotnet_lib.models.nin import NIN

__all__ = ["ARCHS", "CLASSIFIERS", "NIN", "AlexNet", "Backbone", "Network", "make_backbone", "make_classifier"]
