"""Context prediction: where pairs lie, the defences, the sanity figures, bad input."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.data.loader import Batch, ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.context import DIRECTIONS, Context
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.checkpoints import load_backbone
from rotnet_lib.training.image_pass import ImagePass
from tests.pretext.made import batch_of, made_data, made_task, random_data, read_by, shown_in_tests

PLAIN: dict[str, Any] = {"colour": "keep", "pixelate": 0.0}
OPPOSITE = {"upper": "lower", "lower": "upper", "left": "right", "right": "left", "above": "below", "below": "above"}


def positions(side: int, count: int) -> torch.Tensor:
    """Images whose red is the row and whose green is the column, (count, side, side, 3) uint8."""
    rows = torch.arange(side, dtype=torch.uint8)[:, None].expand(side, side)
    return torch.stack([rows, rows.T, rows], -1)[None].repeat(count, 1, 1, 1)


def cut_in(context: Context, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the patches of a training step on `positions` were cut, (pairs, 2 patches, 2 axes), and the labels."""
    found: list[torch.Tensor] = []
    pairs = context.pairs

    def spied(*arguments: torch.Tensor) -> torch.Tensor:
        found.append(pairs(*arguments))
        return found[-1]

    setattr(context, "pairs", spied)  # noqa: B010
    step = context.step(batch)
    assert step.targets is not None
    middle = found[0][:, :2].float().mean((2, 3)) - (context.sizes.patch - 1) / 2
    return middle.view(-1, 2, 2), step.targets


# --- The pairs ---


@pytest.mark.parametrize(
    ("side", "options", "sizes"),
    [(255, {"patch": 96 / 255}, (96, 48, 7)), (224, {}, (72, 36, 5)), (64, {}, (20, 10, 1)), (32, {}, (10, 5, 1))],
)
def test_patch_gap_and_jitter_are_the_published_ones_and_in_proportion(
    side: int, options: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    assert made_task("context", random_data(side, 2), **options).sizes == sizes


def test_the_second_patch_lies_where_the_label_says() -> None:
    """By images that tell where a patch was cut. Swapping the two patches maps label k to 7 - k."""
    data = made_data(positions(64, 100))
    context = made_task("context", data, pairs=8, **PLAIN)
    corners, labels = cut_in(context, batch_of(data, 100))
    patch, gap, most = context.sizes
    for first, second, expected in ((0, 1, labels), (1, 0, 7 - labels)):
        apart = corners[:, second] - corners[:, first]
        steps = (apart / (patch + gap)).round()
        assert ((apart - steps * (patch + gap)).abs() <= 2 * most).all()
        place = (steps[:, 0] + 1) * 3 + steps[:, 1] + 1  # of the nine, of which the middle is the first patch
        assert torch.equal((place - (place > 4).float()).long(), expected)
    assert labels.unique().tolist() == list(range(8))


def test_directions_are_named_in_the_order_of_their_labels() -> None:
    for direction, opposite in zip(DIRECTIONS, reversed(DIRECTIONS), strict=True):
        assert " ".join(OPPOSITE[word] for word in direction.split()) == opposite
    assert DIRECTIONS[0] == "upper left"
    assert DIRECTIONS[1] == "above"
    assert DIRECTIONS[3] == "left"


@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_pairs_lie_anywhere_in_the_image(jitter: float) -> None:
    data = made_data(positions(40, 1000))
    corners, labels = cut_in(made_task("context", data, patch=0.25, jitter=jitter, **PLAIN), batch_of(data, 1000))
    for axis, along in ((0, (3, 4)), (1, (1, 6))):  # pairs side by side, and one above the other
        places, counts = corners[torch.isin(labels, torch.tensor(along)), 0, axis].unique(return_counts=True)
        assert places.tolist() == list(range(31))
        assert counts[3:-3].float().std() < 0.3 * counts[3:-3].float().mean()
    assert corners.min() == 0
    assert corners.max() == 30


def test_jitter_moves_both_patches_by_themselves() -> None:
    data = made_data(positions(64, 200))
    context = made_task("context", data, jitter=0.1, **PLAIN)
    corners, _ = cut_in(context, batch_of(data, 200))
    apart = corners[:, 1] - corners[:, 0]
    beside = apart - (apart / (context.sizes.patch + context.sizes.gap)).round() * (context.sizes.patch + context.sizes.gap)
    assert beside.unique().tolist() == [-4, -3, -2, -1, 0, 1, 2, 3, 4]  # of two that move by up to 2


def test_a_network_that_knows_nothing_has_the_loss_of_a_guess() -> None:
    data = random_data(32)
    context = made_task("context", data)
    for parameter in context.module.head[-1].parameters():
        nn.init.zeros_(parameter)
    for step in (context.step(batch_of(data)), context.evaluate(batch_of(data))):
        assert step.loss.item() == pytest.approx(2.0794, abs=1e-4)
        assert step.inputs == 6 * 4
    assert context.metrics["context_top1"].chance == 12.5
    assert not context.metrics["context_top1"].leaves_chance


# --- The defences ---


@pytest.mark.parametrize("colour", ["drop", "project", "keep"])
def test_patches_have_one_contrast(colour: str) -> None:
    data = random_data(64)
    context = made_task("context", data, colour=colour)
    read: list[torch.Tensor] = []
    context.module.backbone.normalize.register_forward_hook(lambda _, inputs, output: read.append(output))
    context.step(batch_of(data))
    (z,) = read
    torch.testing.assert_close(z.square().mean((1, 2, 3)).sqrt(), torch.full((48,), 50.0), atol=1e-3, rtol=0)


def test_one_colour_plane_is_left_and_the_others_are_noise() -> None:
    data = random_data(64, 40)
    context = made_task("context", data, pixelate=0.0)
    read: list[torch.Tensor] = []
    context.module.backbone.normalize.register_forward_hook(lambda _, inputs, output: read.append(output))
    context.step(batch_of(data, 40))
    deviation, order = read[0].std((2, 3)).sort(1, descending=True)
    assert (deviation[:, 1] < 0.02 * deviation[:, 0]).all()
    assert (deviation[:, 2] > 0).all()
    kept = order[:, 0]
    assert kept.bincount(minlength=3).min() > 0.25 * len(kept)
    pairs = kept.view(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).float().mean().item() == pytest.approx(1 / 3, abs=0.1)  # drawn for each patch
    assert read[0].mean((2, 3)).abs().max() < 0.5  # each plane less its own mean, and noise about 0


def test_projected_patches_have_nothing_along_green_against_magenta() -> None:
    data = random_data(64)
    context = made_task("context", data, colour="project", pixelate=0.0)
    read: list[torch.Tensor] = []
    context.module.backbone.normalize.register_forward_hook(lambda _, inputs, output: read.append(output))
    context.step(batch_of(data))
    red, green, blue = read[0].unbind(1)
    torch.testing.assert_close(2 * green - red - blue, torch.zeros_like(red), atol=1e-3, rtol=0)
    assert (red - blue).std() > 10


def test_patches_are_made_coarser_one_by_one() -> None:
    data = random_data(64, 100)
    context = made_task("context", data, colour="keep", pixelate=0.5)
    patches = read_by(context.module, context, batch_of(data, 100)).reshape(100, 8, -1)
    blurred = patches.diff(dim=2).std(2) < 1.2 * patches.std(2)
    assert (blurred.any(1) & ~blurred.all(1)).float().mean() > 0.8  # of the patches of an image some and not all


@pytest.mark.parametrize("share", [0.0, 0.33, 1.0])
def test_a_share_of_the_patches_is_coarser(share: float) -> None:
    """Each image is noise of its own, whose neighbouring pixels are alike only where it was shrunk."""
    data = random_data(64, 100)
    context = made_task("context", data, colour="keep", pixelate=share)
    patches = read_by(context.module, context, batch_of(data, 100))
    steps = (patches[..., 1:] - patches[..., :-1]).std((1, 2, 3)) / patches.std((1, 2, 3))
    coarser = (steps < 1.2).float().mean().item()  # of independent pixels it is the root of 2
    assert coarser == pytest.approx(share, abs=0.1 if 0 < share < 1 else 0.06)


def test_a_flat_image_gives_no_nan() -> None:
    data = made_data(torch.full((6, 32, 32, 3), 77, dtype=torch.uint8))
    for colour in ("drop", "project", "keep"):
        assert math.isfinite(made_task("context", data, colour=colour).step(batch_of(data)).loss.item())


def test_a_test_image_has_the_same_pairs_whatever_the_batches_are() -> None:
    data = random_data(32, 40)
    context = made_task("context", data, pixelate=1.0)
    assert torch.equal(shown_in_tests(context, data, 40), shown_in_tests(context, data, 7))


def test_an_example_is_the_pair_as_it_was_cut() -> None:
    data = made_data(positions(32, 8))
    context = made_task("context", data)
    context.module.eval()
    batch = next(ordered_batches(data.test, 8))
    with torch.no_grad():
        examples, step = context.examples(batch), context.evaluate(batch)
    assert [example.right for example in examples] == step.values["context_top1"].view(8, 4)[:, 0].tolist()
    for example, label in zip(examples, step.targets.view(8, 4)[:, 0].tolist(), strict=True):
        first, second = (picture.astype(float) for picture in example.pictures)
        down, right = (second - first).mean((0, 1))[:2] / 15
        assert DIRECTIONS[label] in example.caption
        assert (down, right) == ([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)][label])


def test_test_pairs_lie_in_the_middle_of_the_image() -> None:
    data = made_data(positions(64, 8))
    context = made_task("context", data, pairs=8)
    context.module.eval()
    examples = context.examples(next(ordered_batches(data.test, 8)))
    for example in examples:
        corners = torch.tensor([[float(picture[..., axis].mean()) for axis in (0, 1)] for picture in example.pictures])
        assert ((corners.min(0).values + corners.max(0).values) / 2 - 31.5).abs().max() <= 0.5


# --- The network ---


def test_fc6_and_fc7_have_batch_norm_without_gain_and_shift() -> None:
    """Else they may go to 0 (section 4.1)."""
    network = made_task("context", random_data(32)).module
    for name, part, count in (("fc6", network.column, 1), ("fc7", network.head, 1)):
        norms = [layer for layer in part if isinstance(layer, nn.BatchNorm1d)]
        assert len(norms) == count, name
        assert not any(norm.affine for norm in norms), name


def test_batch_norm_has_no_gain_and_shift_from_the_third_block_on(tiny: dict[str, Any]) -> None:
    """They are 1 and 0 in the weights, which others load as any, and train."""
    outcome = pretrain(PretrainConfig.build(tiny | {"arch": "nin3", "task": "context", "epochs": 2, "lr": 0.1}))
    outcome.save()
    backbone = load_backbone(outcome.directory.path / MODEL)
    for tap, block in backbone.blocks.items():
        for norm in block.modules():
            if isinstance(norm, nn.BatchNorm2d):
                still = torch.equal(norm.weight, torch.ones_like(norm.weight)) and not norm.bias.any()
                assert still == (tap == "conv3"), tap
                assert norm.weight.requires_grad


def test_batch_norm_is_estimated_anew_on_whole_images_at_the_end() -> None:
    data = random_data(128, 4)
    context = made_task("context", data, "alexnet", stride=2)
    assert context.module.backbone.stem_stride == 2
    context.finish(ImagePass(data.train, context.module))
    backbone = context.module.backbone.eval()
    assert backbone.stem_stride == 2  # the training goes on
    backbone.stem_stride = 4
    read: list[torch.Tensor] = []
    backbone.blocks.get_submodule("conv1.1").register_forward_hook(lambda _, inputs, output: read.append(output.clone()))
    backbone(data.train.read(range(4)))
    torch.testing.assert_close(read[0].mean((0, 2, 3)), torch.zeros(read[0].shape[1]), atol=1e-3, rtol=0)


# --- Bad input ---

TOO_LARGE: list[tuple[int, str, dict[str, Any], str]] = [
    (
        64,
        "nin3",
        {"patch": 0.45},
        r"two patches of 29 px, a gap of 14 and a jitter of 2 to each side take 76 px, and images have 64\.",
    ),
    (64, "nin3", {"gap": 2.0}, r"two patches of 20 px, a gap of 40 and a jitter of 1 .* take 82 px"),
    (32, "nin3", {"patch": 0.4, "jitter": 0.4}, r"two patches of 13 px, a gap of 6 and a jitter of 5 .* take 42 px"),
]
TOO_SMALL_AND_LARGE = (64, "alexnet", {"patch": 0.5}, r"two patches of 32 px, a gap of 16 and a jitter of 2 .* take 84 px")
TOO_SMALL: list[tuple[int, str, dict[str, Any], str]] = [
    (64, "alexnet", {}, r"0\.32 of 64 px are patches of 20, and alexnet takes patches of at least 31 px at stride 4\."),
    (32, "alexnet", {"stride": 1}, r"0\.32 of 32 px are patches of 10, .* at least 13 px at stride 1\."),
    (32, "nin3", {"patch": 0.02}, r"0\.02 of 32 px are patches of 1, and nin3 takes patches of at least 2 px\."),
]


@pytest.mark.parametrize(("side", "arch", "options", "message"), [*TOO_LARGE, *TOO_SMALL, TOO_SMALL_AND_LARGE])
def test_pairs_that_do_not_fit_are_named_with_what_works(side: int, arch: str, options: dict[str, Any], message: str) -> None:
    """Each remedy works by itself."""
    with pytest.raises(RotnetError, match=rf"task_options\.patch: {message}") as error:
        made_task("context", random_data(side, 2), arch, **options)
    remedies = str(error.value).partition("Any one of these works: ")[2].removesuffix(".").split(", ")
    assert remedies != [""]
    for remedy in remedies:
        found = dict(re.findall(r"(patch|gap|jitter|stride|image_size)(?: of)? ([\d.]+)", remedy))
        assert found, remedy
        data = random_data(int(found.pop("image_size", side)), 2)
        changed = options | {name: int(value) if name == "stride" else float(value) for name, value in found.items()}
        assert math.isfinite(made_task("context", data, arch, **changed).step(batch_of(data, 2)).loss.item())
