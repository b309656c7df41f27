"""A backbone prepared for VOC: folded, checked, rescaled, and said so."""

import pytest
import torch
from bs4 import BeautifulSoup
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.models.gradient_rescaling import LayerRatio
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.report.voc_preparation import preparation_sentence, preparation_summary
from rotnet_lib.seeds import seeded
from rotnet_lib.voc.preparation import PreparationRecord, prepare

IMAGES = torch.randint(0, 256, (6, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def used() -> Backbone:
    with seeded(0, "test"):
        backbone = make_backbone("alexnet", width=0.05, mean=(120.0,) * 3, std=(60.0,) * 3)
    rescale_by_data(backbone, IMAGES)
    return backbone.eval()


def test_without_rescaling_it_is_the_folded_backbone() -> None:
    backbone = used()
    prepared = prepare(backbone, IMAGES, rescale=False, seed=0)
    with torch.no_grad():
        before, after, own = backbone(IMAGES), prepared.backbone(IMAGES), fold(backbone)(IMAGES)
    assert torch.equal(after, own)
    assert prepared.record.layers == ()
    assert prepared.record.images == 6
    assert 0 < prepared.record.fold_error < 1e-4
    assert prepared.record.fold_error == pytest.approx(((before - after).abs().max() / before.std()).item())


def test_rescaled_it_gives_the_same_outputs_up_to_a_factor_and_records_each_layer() -> None:
    backbone = used()
    prepared = prepare(backbone, IMAGES, rescale=True, seed=0)
    record = prepared.record
    assert [layer.name for layer in record.layers] == list(backbone.taps)
    with torch.no_grad():
        before, after = backbone(IMAGES), prepared.backbone(IMAGES)
    share = (after * before).sum() / before.square().sum()
    assert share > 0
    torch.testing.assert_close(after, share * before, rtol=1e-3, atol=1e-4 * after.abs().max().item())
    found = [layer.after for layer in record.layers]
    assert max(found) / min(found) < 1.02 < max(x.before for x in record.layers) / min(x.before for x in record.layers)
    again, other = (prepare(backbone, IMAGES, rescale=True, seed=seed).record for seed in (0, 1))
    assert again == record
    assert other != record
    assert PreparationRecord.model_validate_json(record.model_dump_json()) == record


def test_the_backbone_given_is_left_as_it_was() -> None:
    backbone = used().train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    prepared = prepare(backbone, IMAGES, rescale=True, seed=0)
    after = backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert backbone.training
    assert prepared.backbone.training


def test_a_folding_that_changes_something_is_refused() -> None:
    """It knows what a batch norm computes, and not that this one adds something."""
    backbone = used()
    [norm] = [layer for layer in backbone.get_submodule("blocks.fc7").modules() if isinstance(layer, nn.BatchNorm1d)]
    norm.register_forward_hook(lambda module, inputs, output: output + 0.5)
    with pytest.raises(
        RotnetError, match=r"folding batch norm changed the outputs of fc7 by 0\.\d+ of their standard deviation"
    ):
        prepare(backbone, IMAGES, rescale=False, seed=0)


@pytest.mark.parametrize(("bias", "told"), [(-1e6, "the same for every image"), (float("nan"), "not finite")])
def test_a_dead_backbone_is_refused(bias: float, told: str) -> None:
    backbone = used()
    norm = backbone.get_submodule("blocks.conv4.1")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.bias.data.fill_(bias)
    with pytest.raises(RotnetError, match=f"the outputs of fc7 are {told}"):
        prepare(backbone, IMAGES, rescale=False, seed=0)


def test_one_image_is_too_few() -> None:
    with pytest.raises(RotnetError, match="at least 2 images, not 1"):
        prepare(used(), IMAGES[:1], rescale=False, seed=0)


@pytest.mark.parametrize(("rounds", "told"), [(1, "1 round"), (4, "4 rounds")])
def test_the_report_has_a_row_a_layer_and_a_sentence(rounds: int, told: str) -> None:
    layers = (LayerRatio("conv1", 0.5, 3.02, (1.5,) * rounds), LayerRatio("fc7", 1253.8, 3.0, (0.5,) * rounds))
    record = PreparationRecord(images=64, fold_error=2.2e-6, layers=layers)
    rows = BeautifulSoup(str(preparation_summary(record).data), "html.parser").find_all("tr")[1:]
    shown = [[cell.text for cell in row.find_all("td")] for row in rows]
    assert shown == [["conv1", "0.5", "3.02", f"{1.5**rounds:.3g}"], ["fc7", "1,254", "3", f"{0.5**rounds:.3g}"]]
    assert preparation_sentence(record) == (
        "Batch norm was folded into the weights: outputs differ by at most 2e-06 of their spread, on 64 images. "
        f"The weights were rescaled in {told}, so that all layers learn at the same rate: the ratios of gradient to weight are "
        "between 3 and 3.02; before, they were between 0.5 and 1,254. fc6 and fc7 are the backbone's own."
    )


def test_the_report_says_that_nothing_was_rescaled() -> None:
    record = PreparationRecord(images=6, fold_error=2.2e-6, layers=())
    expected = (
        "Batch norm was folded into the weights: outputs differ by at most 2e-06 of their spread, on 6 images. "
        "The weights were not rescaled."
    )
    assert preparation_sentence(record).startswith(expected)
    assert "<table>" not in str(preparation_summary(record).data)
