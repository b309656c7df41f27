"""Features of several views of an image: turned with the image, turned back, put together."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.view_features import view_features
from rotnet_lib.evaluation.views import Combine, Views
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_tensors
from tests.models.own import own_backbone
from tests.weights import fresh

LAYERS = ("conv1", "conv2")
SEVERAL: list[Views] = ["rotated", "flipped"]


@pytest.fixture
def backbone() -> Backbone:
    with seeded(0):
        return make_backbone("nin3", width=0.05, mean=(120,) * 3, std=(60,) * 3).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8))


def features(backbone: Backbone, images: torch.Tensor, views: Views, combine: Combine = "average") -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return view_features(backbone, images, LAYERS, views, combine)


def by_hand(backbone: Backbone, images: torch.Tensor, views: Views, layer: str) -> list[np.ndarray]:
    """For each view the maps (N, C, H, W) in the upright image's frame, one image at a time."""

    def maps(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found = backbone.features(torch.from_numpy(image.copy())[None], [layer])[layer]
        return np.asarray(found[0])

    plain = list(images.numpy())
    if views == "flipped":
        return [np.stack([maps(i) for i in plain]), np.stack([maps(i[..., ::-1])[..., ::-1] for i in plain])]
    return [np.stack([np.rot90(maps(np.rot90(i, k, axes=(1, 2))), -k, axes=(1, 2)) for i in plain]) for k in range(4)]


def test_one_view_is_the_backbones_own(backbone: Backbone, images: torch.Tensor) -> None:
    with torch.no_grad():
        expected = backbone.features(images, LAYERS)
    for combine in ("average", "concatenate"):
        found = features(backbone, images, "one", combine)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[layer], expected[layer]) for layer in LAYERS)


@pytest.mark.parametrize("views", SEVERAL)
@pytest.mark.parametrize("layer", LAYERS)
def test_several_views_are_put_back_upright_and_combined(
    views: Views, layer: str, backbone: Backbone, images: torch.Tensor
) -> None:
    upright = by_hand(backbone, images, views, layer)
    assert np.abs(upright[0] - upright[-1]).max() > 0.1  # the views do differ
    averaged, joined = (features(backbone, images, views, combine)[layer] for combine in ("average", "concatenate"))
    np.testing.assert_allclose(averaged, sum(upright) / len(upright), atol=1e-5)
    np.testing.assert_allclose(joined, np.concatenate(upright, axis=1), atol=1e-5)


@pytest.mark.parametrize(("views", "count"), [("rotated", 4), ("flipped", 2)])
def test_averages_keep_the_shape_and_concatenation_multiplies_channels(
    views: Views, count: int, backbone: Backbone, images: torch.Tensor
) -> None:
    for layer in LAYERS:
        channels, height, width = backbone.shape(layer, 32)
        assert features(backbone, images, views)[layer].shape == (3, channels, height, width)
        assert features(backbone, images, views, "concatenate")[layer].shape == (3, count * channels, height, width)


def test_of_concatenated_views_a_half_is_that_of_each_view(images: torch.Tensor) -> None:
    split = fresh("nin4-split", inputs="lab").eval()
    with torch.no_grad():
        both = view_features(split, images, ["conv2"], "flipped", "concatenate")["conv2"]
        of_l = view_features(split, images, ["conv2"], "flipped", "concatenate", "L")["conv2"]
    for whole, own in zip(both.chunk(2, 1), of_l.chunk(2, 1), strict=True):
        assert torch.equal(own.chunk(2, 1)[0], whole.chunk(2, 1)[0])
        assert own.chunk(2, 1)[1].eq(0).all()


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_averages_over_rotations_turn_with_the_image(quarters: int, backbone: Backbone, images: torch.Tensor) -> None:
    straight = features(backbone, images, "rotated")
    turned = features(backbone, torch.rot90(images, quarters, dims=(2, 3)), "rotated")
    alone = features(backbone, torch.rot90(images, quarters, dims=(2, 3)), "one")
    for layer in LAYERS:
        expected = torch.rot90(straight[layer], quarters, dims=(2, 3))
        torch.testing.assert_close(turned[layer], expected, atol=1e-5, rtol=1e-4)
        assert (alone[layer] - expected).abs().max() > 0.1


def test_averages_over_mirror_images_turn_with_the_image(backbone: Backbone, images: torch.Tensor) -> None:
    straight, mirrored = features(backbone, images, "flipped"), features(backbone, images.flip(3), "flipped")
    for layer in LAYERS:
        torch.testing.assert_close(mirrored[layer], straight[layer].flip(3), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("views", SEVERAL)
def test_a_backbone_that_turns_with_its_image_has_nothing_to_gain(views: Views, images: torch.Tensor) -> None:
    """A kernel that looks the same from all sides: every view says the same."""
    kernel = torch.tensor([[1.0, 2, 1], [2, 5, 2], [1, 2, 1]]).expand(4, 3, 3, 3) * torch.arange(1, 5).view(4, 1, 1, 1)
    conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    conv.weight.data.copy_(kernel)
    symmetric = own_backbone({"conv1": nn.Sequential(conv, nn.ReLU()), "conv2": nn.AvgPool2d(2)})
    one, several = features(symmetric, images, "one"), features(symmetric, images, views)
    for layer in LAYERS:
        torch.testing.assert_close(several[layer], one[layer], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("views", ["one", *SEVERAL])
def test_the_backbone_is_run_once(views: Views, backbone: Backbone, images: torch.Tensor) -> None:
    sizes: list[int] = []
    backbone.normalize.register_forward_hook(lambda module, seen, out: sizes.append(len(out)))
    features(backbone, images, views)
    assert sizes == [3 * {"one": 1, "rotated": 4, "flipped": 2}[views]]


# --- In a probe ---


@pytest.mark.parametrize(
    ("views", "combine", "factor"),
    [("one", "concatenate", 1), ("rotated", "average", 1), ("rotated", "concatenate", 4), ("flipped", "concatenate", 2)],
)
def test_a_probe_is_as_wide_as_what_it_reads(
    views: Views, combine: Literal["average", "concatenate"], factor: int, pretrained: Any, tiny: dict[str, Any]
) -> None:
    run = pretrained()
    parameters = tiny | {"backbone": run.name, "classifier": "nonlinear", "layer": "conv1,conv2"}
    outcome = probe(ProbeConfig.build(parameters | {"views": views, "combine": combine}))
    tensors, _ = load_tensors(outcome.directory.path / MODEL)
    shapes = {"conv1": 5 * 16 * 16, "conv2": 10 * 8 * 8}
    for layer, size in shapes.items():
        assert tensors[f"heads.{layer}.1.weight"].shape == (200, factor * size)
    upstream, _ = load_tensors(run.path / MODEL)
    assert all(torch.equal(t, upstream[name]) for name, t in tensors.items() if name.startswith("backbone."))


def test_views_change_what_a_probe_reads(pretrained: Any, tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": pretrained().name}
    losses = [probe(ProbeConfig.build(tiny | {"views": views})).history["train_loss"].tolist() for views in ("one", *SEVERAL)]
    assert losses[0] != losses[1] != losses[2] != losses[0]


def test_the_rest_of_an_arch_reads_averages_only(tiny: dict[str, Any]) -> None:
    parameters = tiny | {"backbone": "random", "arch": "nin3", "classifier": "rest", "layer": "conv2", "views": "flipped"}
    with pytest.raises(RotnetError, match=r"'rest' takes the 10 channels of conv2 .* not 20: .*combine=average"):
        probe(ProbeConfig.build(parameters | {"combine": "concatenate"}))
    assert list(probe(ProbeConfig.build(parameters)).result.metrics) == ["conv2_top1"]
