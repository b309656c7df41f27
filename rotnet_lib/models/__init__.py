"""Backbones with named taps, and the classifiers that are put on them.

Importing this fills the registers of archs, kinds of input and classifiers, and imports no torch.
"""

from rotnet_lib.models import alexnet, dcgan, nin, split
from rotnet_lib.models.arch import ARCHS
from rotnet_lib.models.classifiers import CLASSIFIERS, SVM
from rotnet_lib.models.inputs import INPUTS

__all__ = ["ARCHS", "CLASSIFIERS", "INPUTS", "SVM", "alexnet", "dcgan", "nin", "split"]
