"""The pictures of a pu_weights run show what was found, and say what they show."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from rotnet_lib.evaluation.upright import PlausibleCopy
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.report.pu_plots import plausibility_by_class, plausibility_histogram, plausible_copies
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import DataRecord, Environment, MetricValue, RunResult
from rotnet_lib.stages.pu_weights import PuOutcome


def outcome(tmp_path: Path, classes: int = 3) -> PuOutcome:
    """Four images at three angles, the second upright; the last image could not be read. Class n has a mean p of n %."""
    p = torch.tensor([[0.1, 0.9, 0.7], [0.22, 0.8, 0.01], [0.95, 0.9, 0.02], [0, 0, 0]])
    data = DataRecord(name="d", title="D", fingerprint="0", classes=[], train_images=4, test_images=1)
    metrics = {
        "rotation_top1": MetricValue(last=60.0),
        "upright": MetricValue(last=33.0),
        "plausible": MetricValue(last=100 / 3),
    }
    by_target = {"upright": {f"class {n}": float(n) for n in range(classes)}}
    nothing: Any = {}
    result = RunResult(
        run="r", stage="pu_weights", parameters=nothing, protocol_differences={}, data=data, metrics=metrics,
        by_target=by_target, training=None, wall_seconds=1.0, peak_memory_mib=1, environment=Environment(), finished_at="",
    )  # fmt: skip
    pixels = np.full((8, 8, 3), 7, np.uint8)
    copies = [PlausibleCopy(2, "ball", 90, 0.95, pixels), PlausibleCopy(0, "mug", 180, 0.7, 2 * pixels)]
    return PuOutcome(RunDirectory(tmp_path), result, Plausibility(p, (90, 0, 180), {}), copies, "note")


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))  # type: ignore[attr-defined]


def test_the_histogram_counts_the_rotated_copies_of_images_that_were_read(tmp_path: Path) -> None:
    figure = plausibility_histogram(outcome(tmp_path)).figure
    [axis] = figure.axes
    assert axis.get_yscale() == "log"
    found = [(patch.get_data().values, patch.get_data().edges) for patch in axis.patches]  # type: ignore[attr-defined]
    for (counts, edges), p in zip(found, ([0.1, 0.22, 0.95], [0.7, 0.01, 0.02]), strict=True):
        assert counts.sum() == 3
        for one in p:
            assert counts[np.searchsorted(edges, one) - 1] >= 1
    assert "90°: 33.33 % above 0.5" in texts(figure)
    assert "180°: 33.33 % above 0.5" in texts(figure)


def test_plausible_copies_say_by_how_much_they_are_turned(tmp_path: Path) -> None:
    figure = plausible_copies(outcome(tmp_path)).figure
    assert [axis.get_title() for axis in figure.axes] == ["by 90°, p 0.95\n2: ball", "by 180°, p 0.70\n0: mug"]
    assert (np.asarray(figure.axes[1].get_images()[0].get_array()) == 14).all()


def test_classes_stand_with_the_most_plausible_first(tmp_path: Path) -> None:
    figure = plausibility_by_class(outcome(tmp_path)).figure
    [axis] = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["class 2", "class 1", "class 0"]
    assert [patch.get_width() for patch in axis.patches] == [2, 1, 0]  # type: ignore[attr-defined]
    assert axis.get_xlabel() == "mean p of the rotated copies (%)"
    assert "all rotated copies: 33.00 %" in texts(figure)


@pytest.mark.parametrize(("classes", "left_out"), [(40, 0), (41, 1), (1000, 960)])
def test_of_many_classes_the_ends_are_shown(classes: int, left_out: int, tmp_path: Path) -> None:
    figure = plausibility_by_class(outcome(tmp_path, classes)).figure
    [axis] = figure.axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert (names[0], names[-1], len(names)) == (f"class {classes - 1}", "class 0", 40)
    assert (f"{left_out} classes between them left out" in axis.get_xlabel()) == (left_out > 0)


def test_the_texts_in_place_of_the_pictures_have_their_figures(tmp_path: Path) -> None:
    found = outcome(tmp_path)
    assert "by 90° 33.33 %, by 180° 33.33 %" in plausibility_histogram(found).description
    assert "ball turned by 90° (p 0.95), mug turned by 180° (p 0.70)" in plausible_copies(found).description
    assert (
        "class 2 2.00 %, class 1 1.00 %, class 0 0.00 %. All rotated copies: 33.00 %."
        in plausibility_by_class(found).description
    )


def test_lines_of_many_angles_are_all_drawn(tmp_path: Path) -> None:
    angles = tuple(range(0, 360, 30))
    p = torch.rand(50, 12, generator=torch.Generator().manual_seed(0))
    many = dataclasses.replace(outcome(tmp_path), plausibility=Plausibility(p, angles, {}))
    assert len(plausibility_histogram(many).figure.axes[0].patches) == 11
