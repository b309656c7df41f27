"""Split-brain autoencoders: both directions, and nothing between the halves."""

import math
from typing import Any

import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.colour import rgb_to_lab
from rotnet_lib.pretext.split_brain import SplitBrain
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_backbone, load_tensors
from tests.pretext.made import batch_of, made_data, made_task, random_data


def task(data: Dataset) -> SplitBrain:
    found: SplitBrain = made_task("split-brain", data, "nin4-split", head="conv")
    return found


def plain(*colours: tuple[int, int, int]) -> Dataset:
    """An image of each colour."""
    return made_data(torch.tensor(colours, dtype=torch.uint8)[:, None, None].repeat(1, 32, 32, 1))


def last_layers(found: SplitBrain) -> list[torch.nn.Parameter]:
    """Weight and bias of the layer that answers with colours, then of the one that answers with lightness."""
    heads = dict(found.module.named_parameters())
    ends = [[name for name in heads if f"heads.{half}" in name][-2:] for half in ("first", "second")]
    return [heads[name] for half in ends for name in half]


def test_a_network_that_knows_nothing_has_the_loss_of_all_bins_alike() -> None:
    data = random_data(32)
    found = task(data)
    with torch.no_grad():
        for parameter in last_layers(found):
            parameter.zero_()
    step = found.step(batch_of(data))
    assert step.terms["loss_ab"].item() == pytest.approx(math.log(313), abs=1e-4)
    assert step.terms["loss_l"].item() == pytest.approx(math.log(50), abs=1e-4)
    assert step.loss.item() == pytest.approx(9.6582, abs=1e-3)


@pytest.mark.parametrize(("term", "half"), [("loss_ab", 0), ("loss_l", 1)])
def test_no_gradient_goes_from_one_half_to_the_other(term: str, half: int) -> None:
    data = random_data(32)
    found = task(data)
    found.module.train()
    found.step(batch_of(data)).terms[term].backward()
    for name, parameter in found.module.named_parameters():
        if name.startswith("backbone."):
            assert parameter.grad is not None
            own, other = parameter.grad.chunk(2)[:: 1 if half == 0 else -1]
            assert own.abs().max() > 0, name
            assert other.abs().max() == 0, name
        else:
            assert (parameter.grad is None) == (("first" in name) != (half == 0)), name


def test_white_and_black_are_the_last_and_the_first_bin_of_lightness() -> None:
    data = plain((255, 255, 255), (0, 0, 0), (200, 40, 40))
    found = task(data)
    found.module.eval()
    *_, bias = last_layers(found)
    for bin_, colour in ((49, (255, 255, 255)), (0, (0, 0, 0))):
        with torch.no_grad():
            for parameter in last_layers(found):
                parameter.zero_()
            bias[bin_] = 50.0
        step = found.evaluate(batch_of(plain(colour, colour), 2))
        assert step.values["l_top1"].all()
        torch.testing.assert_close(step.values["l_error"], torch.ones(128))  # from the middle of a bin of 2


def test_guessing_is_the_most_frequent_bin_and_the_mean_lightness() -> None:
    data = plain(*[(200, 40, 40)] * 3, (40, 60, 200))
    chance = {name: metric.chance for name, metric in task(data).metrics.items()}
    assert chance["l_top1"] == chance["ab_top1"] == pytest.approx(75)
    light = rgb_to_lab(data.train.read(range(4)))[:, 0, 0, 0]
    assert chance["l_error"] == pytest.approx((light - light.mean()).abs().mean().item(), rel=1e-4)


def test_another_arch_is_refused_before_anything_runs() -> None:
    with pytest.raises(
        RotnetError, match=r"arch: task 'split-brain' cannot train nin4\. Take one of: nin4-split, alexnet-split"
    ):
        PretrainConfig.build({"task": "split-brain", "arch": "nin4", "dataset": "shapes"})


def test_probes_read_both_halves(tiny: dict[str, Any]) -> None:
    run = pretrain(PretrainConfig.build(tiny | {"task": "split-brain", "arch": "nin4-split", "task_options": {"head": "conv"}}))
    run.save()
    backbone = load_backbone(run.directory.path / MODEL)
    assert (backbone.inputs, backbone.arch) == ("lab", "nin4-split")
    small = {name: value for name, value in tiny.items() if name != "width"}
    for classifier in ("linear", "rest"):
        asked = {"backbone": run.directory.name, "layer": "conv2", "classifier": classifier}
        assert probe(ProbeConfig.build(small | asked)).result.metrics.keys() == {"conv2_top1"}


def test_probes_of_one_half_differ_in_their_features_alone(tiny: dict[str, Any]) -> None:
    """The classifier starts from the same weights; those that read the other half see 0 and learn nothing."""
    run = pretrain(PretrainConfig.build(tiny | {"task": "split-brain", "arch": "nin4-split", "task_options": {"head": "conv"}}))
    run.save()
    small = {name: value for name, value in tiny.items() if name != "width"} | {"weight_decay": 0.0, "lr": 0.1}
    asked = small | {"backbone": run.directory.name, "layer": "conv1,conv4", "classifier": "linear"}
    ends: dict[str, dict[str, torch.Tensor]] = {}
    for half in ("both", "L", "ab"):
        config = ProbeConfig.build(asked | {"half": half})
        outcome = probe(config)
        outcome.save()
        ends[half] = load_tensors(outcome.directory.path / MODEL)[0]
    name = next(name for name in ends["L"] if name.startswith("heads.conv4.") and name.endswith("weight"))
    (l_own, l_rest), (ab_rest, ab_own) = (ends[half][name].chunk(2, 1) for half in ("L", "ab"))
    start_of_ab, start_of_l = l_rest, ab_rest  # what never saw anything is as it started
    assert (l_own - start_of_l).abs().max() > 1e-4
    assert (ab_own - start_of_ab).abs().max() > 1e-4
    both = ends["both"][name]
    assert not torch.equal(both, torch.cat([start_of_l, start_of_ab], 1))
    for statistics in (name for name in ends["L"] if name.startswith("heads.") and name.endswith("running_mean")):
        first, second = ends["L"][statistics].chunk(2)
        assert second.abs().max() == 0
        torch.testing.assert_close(first, ends["both"][statistics].chunk(2)[0])


def test_the_trained_half_of_a_network_of_rgb_is_no_half_of_lab(tiny: dict[str, Any]) -> None:
    run = pretrain(PretrainConfig.build(tiny | {"arch": "nin4-split"}))
    run.save()
    small = {name: value for name, value in tiny.items() if name != "width"}
    with pytest.raises(RotnetError, match=r"half: the network in .* reads rgb, not lab.* Leave half out, or name"):
        probe(ProbeConfig.build(small | {"backbone": run.directory.name, "half": "L"}))


def test_examples_show_both_answers() -> None:
    data = plain((200, 40, 40), (40, 60, 200))
    found = task(data)
    found.module.eval()
    with torch.no_grad():
        first, _ = found.examples(batch_of(data, 2))
    assert first.columns == len(first.pictures) == 4
    assert "answer of lightness" in first.caption
