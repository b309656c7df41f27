"""The kinds of input. A new kind is a class of its own and a line here."""

from campaigns.inputs.kinds.caches import DecodedImages, ProposalsFile
from campaigns.inputs.kinds.folders import ImageFolder
from campaigns.inputs.kinds.images import ImageFile, StreamedImage
from campaigns.inputs.kinds.lists import Places, Words
from campaigns.inputs.kinds.official import CifarBatch, IdxFile
from campaigns.inputs.kinds.parameters import ApiParameters, CommandLineParameters, PapermillParameters
from campaigns.inputs.kinds.runs import History, Metrics, Parameters, Plan
from campaigns.inputs.kinds.suites import CollectionFile, MethodsFile, OptionValues, PresetsFile, SetText, SuiteFile, SweptSuite
from campaigns.inputs.kinds.tensors import PuWeightsFile, Resume, Weights
from campaigns.inputs.kinds.voc import Annotation, ClassList, Mask, SbdMask, SplitList, VocImage
from campaigns.inputs.trial import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(ApiParameters(), PapermillParameters(), CommandLineParameters(), OptionValues(), SetText()),
        *(SuiteFile(), SweptSuite(), CollectionFile(), PresetsFile(), MethodsFile(), Plan()),
        *(Metrics(), Parameters(), History(), Weights(), Resume(), PuWeightsFile(), DecodedImages(), ProposalsFile()),
        *(ImageFile(), StreamedImage(), ImageFolder(), IdxFile(), CifarBatch(), Places(), Words()),
        *(Annotation(), Mask(), SbdMask(), VocImage(), SplitList(), ClassList()),
    )
}
"""By name."""
