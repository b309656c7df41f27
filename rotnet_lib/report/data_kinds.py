"""The class of a dataset by its name, whichever register it is in."""

from rotnet_lib.data.source import DATASETS, Source
from rotnet_lib.data.voc.source import VOC_SETS, VocSource


def kind_of_data(name: str) -> type[Source] | type[VocSource]:
    """The class of a dataset or a VOC set, without what may follow a colon. Raises RotnetError for an unknown one."""
    return VOC_SETS[name] if name in VOC_SETS else DATASETS[name]
