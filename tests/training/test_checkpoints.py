"""Weights on disk: whole, strict, and named when something is wrong."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.network import Network
from rotnet_lib.seeds import seeded
from rotnet_lib.training.checkpoints import (
    load_backbone,
    load_network,
    load_tensors,
    save_backbone,
    save_tensors,
)
from rotnet_lib.training.headers import backbone_header
from rotnet_lib.training.resume import ResumeState

IMAGES = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(arch: str = "nin4", width: float = 0.1) -> Backbone:
    with seeded(0, "test"):
        return make_backbone(arch, width=width, mean=(100, 110, 120), std=(50, 60, 70)).eval()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of a whole network."""
    backbone = make()
    save_backbone(tmp_path / "model.safetensors", Network(backbone, 4, 32), backbone)
    return tmp_path / "model.safetensors"


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], object]) -> None:
    """Change a checkpoint's tensors and header."""
    tensors, header = load_tensors(path)
    change(tensors, header)
    save_tensors(path, tensors, header)


def test_a_backbone_comes_back_as_it_was(path: Path) -> None:
    before, after = make(), load_backbone(path).eval()
    assert (after.arch, after.width, after.taps) == ("nin4", 0.1, ("conv1", "conv2", "conv3", "conv4"))
    state = after.state_dict()
    for name, value in before.state_dict().items():
        assert torch.equal(state[name], value)
        assert state[name].dtype == value.dtype
    assert torch.equal(after(IMAGES), before(IMAGES))  # with the statistics it normalises by


def test_a_backbone_that_was_cut_comes_back_cut(tmp_path: Path) -> None:
    backbone = make()
    backbone.cut_after("conv2")
    save_backbone(tmp_path / "model.safetensors", Network(backbone, 4, 32), backbone)
    after = load_backbone(tmp_path / "model.safetensors").eval()
    assert after.taps == ("conv1", "conv2")
    assert torch.equal(after(IMAGES), backbone(IMAGES))


def test_the_header_says_what_the_backbone_is(path: Path) -> None:
    taps = ["conv1", "conv2", "conv3", "conv4"]
    assert backbone_header(path).model_dump() == {"arch": "nin4", "width": 0.1, "taps": taps, "inputs": "rgb", "stride": None}
    rewrite(path, lambda tensors, header: tensors.clear())
    assert backbone_header(path).arch == "nin4"  # whatever the weights are


def test_a_stride_that_is_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    backbone = make_backbone("alexnet", width=0.05, mean=(100, 110, 120), std=(50, 60, 70))
    backbone.stem_stride = 2  # for a while
    save_backbone(path, Network(backbone, 4, 64), backbone)
    assert (backbone_header(path).stride, load_backbone(path).stem_stride) == (None, 4)
    backbone.keep_stem_stride(2)
    save_backbone(path, Network(backbone, 4, 64), backbone)
    after = load_backbone(path)
    assert (backbone_header(path).stride, after.stem_stride, after.min_image_size) == (2, 2, backbone.min_image_size)
    after.reset_stem_stride()
    save_backbone(path, Network(after, 4, 64), after)
    assert (backbone_header(path).stride, load_backbone(path).stem_stride) == (None, 4)


def test_a_file_that_names_no_kind_of_input_is_of_rgb(path: Path) -> None:
    """As all were before there were several."""
    rewrite(path, lambda tensors, header: header.pop("inputs"))
    assert backbone_header(path).inputs == load_backbone(path).inputs == "rgb"
    assert torch.equal(load_backbone(path).eval()(IMAGES), make()(IMAGES))


def test_a_backbone_of_another_kind_of_input_comes_back_as_it_was(tmp_path: Path, luminance: str) -> None:
    path = tmp_path / "model.safetensors"
    with seeded(0, "test"):
        before = make_backbone("nin4", width=0.1, mean=(100, 110, 120), std=(50, 60, 70), inputs=luminance).eval()
    save_backbone(path, Network(before, 4, 32), before)
    after = load_backbone(path).eval()
    assert backbone_header(path).inputs == after.inputs == luminance
    assert torch.equal(after(IMAGES), before(IMAGES))
    assert torch.equal(load_network(path, 32).backbone(IMAGES), before(IMAGES))


@pytest.mark.parametrize("load", [load_backbone, backbone_header])
def test_an_unknown_kind_of_input_is_named_with_the_file(path: Path, load: Any) -> None:
    rewrite(path, lambda tensors, header: header.update(inputs="rgbd"))
    told = "unknown kind of input 'rgbd'; did you mean 'rgb'? Allowed: rgb, grey, lab-l, lab, gradient, sobel, rgb-tanh. "
    told += "A version of this library that knows it reads"
    with pytest.raises(RotnetError, match=rf"^foreign checkpoint {path}: {re.escape(told)}"):
        load(path)


def test_the_memory_format_does_not_matter(tmp_path: Path) -> None:
    backbone = make()
    backbone.to(memory_format=torch.channels_last)
    save_backbone(tmp_path / "model.safetensors", Network(backbone, 4, 32), backbone)
    assert torch.allclose(load_backbone(tmp_path / "model.safetensors").eval()(IMAGES), make()(IMAGES), atol=1e-5)


def test_other_tools_can_read_the_file(path: Path) -> None:
    assert safetensors.torch.load_file(path).keys() == Network(make(), 4, 32).state_dict().keys()
    with safetensors.safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["header"])["arch"] == "nin4"


# --- A network with its head ---


@pytest.mark.parametrize("classes", [4, 10])
def test_a_network_comes_back_as_it_was(classes: int, tmp_path: Path) -> None:
    backbone = make()
    with seeded(1):
        network = Network(backbone, classes, 32).eval()
    save_backbone(tmp_path / "model.safetensors", network, backbone)
    after = load_network(tmp_path / "model.safetensors", 32)
    assert after.classes == classes
    assert not any(module.training for module in after.modules())
    assert torch.equal(after(IMAGES), network(IMAGES))
    assert after.state_dict().keys() == network.state_dict().keys()


def test_a_network_that_was_cut_comes_back_cut(tmp_path: Path) -> None:
    backbone = make()
    backbone.cut_after("conv1")
    network = Network(backbone, 4, 32).eval()
    save_backbone(tmp_path / "model.safetensors", network, backbone)
    assert torch.equal(load_network(tmp_path / "model.safetensors", 32)(IMAGES), network(IMAGES))


def test_a_network_takes_images_of_another_size(path: Path) -> None:
    assert load_network(path, 22)(IMAGES[..., :22, :22]).shape == (2, 4)


def test_a_backbone_without_a_head_is_no_network(path: Path) -> None:
    def behead(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
        for name in [name for name in tensors if name.startswith("head.")]:
            tensors[f"heads.conv2.{name.removeprefix('head.')}"] = tensors.pop(name)  # as a probe has them

    rewrite(path, behead)
    with pytest.raises(RotnetError, match="holds no head") as error:
        load_network(path, 32)
    assert str(path) in str(error.value)


def test_a_head_that_does_not_fit_is_named(path: Path) -> None:
    rewrite(path, lambda tensors, header: tensors.update({"head.2.weight": torch.zeros(4, 20)}))
    with pytest.raises(RotnetError, match=r"does not fit the model: its head reads 20 channels of 19"):
        load_network(path, 32)


# --- What can be wrong ---


def drop_weight(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    del tensors["backbone.blocks.conv2.0.weight"]


def add_weight(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    tensors["backbone.blocks.conv9.0.weight"] = torch.zeros(1)


def reshape_weight(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    tensors["backbone.blocks.conv1.0.weight"] = torch.zeros(19, 3, 3, 3)


def rename_weights(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    for name in list(tensors):
        tensors[name.replace("backbone.", "module.")] = tensors.pop(name)


def claim_more_blocks(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    header.update(arch="nin5", taps=["conv1", "conv2", "conv3", "conv4", "conv5"])


def claim_another_width(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    header.update(width=0.2)


def claim_an_unknown_arch(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    header.update(arch="nin7")


def leave_out_the_arch(tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    header.clear()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (drop_weight, ["missing blocks.conv2.0.weight", "1 mismatches"]),
        (add_weight, ["unexpected blocks.conv9.0.weight", "1 mismatches"]),
        (reshape_weight, ["blocks.conv1.0.weight is (19, 3, 3, 3), expected (19, 3, 5, 5)", "1 mismatches"]),
        (rename_weights, ["missing normalize.mean"]),
        (claim_more_blocks, ["missing blocks.conv5"]),
        (claim_another_width, ["expected (38, 3, 5, 5)"]),
        (claim_an_unknown_arch, ["nin7"]),
        (leave_out_the_arch, ["no arch"]),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named_with_its_fault(path: Path, change: Any, parts: list[str]) -> None:
    rewrite(path, change)
    with pytest.raises(RotnetError) as error:
        load_backbone(path)
    for part in [str(path), *parts]:
        assert part in str(error.value)


class Trap:
    """A pickle that would make a folder when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path("sprung"),)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>")


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap()))


def torch_saved(path: Path) -> None:
    torch.save({"state_dict": {"conv1": torch.zeros(3)}}, path)


def foreign(path: Path) -> None:
    safetensors.torch.save_file({"conv1": torch.zeros(3)}, path)


def foreign_with_a_format(path: Path) -> None:
    safetensors.torch.save_file({"conv1": torch.zeros(3)}, path, metadata={"format": "pt"})


def removed(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (cut_short, "damaged"),
        (cut_in_the_header, "damaged"),
        (empty, "damaged"),
        (text, "damaged"),
        (pickled, "damaged"),
        (torch_saved, "damaged"),
        (foreign, "format is 'none'"),
        (foreign_with_a_format, "format is 'pt'"),
        (removed, "no such file"),
        (a_folder, "no file but a folder"),
    ],
)
@pytest.mark.parametrize("load", [load_tensors, load_backbone, backbone_header, lambda path: load_network(path, 32)])
def test_a_file_that_is_no_checkpoint_is_named(path: Path, damage: Any, word: str, load: Any) -> None:
    damage(path)
    with pytest.raises(RotnetError) as error:
        load(path)
    assert str(path) in str(error.value)
    assert word in str(error.value)
    assert not Path("sprung").exists()


@pytest.mark.parametrize("load", [load_backbone, backbone_header])
def test_a_resume_state_is_no_backbone(tmp_path: Path, load: Any) -> None:
    module = nn.Linear(2, 2)
    ResumeState(tmp_path / "resume.safetensors").save(module, [], [])
    with pytest.raises(RotnetError, match="holds no backbone"):
        load(tmp_path / "resume.safetensors")
