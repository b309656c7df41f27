"""Jigsaw puzzles: the tiles, the defences, the sanity figures, bad input."""

import math
import re
from typing import Any

import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch, ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.jigsaw import Jigsaw
from rotnet_lib.pretext.parts.permutations import distant_permutations
from rotnet_lib.runs.directory import MODEL, RESUME, checkpoint_name
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.checkpoints import TRAINED, load_backbone, load_tensors
from rotnet_lib.training.image_pass import ImagePass
from tests.pretext.made import batch_of, made_data, made_task, random_data, read_by, shown_in_tests

SMALL: dict[str, Any] = {"permutations": 20, "dropout": 0.0}
PLAIN: dict[str, Any] = {"normalize": "none", "channel_shift": 0.0, "grey": 0.0}


def task(data: Dataset, arch: str = "nin3", **options: Any) -> Any:
    return made_task("jigsaw", data, arch, **SMALL | options)


def shown(jigsaw: Jigsaw, batch: Batch) -> torch.Tensor:
    """The tiles that the network gets in a training step, as (B, T, 3, p, p)."""
    tiles = read_by(jigsaw.module, jigsaw, batch)
    return tiles.view(len(batch), -1, *tiles.shape[1:])


# --- The puzzle ---


@pytest.mark.parametrize(
    ("size", "grid", "cell", "tile"), [(255, 3, 85, 64), (224, 3, 74, 56), (64, 3, 21, 16), (32, 3, 10, 8), (32, 2, 16, 12)]
)
def test_cells_and_tiles_are_the_published_ones_and_in_proportion(size: int, grid: int, cell: int, tile: int) -> None:
    jigsaw = task(random_data(size, 2), grid=grid)
    assert (jigsaw.cell, jigsaw.side) == (cell, tile)


@pytest.mark.parametrize("grid", [2, 3])
def test_position_t_of_a_puzzle_holds_the_tile_of_cell_perm_t(grid: int) -> None:
    """Each cell is filled with its number, so that the tiles' means are the permutation."""
    cells = torch.arange(grid**2, dtype=torch.uint8).view(grid, grid).repeat_interleave(8, 0).repeat_interleave(8, 1)
    side = 8 * grid + 1  # a pixel is left over
    picture = torch.full((side, side), 99, dtype=torch.uint8)
    picture[: 8 * grid, : 8 * grid] = cells
    data = made_data(picture[None, :, :, None].repeat(12, 1, 1, 3))
    jigsaw = task(data, grid=grid, **PLAIN)
    permutations = distant_permutations(grid**2, 20)
    batch = batch_of(data, 12)
    labels = torch.arange(12) % 20
    for corner in (0, 2):
        tiles = jigsaw.puzzle(batch.images, labels, torch.full((1, 1, 1, 2), corner))
        assert tiles.shape == (12 * grid**2, 3, 6, 6)
        means = tiles.float().mean((1, 2, 3)).view(12, -1)
        assert torch.equal(means, torch.tensor(permutations[labels]).float())
    tiles = shown(jigsaw, batch)
    found = tiles.float().mean((2, 3, 4))
    assert all(row.tolist() in permutations.tolist() for row in found.long())
    assert torch.equal(found, found.round())  # no tile crosses a cell's border


def test_the_inverse_permutation_puts_the_image_together_again() -> None:
    data = random_data(24)
    jigsaw = task(data, gap=0.0, **PLAIN)
    labels = torch.tensor([3, 7, 0, 19, 5, 11])
    batch = batch_of(data)
    tiles = jigsaw.puzzle(batch.images, labels, torch.zeros(1, 1, 1, 2, dtype=torch.int64)).view(6, 9, 3, 8, 8)
    permutations = torch.tensor(distant_permutations(9, 20))[labels]
    sorted_tiles = torch.stack([own[permutation.argsort()] for own, permutation in zip(tiles, permutations, strict=True)])
    image = sorted_tiles.view(6, 3, 3, 3, 8, 8).permute(0, 3, 1, 4, 2, 5).reshape(6, 3, 24, 24)
    assert torch.equal(image, batch.images)


@pytest.mark.parametrize(("count", "grid", "loss"), [(1000, 3, 6.9078), (100, 3, 4.6052), (24, 2, 3.1781)])
def test_a_network_that_knows_nothing_has_the_loss_of_a_guess(count: int, grid: int, loss: float) -> None:
    jigsaw = task(random_data(32), permutations=count, grid=grid)
    for parameter in jigsaw.module.head[-1].parameters():
        torch.nn.init.zeros_(parameter)
    for step in (jigsaw.step(batch_of(random_data(32))), jigsaw.evaluate(batch_of(random_data(32)))):
        assert step.loss.item() == pytest.approx(loss, abs=1e-4)
        assert step.inputs == 6
    assert jigsaw.metrics["jigsaw_top1"].chance == 100 / count
    assert not jigsaw.metrics["jigsaw_top1"].leaves_chance


# --- The defences ---


def test_tiles_stand_anywhere_in_their_cells() -> None:
    """A gradient: the mean of a tile tells where it was cut."""
    rows = torch.arange(24, dtype=torch.uint8)[:, None].expand(24, 24)
    data = made_data(torch.stack([rows, rows.T, rows], -1)[None].repeat(400, 1, 1, 1))
    tiles = shown(task(data, **PLAIN), batch_of(data, 400))
    corners = (tiles[:, :, :2].float().mean((3, 4)) - 2.5).flatten(0, 1)  # of tiles of 6 in cells of 8
    assert torch.equal(corners, corners.round())
    for axis in range(2):
        places, counts = corners[:, axis].unique(return_counts=True)
        assert places.tolist() == [8 * cell + place for cell in range(3) for place in range(3)]
        assert counts.min() > 0.25 * 1200
    assert corners.unique(dim=0).shape == (81, 2)


def test_colour_planes_are_shifted_against_each_other() -> None:
    rows = torch.arange(60, dtype=torch.uint8)[:, None].expand(60, 60)
    data = made_data(torch.stack([rows] * 3, -1)[None].repeat(100, 1, 1, 1))
    tiles = shown(task(data, **PLAIN | {"channel_shift": 0.1}), batch_of(data, 100))
    tops = tiles.float().mean((3, 4))
    apart = (tops[:, :, 0] - tops[:, :, 1]).unique()
    assert apart.tolist() == [-4, -3, -2, -1, 0, 1, 2, 3, 4]  # two pixels to each side


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_images_is_grey(share: float) -> None:
    data = random_data(24, 500)
    tiles = shown(task(data, **PLAIN | {"grey": share}), batch_of(data, 500))
    grey = (tiles == tiles[:, :, :1]).flatten(1).all(1)  # all tiles of an image together
    assert grey.float().mean().item() == pytest.approx(share, abs=0.07 if 0 < share < 1 else 0)


@pytest.mark.parametrize("how", ["mean-std", "mean"])
def test_what_the_first_convolution_reads_is_normalised_tile_by_tile(how: str) -> None:
    data = random_data(24)
    jigsaw = task(data, normalize=how)
    read: list[torch.Tensor] = []
    jigsaw.module.backbone.normalize.register_forward_hook(lambda _, inputs, output: read.append(output))
    jigsaw.step(batch_of(data))
    torch.testing.assert_close(read[0].mean((2, 3)), torch.zeros(54, 3), atol=1e-4, rtol=0)
    deviation = read[0].std((2, 3), correction=0)
    if how == "mean-std":
        torch.testing.assert_close(deviation, torch.ones(54, 3), atol=1e-4, rtol=0)
    else:
        assert deviation.min() > 20


def test_a_test_image_has_one_puzzle_in_its_own_colours() -> None:
    data = random_data(24, 40)
    jigsaw = task(data, channel_shift=0.1, grey=1.0, normalize="none")
    found = shown_in_tests(jigsaw, data, 40)
    assert torch.equal(found, shown_in_tests(jigsaw, data, 7))  # whatever the batches are
    assert not torch.equal(found[:, 0], found[:, 1])


def test_an_example_is_the_puzzle_as_it_was_shown() -> None:
    data = random_data(24, 6)
    jigsaw = task(data)
    jigsaw.module.eval()
    batch = next(ordered_batches(data.test, 6))
    with torch.no_grad():
        examples, step = jigsaw.examples(batch), jigsaw.evaluate(batch)
    assert [example.right for example in examples] == step.values["jigsaw_top1"].tolist()
    permutation = distant_permutations(9, 20)[3 * 7919 % 20]
    assert examples[3].columns == 3
    assert len(examples[3].pictures) == 9
    for position, picture in enumerate(examples[3].pictures):
        row, column = divmod(int(permutation[position]), 3)
        top, left = 8 * row + 1, 8 * column + 1  # in the middle of its cell
        assert (picture == data.test.images[3, top : top + 6, left : left + 6].numpy()).all()
    assert examples[3].caption.startswith(f"true {3 * 7919 % 20}, said ")


def test_the_page_says_how_far_the_permutations_are_apart() -> None:
    assert task(random_data(24), permutations=100).notes == (
        "Puzzles of 9 tiles of 6 pixels in cells of 8, by 100 permutations, of which any two differ in 2 places or more.",
    )


# --- The network ---


def test_the_network_ends_at_the_last_convolution_and_puzzles_at_its_own_stride() -> None:
    data = random_data(128, 2)
    jigsaw = task(data, "alexnet")
    backbone = jigsaw.module.backbone
    assert backbone.taps == ("conv1", "conv2", "conv3", "conv4", "conv5")
    assert backbone.stem_stride == 2
    assert task(data, "alexnet", stride=4, gap=0.0, channel_shift=0.0).module.backbone.stem_stride == 4
    assert task(data, "nin3").module.backbone.stem_stride == 1
    jigsaw.finish(ImagePass(data.train, jigsaw.module))
    assert backbone.stem_stride == 2  # the training goes on


def test_batch_norm_is_estimated_anew_on_whole_images_at_the_end() -> None:
    """At the arch's own stride, as probes use it."""
    data = random_data(128, 4)
    jigsaw = task(data, "alexnet")
    jigsaw.finish(ImagePass(data.train, jigsaw.module))
    backbone = jigsaw.module.backbone.eval()
    backbone.stem_stride = 4
    read: list[torch.Tensor] = []
    norm = backbone.blocks.get_submodule("conv1.1")
    norm.register_forward_hook(lambda _, inputs, output: read.append(output.clone()))  # ReLU writes into it
    backbone(data.train.read(range(4)))
    torch.testing.assert_close(read[0].mean((0, 2, 3)), torch.zeros(read[0].shape[1]), atol=1e-3, rtol=0)


def test_the_weights_that_others_build_on_are_those(tiny: dict[str, Any]) -> None:
    """At the end and on the way; what training goes on from is untouched."""
    values = tiny | {"arch": "nin3", "task": "jigsaw", "task_options": SMALL, "epochs": 2, "checkpoints": [0.5]}
    outcome = pretrain(PretrainConfig.build(values))
    weights = [load_tensors(outcome.directory.path / name)[0] for name in (MODEL, checkpoint_name(1))]
    state = load_tensors(outcome.directory.path / RESUME)[0]
    for found in weights:
        as_trained = {name for name in found if name.startswith(TRAINED)}
        assert {name.rpartition(".")[2] for name in as_trained} == {"running_mean", "running_var"}
        assert found["permutations"].tolist() == distant_permutations(9, 20).tolist()
    for name, tensor in weights[0].items():
        trained = state[f"module.{name.removeprefix(TRAINED)}"]
        changed = name.startswith("backbone.") and name.endswith(("running_mean", "running_var"))
        assert torch.equal(tensor, trained) != changed, name
    assert load_backbone(outcome.directory.path / MODEL).taps == ("conv1", "conv2", "conv3")


# --- Bad input ---


TOO_SMALL = [
    (64, "alexnet", {}, r"cells of 21 and tiles of 16, .* at least 19 px at stride 2\."),
    (64, "alexnet", {"gap": 0.5, "stride": 1}, r"cells of 21 and tiles of 11, .* at least 13 px at stride 1\."),
    (32, "alexnet", {}, r"cells of 10 and tiles of 8, .* at least 19 px at stride 2\."),
    (8, "nin3", {"gap": 0.9}, r"cells of 2 and tiles of 0, .* at least 1 px\."),
]


@pytest.mark.parametrize(("side", "arch", "options", "message"), TOO_SMALL)
def test_tiles_that_are_too_small_are_named_with_what_works(
    side: int, arch: str, options: dict[str, Any], message: str
) -> None:
    """Each remedy works by itself, and of a gap or an image size the one beside it does not."""
    asked = {"channel_shift": 0.0} | options
    with pytest.raises(RotnetError, match=rf"task_options\.gap: images of {side} px have {message}") as error:
        task(random_data(side, 2), arch, **asked)
    remedies = str(error.value).partition("Any one of these works: ")[2].removesuffix(".").split(", ")
    assert remedies[-1].startswith("image_size ")
    for remedy in remedies:
        value = float(re.findall(r"[\d.]+", remedy)[0])
        name = next(name for name in ("gap", "grid", "stride", "image_size") if name in remedy)
        size = int(value) if name == "image_size" else side
        changed = asked if name == "image_size" else asked | {name: value if name == "gap" else int(value)}
        data = random_data(size, 2)
        assert math.isfinite(task(data, arch, **changed).step(batch_of(data, 2)).loss.item())
        for beside in ({"gap": value + 0.06} if name == "gap" else None, {} if name == "image_size" else None):
            if beside is not None:
                with pytest.raises(RotnetError, match=r"task_options\.gap"):
                    task(random_data(size - (name == "image_size"), 2), arch, **changed | beside)


def test_planes_that_have_no_room_are_named_with_what_works() -> None:
    data = random_data(64, 2)
    with pytest.raises(RotnetError, match=r"channel_shift: 0\.3 of a cell is 6 px .* leaves 5 px free\. Take at most 0\.0952"):
        task(data, channel_shift=0.3)
    assert task(data, channel_shift=0.0952).shift == 2


def test_more_permutations_than_there_are_are_refused_before_anything_starts(tiny: dict[str, Any]) -> None:
    asked = tiny | {"arch": "nin3", "task": "jigsaw", "task_options": {"grid": 2, "permutations": 25}}
    with pytest.raises(RotnetError, match=r"permutations: 25 asked for, and 4 tiles have 24\. Take at most 24, or grid 3"):
        PretrainConfig.build(asked)
