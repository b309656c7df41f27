"""What is measured of training is training: its images, its inputs, its arithmetic."""

import re

import pytest
import torch
from torch import nn

from rotnet_lib.bench.training import measure, random_data, report
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task

CPU = torch.device("cpu")


@pytest.mark.parametrize(("arch", "side", "size", "classes"), [("nin4", 32, 32, 10), ("alexnet", 256, 224, 1000)])
def test_random_data_has_the_sizes_of_the_archs_protocol(arch: str, side: int, size: int, classes: int) -> None:
    data = random_data(PretrainConfig.build({"arch": arch}), CPU)
    assert data.train.images.shape[1:] == (side, side, 3)
    assert (data.image_size, data.train.size, len(data.classes)) == (size, size, classes)
    assert data.train.images.float().std() > 50


def forward_flops(backbone: nn.Module, size: int) -> list[int]:
    """Of each convolution, by the definition: two for each weight and place."""
    found = []

    def count(layer: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        found.append(2 * layer.weight.numel() * output.shape[2] * output.shape[3])

    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    backbone(torch.zeros(1, 3, size, size))
    return found


def test_a_step_is_of_all_rotated_copies_and_its_arithmetic_forward_and_backward() -> None:
    config = PretrainConfig.build({"arch": "nin3", "width": 0.05})
    data = random_data(config, CPU)
    task, backbone = pretext_task(config, data)
    rates = measure(config, task, data, 0.02, CPU)
    assert rates.inputs == 4 * rates.images == 128
    assert rates.step > rates.load > 0
    assert rates.test > 0
    # Backward costs twice as much, but the first layer needs no gradient of its input; the linear layer is a trifle.
    layers = forward_flops(backbone, 32)
    assert rates.flops == pytest.approx(3 * sum(layers) - layers[0], rel=1e-3)


def test_the_report_says_what_was_trained_and_how_fast() -> None:
    text = report(0.1, arch="nin3", width=0.05, compile=False)
    assert re.search(r"^rotation on nin3, width 0.05, 32 pixels, batch 32 x 4: [\d,]+ inputs/s, [\d,]+ images/s", text, re.M)
    assert re.search(r"fp32 matmul: [\d.]+ TFLOP/s", text)
    assert re.search(r"\d+ % of the matmul rate", text)
    assert "jigsaw" not in text


def test_another_task_stands_beside_rotation() -> None:
    text = report(0.02, arch="nin3", width=0.05, compile=False, task="jigsaw")
    assert re.search(r"^jigsaw on nin3, width 0.05, 32 pixels, batch 32: ([\d,]+) inputs/s, \1 images/s", text, re.M)
    assert re.search(r"^rotation on nin3, width 0.05, 32 pixels, batch 32 x 4: ", text, re.M)
