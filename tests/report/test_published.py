"""The published figures as data."""

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.published import published_rows, source


def test_table_3() -> None:
    assert published_rows("table3") == {
        "Supervised NIN": 92.80,
        "Random Init. + conv": 72.50,
        "RotNet + non-linear": 89.06,
        "RotNet + conv": 91.16,
        "RotNet + non-linear (fine-tuned)": 91.73,
        "RotNet + conv (fine-tuned)": 92.17,
        "Roto-Scat + SVM (Oyallon & Mallat, 2015)": 82.3,
        "ExemplarCNN (Dosovitskiy et al., 2014)": 84.3,
        "DCGAN (Radford et al., 2015)": 82.8,
        "Scattering (Oyallon et al., 2017)": 84.7,
    }


def test_some_figures_of_the_other_tables() -> None:
    assert published_rows("table1")["RotNet with 4 conv. blocks"] == {
        "conv1": 85.07,
        "conv2": 89.06,
        "conv3": 86.21,
        "conv4": 61.73,
    }
    assert published_rows("table2")["8: 0 45 90 135 180 225 270 315"] == 88.51
    assert published_rows("table5")["RotNet"] == [18.8, 31.7, 38.7, 38.2, 36.5]
    assert published_rows("table7")["Random"] == [None, 53.3, 43.4, 19.8]  # a cell that is not given stays empty


def test_an_unknown_table_is_named_with_the_nearest() -> None:
    with pytest.raises(RotnetError, match=r"unknown published table 'tabel3'; did you mean 'table3'\?"):
        published_rows("tabel3")
    with pytest.raises(RotnetError, match="unknown published table 'sources'"):
        published_rows("sources")


def test_sources_are_citations() -> None:
    assert source("rotnet").startswith("Gidaris, Singh, Komodakis.")
    assert "2018" in source("rotnet")
