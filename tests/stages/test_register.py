"""The register of stages."""

import pytest

import rotnet_lib.voc
from rotnet_lib.errors import RotnetError
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.probe import ProbeConfig, probe


def test_a_stage_is_found_by_its_notebook_with_config_and_function() -> None:
    assert (STAGES["probe"].config, STAGES["probe"].run) == (ProbeConfig, probe)


def test_transfer_to_voc_enters_its_own() -> None:
    own = [name for name in STAGES if STAGES[name].run.__module__.startswith(rotnet_lib.voc.__name__)]
    assert sorted(own) == ["voc_classification", "voc_detection", "voc_segmentation"]


def test_an_unknown_notebook_is_refused_with_the_nearest() -> None:
    with pytest.raises(RotnetError, match="unknown notebook 'prob'; did you mean 'probe'"):
        STAGES["prob"]
