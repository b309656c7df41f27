"""The authors' checkpoints, against their networks written out again in plain torch."""

import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from rotnet_lib.cli import main
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.released import released_network
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_backbone, load_network

Tensors = dict[str, torch.Tensor]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of 1, as the authors' loader has them
CIFAR = (tuple(x / 255 for x in (125.3, 123.0, 113.9)), tuple(x / 255 for x in (63.0, 62.1, 66.7)))


class Theirs(nn.Module):
    """A network whose blocks are named as in the authors' code."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self._feature_blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self._feature_blocks:
            x = block(x)
        return x


def their_alexnet() -> Theirs:
    def block(channels_in: int, channels: int, kernel: int, *, stride: int = 1, padding: int) -> nn.Module:
        conv = nn.Conv2d(channels_in, channels, kernel, stride=stride, padding=padding)
        return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())

    fully_connected: list[nn.Module] = [nn.Flatten()]
    for inputs in (256 * 6 * 6, 4096):
        fully_connected += [nn.Linear(inputs, 4096, bias=False), nn.BatchNorm1d(4096), nn.ReLU()]
    return Theirs(
        [
            block(3, 64, 11, stride=4, padding=2),
            nn.MaxPool2d(3, 2),
            block(64, 192, 5, padding=2),
            nn.MaxPool2d(3, 2),
            block(192, 384, 3, padding=1),
            block(384, 256, 3, padding=1),
            block(256, 256, 3, padding=1),
            nn.MaxPool2d(3, 2),
            nn.Sequential(*fully_connected),
            nn.Sequential(nn.Linear(4096, 4)),
        ]
    )


def their_nin4() -> Theirs:
    def layers(channels_in: int, channels: int, kernel: int) -> nn.Module:
        conv = nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, bias=False)
        named = OrderedDict(Conv=conv, BatchNorm=nn.BatchNorm2d(channels), ReLU=nn.ReLU())
        return nn.Sequential(OrderedDict(layers=nn.Sequential(named)))

    def block(number: int, channels_in: int, channels: tuple[int, int, int], kernel: int) -> OrderedDict[str, nn.Module]:
        sizes = zip((channels_in, *channels[:2]), channels, (kernel, 1, 1), strict=True)
        return OrderedDict((f"Block{number}_ConvB{i}", layers(*size)) for i, size in enumerate(sizes, 1))

    def chain(named: OrderedDict[str, nn.Module], **more: nn.Module) -> nn.Module:
        return nn.Sequential(OrderedDict([*named.items(), *more.items()]))

    head = OrderedDict[str, nn.Module](Pool=nn.AdaptiveAvgPool2d(1), Flatten=nn.Flatten(), Classifier=nn.Linear(192, 4))
    return Theirs(
        [
            chain(block(1, 3, (192, 160, 96), 5), Block1_MaxPool=nn.MaxPool2d(3, 2, padding=1)),
            chain(block(2, 96, (192, 192, 192), 5), Block2_AvgPool=nn.AvgPool2d(3, 2, padding=1)),
            chain(block(3, 192, (192, 192, 192), 3)),
            chain(block(4, 192, (192, 192, 192), 3)),
            chain(head),
        ]
    )


def trained(net: Theirs) -> Theirs:
    """As training leaves it: no batch norm has 0 and 1."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            assert layer.num_batches_tracked is not None
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.1, 0.5)
            layer.num_batches_tracked.fill_(7)
            nn.init.normal_(layer.bias, 0, 0.1)
    return net.eval()


@pytest.fixture(scope="module")
def nin4() -> Theirs:
    with seeded(0):
        return trained(their_nin4())


def write(path: Path, tensors: Tensors, **options: Any) -> Path:
    torch.save({"epoch": 200, "network": OrderedDict(tensors)}, path, **options)
    return path


def assert_same_answers(
    ours: nn.Module, theirs: Theirs, side: int, statistics: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    patches = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = patches.repeat_interleave(side // 4, 2).repeat_interleave(side // 4, 3)
    mean, std = (torch.tensor(values)[:, None, None] for values in statistics)
    with torch.no_grad():
        expected = theirs((images / 255 - mean) / std)
        torch.testing.assert_close(ours(images), expected, rtol=1e-3, atol=1e-4)
    assert expected.std(0).min() > 1e-3  # the images do not all look alike to it


def test_an_alexnet_answers_as_theirs_does(tmp_path: Path) -> None:
    with seeded(0):
        theirs = trained(their_alexnet())
    path = write(tmp_path / "model_net_epoch50", theirs.state_dict(), _use_new_zipfile_serialization=False)
    network = released_network(path, "alexnet")
    path.unlink()  # 230 MB
    assert_same_answers(network, theirs, 224, IMAGENET)
    assert network.backbone.taps == ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_nin_answers_as_theirs_does(nin4: Theirs, zipped: bool, prefix: str, tmp_path: Path) -> None:
    tensors = {prefix + name: tensor for name, tensor in nin4.state_dict().items()}
    path = write(tmp_path / "model_net_epoch200", tensors, _use_new_zipfile_serialization=zipped)
    network = released_network(path, "nin4")
    assert_same_answers(network, nin4, 32, CIFAR)
    counters = [tensor.item() for name, tensor in network.state_dict().items() if name.endswith("num_batches_tracked")]
    assert counters == [7] * 12


class OldPickler(pickle._Pickler):
    """Pickles as Python 2 and torch 0.2 did: byte strings, and tensors without gradients or hooks."""

    write: Any
    memoize: Any

    def save_str(self, text: str) -> None:
        data = text.encode("ascii")
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        self.memoize(text)

    dispatch: ClassVar[Any] = pickle._Pickler.dispatch | {str: save_str}

    def reducer_override(self, thing: Any) -> Any:
        if not isinstance(thing, torch.Tensor):
            return NotImplemented
        storage = thing._typed_storage()
        return torch._utils._rebuild_tensor, (storage, thing.storage_offset(), tuple(thing.shape), thing.stride())


def old_torch_save(tensors: Tensors, path: Path) -> None:
    def dump(thing: Any, file: Any, protocol: int) -> None:
        OldPickler(file, protocol).dump(thing)

    module = SimpleNamespace(__name__="python2", Pickler=OldPickler, dump=dump)
    write(path, tensors, pickle_module=module, pickle_protocol=2, _use_new_zipfile_serialization=False)


def test_a_file_as_old_as_the_released_ones_is_read(nin4: Theirs, tmp_path: Path) -> None:
    """Python 2.7 and torch 0.2, which had no batch counters (the authors' README), tensors saved from a GPU."""
    tensors = {name: tensor for name, tensor in nin4.state_dict().items() if not name.endswith("num_batches_tracked")}
    path = tmp_path / "model_net_epoch200"
    old_torch_save(tensors, path)
    content = path.read_bytes()
    assert b"_rebuild_tensor_v2" not in content
    assert b"U\x07network" in content
    for here, on_a_gpu in ((b"ctorch\nFloatStorage\n", b"ctorch.cuda\nFloatStorage\n"), (b"U\x03cpu", b"U\x06cuda:0")):
        assert content.count(here) == 1  # pickle names a thing once
        content = content.replace(here, on_a_gpu)
    path.write_bytes(content)
    network = released_network(path, "nin4")
    assert_same_answers(network, nin4, 32, CIFAR)
    counters = [tensor.item() for name, tensor in network.state_dict().items() if name.endswith("num_batches_tracked")]
    assert counters == [0] * 12


def test_the_command_makes_a_backbone_that_is_loaded_and_probed_as_any(
    nin4: Theirs, tiny: dict[str, Any], tmp_path: Path
) -> None:
    source, path = write(tmp_path / "theirs", nin4.state_dict()), tmp_path / "weights" / "rotnet.safetensors"
    result = CliRunner().invoke(main, ["import-weights", str(source), str(path), "--arch", "nin4"])
    assert result.exit_code == 0, result.output
    assert f"{path}: nin4 with layers conv1, conv2, conv3, conv4" in result.output
    assert_same_answers(load_network(path, 32), nin4, 32, CIFAR)
    backbone = load_backbone(path)
    assert (backbone.arch, backbone.width) == ("nin4", 1.0)
    del tiny["width"]
    config = ProbeConfig.build(tiny | {"backbone": str(path), "layer": "conv1", "classifier": "linear"})
    assert (config.arch, config.width, config.grey) == ("nin4", 1.0, False)
    assert list(probe(config).result.metrics) == ["conv1_top1"]


def test_the_command_writes_over_nothing(nin4: Theirs, tmp_path: Path) -> None:
    source = write(tmp_path / "theirs", nin4.state_dict())
    before = source.read_bytes()
    result = CliRunner().invoke(main, ["import-weights", str(source), str(source), "--arch", "nin4"])
    assert result.exit_code == 1
    assert "is there already" in result.output
    assert source.read_bytes() == before


def test_their_rotations_are_ours() -> None:
    """Labels 0, 1, 2, 3 of their loader, as numpy flips and transposes of (H, W, 3) images."""
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    upright = image.transpose(1, 0, 2)
    theirs = [image, np.flipud(upright), np.fliplr(np.flipud(image)), np.flipud(image).transpose(1, 0, 2)]
    ours = rotate_all(torch.from_numpy(image).permute(2, 0, 1)[None], (0, 90, 180, 270))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.permute(1, 2, 0), other)


# --- What can be wrong ---


def hollow(net: Theirs) -> Tensors:
    """Their state dict in tensors of a few bytes, of the right shapes."""
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in net.state_dict().items()}


@pytest.fixture(scope="module")
def hollow_alexnet() -> Tensors:
    with torch.device("meta"):
        net = their_alexnet()
    return {
        name: torch.zeros((), dtype=tensor.dtype, device="cpu").expand(tensor.shape)
        for name, tensor in net.state_dict().items()
    }


FIRST, LAST = "_feature_blocks.0.0.weight", "_feature_blocks.9.0.bias"


def drop(tensors: Tensors) -> None:
    del tensors[FIRST], tensors["_feature_blocks.8.2.running_mean"]


def add(tensors: Tensors) -> None:
    tensors["_feature_blocks.10.weight"] = torch.zeros(2)
    tensors["fc.bias"] = torch.zeros(2)


def misshape(tensors: Tensors) -> None:
    tensors[FIRST] = torch.zeros(64, 3, 7, 7)
    tensors[LAST] = torch.zeros(1000)


def everything(tensors: Tensors) -> None:
    del tensors[LAST]
    tensors["fc.bias"] = torch.zeros(2)
    tensors[FIRST] = torch.zeros(64, 3, 7, 7)


def prefix_one(tensors: Tensors) -> None:
    tensors["module." + FIRST] = tensors.pop(FIRST)


def no_tensor(tensors: Tensors) -> None:
    tensors[FIRST] = [0.0]  # type: ignore[assignment]


def no_layers(tensors: Tensors) -> None:
    tensors.clear()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (drop, [f"missing {FIRST}; missing _feature_blocks.8.2.running_mean."]),
        (add, ["unexpected _feature_blocks.10.weight; unexpected fc.bias."]),
        (misshape, [f"{FIRST} is (64, 3, 7, 7), expected (64, 3, 11, 11); {LAST} is (1000,), expected (4,)."]),
        (everything, [f"missing {LAST}; unexpected fc.bias; {FIRST} is (64, 3, 7, 7)"]),
        (prefix_one, [f"missing {FIRST}; unexpected module.{FIRST}."]),
        (no_tensor, [f"{FIRST} is of type list"]),
        (no_layers, [f"missing {FIRST}", f"missing {LAST}"]),
    ],
)
def test_whatever_does_not_fit_is_named(
    hollow_alexnet: Tensors, change: Callable[[Tensors], None], parts: list[str], tmp_path: Path
) -> None:
    tensors = dict(hollow_alexnet)
    change(tensors)
    path = write(tmp_path / "theirs", tensors)
    with pytest.raises(RotnetError) as error:
        released_network(path, "alexnet")
    for part in [str(path), *parts]:
        assert part in str(error.value)


def test_the_wrong_arch_is_told_from_the_names_of_the_layers(nin4: Theirs, hollow_alexnet: Tensors, tmp_path: Path) -> None:
    nin, alexnet = write(tmp_path / "nin", hollow(nin4)), write(tmp_path / "alexnet", hollow_alexnet)
    with pytest.raises(RotnetError, match=r"nin is not alexnet: .*looks like nin4\. Try --arch nin4"):
        released_network(nin, "alexnet")
    with pytest.raises(RotnetError, match=r"alexnet is not nin4: .*looks like alexnet\. Try --arch alexnet"):
        released_network(alexnet, "nin4")


def test_an_arch_that_was_not_released_is_named(tmp_path: Path) -> None:
    with pytest.raises(RotnetError, match=r"'alexnett'; did you mean 'alexnet'\? Allowed: alexnet, nin4\."):
        released_network(tmp_path / "theirs", "alexnett")


class Trap:
    """A pickle that would make a folder when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_could_run_code_is_refused(nin4: Theirs, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    document = {"epoch": 1, "network": nin4.state_dict(), "options": Trap()}
    torch.save(document, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(RotnetError, match=r"is refused: it holds (posix|nt)\S* beside tensors") as error:
        released_network(path, "nin4")
    assert "torch.save" in str(error.value)
    assert not Path("sprung").exists()


def test_an_object_of_ones_own_class_is_refused_by_its_name(nin4: Theirs, tmp_path: Path) -> None:
    torch.save({"network": nin4.state_dict(), "meter": re.compile("a")}, tmp_path / "theirs")
    with pytest.raises(RotnetError, match=r"is refused: it holds re\._compile beside tensors"):
        released_network(tmp_path / "theirs", "nin4")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "cannot be read as a torch checkpoint"),
        (b"<html>404 Not Found</html>", "cannot be read as a torch checkpoint"),
        (b"\x1f\x8b\x08\x00" + bytes(500), "its .tar.gz unpacked"),
        (b"PK\x03\x04" + bytes(500), "Is the download whole"),
        (pickle.dumps([1, 2], 2), "cannot be read as a torch checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(content: bytes, part: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(content)
    with pytest.raises(RotnetError, match="theirs") as error:
        released_network(tmp_path / "theirs", "nin4")
    assert part in str(error.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_short_is_named(zipped: bool, tmp_path: Path) -> None:
    """Wherever it is cut: the loader has another kind of error for each place, and half a name is an unknown one."""
    path = write(tmp_path / "theirs", {"_feature_blocks.0.weight": torch.zeros(2)}, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 3):
        path.write_bytes(content[:length])
        with pytest.raises(RotnetError, match=r"theirs (cannot be read|is refused)"):
            released_network(path, "nin4")


def test_no_file_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(RotnetError, match=r"no checkpoint .*/theirs: no such file"):
        released_network(tmp_path / "theirs", "nin4")


@pytest.mark.parametrize(
    ("document", "found"),
    [({"epoch": 50, "optimizer": {}}, "epoch, optimizer"), ([1], "a list"), ({}, "nothing"), ({"network": 3}, "network")],
)
def test_another_kind_of_checkpoint_is_named_with_what_it_holds(document: Any, found: str, tmp_path: Path) -> None:
    torch.save(document, tmp_path / "theirs")
    with pytest.raises(RotnetError, match=f"this holds {found}\\. The file wanted is named like model_net_epoch50"):
        released_network(tmp_path / "theirs", "nin4")
