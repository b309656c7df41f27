"""The published figures as data."""

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.published import published_table, source


def test_table_3() -> None:
    assert published_table("table3") == {
        "Supervised NIN": {"top1": 92.80},
        "Random Init. + conv": {"top1": 72.50},
        "RotNet + non-linear": {"top1": 89.06},
        "RotNet + conv": {"top1": 91.16},
        "RotNet + non-linear (fine-tuned)": {"top1": 91.73},
        "RotNet + conv (fine-tuned)": {"top1": 92.17},
        "Roto-Scat + SVM (Oyallon & Mallat, 2015)": {"top1": 82.3},
        "ExemplarCNN (Dosovitskiy et al., 2014)": {"top1": 84.3},
        "DCGAN (Radford et al., 2015)": {"top1": 82.8},
        "Scattering (Oyallon et al., 2017)": {"top1": 84.7},
    }


def test_table_1_has_a_column_a_block() -> None:
    assert published_table("table1") == {
        "RotNet with 3 conv. blocks": {"conv1": 85.45, "conv2": 88.26, "conv3": 62.09},
        "RotNet with 4 conv. blocks": {"conv1": 85.07, "conv2": 89.06, "conv3": 86.21, "conv4": 61.73},
        "RotNet with 5 conv. blocks": {"conv1": 85.04, "conv2": 89.76, "conv3": 86.82, "conv4": 74.50, "conv5": 50.37},
    }


def test_table_2_ranks_the_four_right_angles_first() -> None:
    assert published_table("table2") == {
        "4: 0 90 180 270": {"top1": 89.06},
        "8: 0 45 90 135 180 225 270 315": {"top1": 88.51},
        "2: 0 180": {"top1": 87.46},
        "2: 90 270": {"top1": 85.52},
    }


def test_table_9_names_its_classes_and_gives_no_figures() -> None:
    classes = ["aero", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert published_table("table9") == {row: dict.fromkeys(classes) for row in ("Supervised", "RotNet")}


def test_a_list_of_figures_stands_under_the_tables_columns() -> None:
    assert published_table("table5")["RotNet"] == {"conv1": 18.8, "conv2": 31.7, "conv3": 38.7, "conv4": 38.2, "conv5": 36.5}


def test_a_figure_that_is_not_given_is_none() -> None:
    assert list(published_table("table7")["Random"].values()) == [None, 53.3, 43.4, 19.8]


@pytest.mark.parametrize("name", ["frozen_stem", *(f"table{number}" for number in range(1, 10))])
def test_every_figure_of_every_table_is_a_percentage(name: str) -> None:
    figures = [figure for row in published_table(name).values() for figure in row.values()]
    assert figures
    assert all(figure is None or 0 < figure < 100 for figure in figures)


def test_an_unknown_table_is_named_with_the_nearest() -> None:
    with pytest.raises(RotnetError, match=r"unknown published table 'tabel3'; did you mean 'table3'\?"):
        published_table("tabel3")
    with pytest.raises(RotnetError, match="unknown published table 'sources'"):
        published_table("sources")


def test_sources_are_citations() -> None:
    assert source("rotnet").text.startswith("Gidaris, Singh, Komodakis.")
    assert "2018" in source("rotnet").text
