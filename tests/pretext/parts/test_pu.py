"""Positive-unlabelled weights: the table, its file, and what fits it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.angles import upright_label
from rotnet_lib.pretext.parts.pu import Plausibility, PuWeights
from rotnet_lib.training.checkpoints import save_tensors

IMAGES: dict[str, Any] = {"dataset": "shapes", "train_size": 3, "image_size": 32, "grey": False, "fingerprint": "0123"}
P = torch.tensor([[0.9, 0.5, 0.1], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])


def table(angles: tuple[float, ...] = (90, 0, 180)) -> Plausibility:
    return Plausibility(P, angles, IMAGES)


@pytest.mark.parametrize(
    ("angles", "label"), [((0, 90), 0), ((90, 0), 1), ((90, 360), 1), ((90, -360), 1), ((90, 180), None), ((), None)]
)
def test_a_full_turn_is_upright(angles: tuple[float, ...], label: int | None) -> None:
    assert upright_label(angles) == label


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_a_copy_weighs_one_if_upright_else_what_p_leaves(gamma: float) -> None:
    index, labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 0]), torch.tensor([0, 1, 2, 2, 1, 0, 0, 0])
    weights = PuWeights(table(), gamma)(index, labels)
    expected = [1.0 if k == 1 else 1 - float(P[i, k]) ** gamma for i, k in zip(index.tolist(), labels.tolist(), strict=True)]
    assert weights.tolist() == pytest.approx(expected)
    assert weights.dtype == torch.float32


def test_weights_leave_the_table_as_it_is() -> None:
    before = P.clone()
    PuWeights(table(), 2.0)
    assert torch.equal(P, before)


def test_a_table_of_weights_is_no_parameter_and_moves_with_its_module() -> None:
    weights = PuWeights(table(), 2.0)
    assert not list(weights.parameters())
    assert weights.to(torch.device("meta")).weights.device.type == "meta"


def test_a_file_holds_it_all(tmp_path: Path) -> None:
    table().save(tmp_path / "pu.safetensors")
    found = Plausibility.load(tmp_path / "pu.safetensors")
    assert torch.equal(found.p, P)
    assert (found.angles, found.images, found.upright) == ((90, 0, 180), IMAGES, 1)


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    save_tensors(tmp_path / "model.safetensors", {"weight": P}, {"arch": "nin3"})
    with pytest.raises(RotnetError, match=r"foreign file .*model\.safetensors: it holds no probabilities"):
        Plausibility.load(tmp_path / "model.safetensors")
    (tmp_path / "pu.safetensors").write_bytes(b"nothing")
    with pytest.raises(RotnetError, match=r"damaged checkpoint .*pu\.safetensors"):
        Plausibility.load(tmp_path / "pu.safetensors")


def test_the_same_images_and_angles_fit() -> None:
    table().check("pu", IMAGES, 3, [90, 0.0, 180])
    table().check("pu", IMAGES | {"dataset": "another name of it"}, 3, [90, 0, 180])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_size": 2}, r"of other images \(train_size 3 there, 2 here\)"),
        ({"train_size": None, "grey": True}, r"\(train_size 3 there, None here; grey False there, True here\)"),
        ({"dataset": "shapes:1", "fingerprint": "4567"}, r"\(dataset shapes there, shapes:1 here\)"),
        ({"fingerprint": "4567"}, r"the data \(shapes\) has changed since run pu was made"),
    ],
)
def test_other_images_do_not_fit(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(RotnetError, match=message):
        table().check("pu", IMAGES | changed, 3, [90, 0, 180])


@pytest.mark.parametrize("angles", [(0, 90, 180), (90, 0), (90, 0, 270)])
def test_other_angles_do_not_fit(angles: tuple[float, ...]) -> None:
    with pytest.raises(RotnetError, match=r"angles of run pu are \[90, 0, 180\].*in the same order"):
        table().check("pu", IMAGES, 3, angles)


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_images_does_not_fit(count: int) -> None:
    """In memory, those that cannot be read are not there, so that all rows behind them would be of others."""
    with pytest.raises(RotnetError, match=rf"run pu is of 3 images, and here {count} could be read.*Make all of them again"):
        table().check("pu", IMAGES, count, [90, 0, 180])
