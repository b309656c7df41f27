"""Colorization: what is asked, what the loss is, what is refused."""

import math
from typing import Any

import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.colour import rgb_to_lab
from rotnet_lib.pretext.colorization import Colorization
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_backbone
from rotnet_lib.training.headers import backbone_header
from tests.pretext.made import batch_of, made_data, made_task, random_data

SMALL: dict[str, Any] = {"dataset": "shapes", "train_size": 40, "test_size": 20, "device": "cpu", "epochs": 1, "batch_size": 16}


def task(data: Dataset, arch: str = "nin3", **options: Any) -> Colorization:
    found: Colorization = made_task("colorization", data, arch, **{"head": "conv"} | options)
    last = list(found.module.modules())[-1]
    assert isinstance(last, torch.nn.Conv2d)
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.zero_()
    found.module.eval()
    return found


def plain(*colours: tuple[int, int, int]) -> Dataset:
    """An image of each colour."""
    return made_data(torch.tensor(colours, dtype=torch.uint8)[:, None, None].repeat(1, 32, 32, 1))


def test_a_network_that_knows_nothing_has_the_loss_of_all_bins_alike() -> None:
    data = random_data(32)
    assert task(data, uniform=1.0).evaluate(batch_of(data)).loss.item() == pytest.approx(math.log(313), abs=1e-4)


def test_rare_colours_weigh_more() -> None:
    data = plain(*[(200, 40, 40)] * 5, (40, 60, 200))
    found = task(data)
    weights = found.module.get_buffer("weights")
    red, blue = (found.code(rgb_to_lab(data.train.read([place])), 1)[0][0, 0] for place in (0, 5))
    assert weights[blue] > 2 * weights[red]
    counted = found.module.get_buffer("prior")
    assert (counted[red].item(), counted[blue].item()) == pytest.approx((5 / 6, 1 / 6))


def test_grey_images_have_no_weight() -> None:
    data = plain((200, 40, 40), (90, 90, 90))
    found = task(data)
    assert found.evaluate(batch_of(data, 2)).loss.item() > 0
    grey = plain((90, 90, 90), (10, 10, 10))
    assert found.evaluate(batch_of(grey, 2)).loss.item() == 0


def test_the_network_sees_lightness_alone(tiny: dict[str, Any]) -> None:
    outcome = pretrain(PretrainConfig.build(tiny | {"task": "colorization", "arch": "nin3"}))
    outcome.save()
    backbone = load_backbone(outcome.directory.path / MODEL)
    assert backbone.inputs == "lab-l"
    assert next(backbone.parameters()).shape[1] == 1


def test_a_network_that_is_right_is_measured_so() -> None:
    data = plain((200, 40, 40), (200, 40, 40))
    found = task(data)
    lab = rgb_to_lab(data.train.read([0]))
    bins, _ = found.code(lab[..., :1, :1], 1)
    with torch.no_grad():
        list(found.module.parameters())[-1][bins[0, 0]] = 50.0
    step = found.evaluate(batch_of(data, 2))
    assert step.values["ab_top1"].all()
    assert step.values["colour_top1"].all()
    centre = found.module.get_buffer("centres")[bins[0, 0]]
    away = (lab[0, 1:, 0, 0] - centre).norm().item()
    torch.testing.assert_close(step.values["ab_error"], torch.full((128,), away), atol=1e-3, rtol=0)
    assert step.values["psnr"].min() > 25
    assert step.targets is not None
    assert {found.target_names[target] for target in step.targets.tolist()} == {"red"}


def test_guessing_is_the_most_frequent_bin_and_grey() -> None:
    data = plain(*[(200, 40, 40)] * 3, (40, 60, 200))
    chance = {name: metric.chance for name, metric in task(data).metrics.items()}
    assert chance["ab_top1"] == chance["colour_top1"] == pytest.approx(75)
    labs = rgb_to_lab(data.train.read(range(4)))[:, 1:, 0, 0]
    assert chance["ab_error"] == pytest.approx(labs.norm(dim=1).mean().item(), rel=1e-4)


def test_a_constant_answer_is_told_beside_the_loss() -> None:
    """Of one colour only, the best constant answer has the entropy of its soft code."""
    data = plain((200, 40, 40), (200, 40, 40))
    _, weights = task(data).code(rgb_to_lab(data.train.read([0]))[..., :1, :1], 5)
    expected = -(weights * weights.log()).sum().item()
    [note] = [note for note in task(data, uniform=1.0).notes if "nats" in note]
    assert f"{expected:.3f} nats" in note


def test_grey_data_are_refused() -> None:
    with pytest.raises(RotnetError, match=r"^dataset: made has no colours to learn from: in 2 of its training images"):
        task(plain((90, 90, 90), (10, 10, 10)))


@pytest.mark.parametrize(("field", "value"), [("grey", True), ("colour_jitter", 0.4)])
def test_changed_colours_are_refused_before_anything_runs(field: str, value: Any) -> None:
    with pytest.raises(
        RotnetError, match=rf"{field}: task 'colorization' learns from the images' own colours, .* Leave it out"
    ):
        PretrainConfig.build(SMALL | {"task": "colorization", "arch": "nin3", field: value})


def test_the_stride_of_pretraining_is_that_of_the_probes() -> None:
    asked = SMALL | {"arch": "alexnet", "width": 0.05, "image_size": 64}
    run = pretrain(PretrainConfig.build(asked | {"task": "colorization", "task_options": {"stride": 2, "head": "conv"}}))
    run.save()
    assert backbone_header(run.directory.path / MODEL).stride == 2
    assert load_backbone(run.directory.path / MODEL).shape("conv1", 64)[1:] == (29, 29)
    assert any("stride 2 in place of 4" in note for note in run.result.notes)
    own = {name: value for name, value in asked.items() if name not in ("arch", "width", "image_size")}
    probed = probe(ProbeConfig.build(own | {"backbone": run.directory.name, "layer": "conv1", "classifier": "linear"}))
    assert load_backbone(probed.directory.path / MODEL).stem_stride == 2


def test_examples_show_lightness_truth_and_answer() -> None:
    data = plain((200, 40, 40), (40, 60, 200))
    with torch.no_grad():
        first, _ = task(data).examples(batch_of(data, 2))
    grey, image, answer = first.pictures
    assert first.columns == 3
    assert (grey[..., 0] == grey[..., 1]).all()
    assert image.shape == answer.shape == (32, 32, 3)
    assert sorted(map(int, image[0, 0])) in ([40, 40, 200], [40, 60, 200])
    assert "dB" in first.caption


def test_a_test_step_tells_the_bin_of_each_place() -> None:
    data = plain((200, 40, 40), (40, 60, 200))
    found = task(data)
    found.module.eval()
    with torch.no_grad():
        step = found.evaluate(batch_of(data, 2))
    told = step.told["ab_top1"]
    assert told.count == 313
    assert torch.equal(told.true == told.said, step.values["ab_top1"])
    assert len(told.true.unique()) == 2


def test_charts_do_not_grow_with_the_data() -> None:
    [chart] = task(random_data(32)).charts()
    assert [picture.shape for picture in chart.pictures] == [(110, 100, 3)] * 2
    assert "most frequent" in chart.caption
