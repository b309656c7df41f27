import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.data.voc.writing import write_mask
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.report.voc_segments import segments_figure
from rotnet_lib.seeds import seeded
from rotnet_lib.voc.segmentation import CONFUSION, MASKS, SegmentationDetails, SegmentationTask, _Window, evaluate_segmentation
from rotnet_lib.voc.segmentation_config import SegmentationConfig

COLOURS = np.array([[30, 30, 30], [220, 40, 40], [40, 200, 60]], np.uint8)
"""Of background, disk and bar: an image shows its mask."""
MEAN = (90, 100, 110)


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """A mask with a disk and a bar of about a third of the image each."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.uint8)
    x, y = rng.uniform(0.2, 0.8, 2) * (width, height)
    mask[(rows - y) ** 2 + (columns - x) ** 2 < (0.25 * min(height, width)) ** 2] = 1
    at = int(rng.uniform(0, 0.6) * width)
    mask[:, at : at + width // 4] = 2
    return mask


@pytest.fixture
def voc(tmp_path: Path) -> VocSet:
    """12 training and 10 test images of several sizes; `cone` occurs in none."""
    for name in ("JPEGImages", "SegmentationClass"):
        (tmp_path / "voc" / name).mkdir(parents=True)
    names = [f"picture_{seed}" for seed in range(22)]
    for seed, name in enumerate(names):
        mask = picture(seed, 64 + 8 * (seed % 3), 96 - 6 * (seed % 4))
        Image.fromarray(COLOURS[mask]).save(tmp_path / "voc" / "JPEGImages" / f"{name}.jpg", quality=95, subsampling=0)
        mask[:2] = 255
        write_mask(tmp_path / "voc" / "SegmentationClass" / f"{name}.png", mask)
    classes = ("disk", "bar", "cone")
    splits = [
        VocSplit(tmp_path / "voc", classes, split, tuple(ids)) for split, ids in (("train", names[:12]), ("val", names[12:]))
    ]
    return VocSet("pictures", "drawn pictures", classes, classes, "0", *splits)


def config(**changed: Any) -> SegmentationConfig:
    asked = {"backbone": "random", "width": 0.05, "dataset": "voc2012", "image_size": 64, "workers": 0}
    return SegmentationConfig.build(asked | changed)


def task(voc: VocSet, **changed: Any) -> SegmentationTask:
    with seeded(0):
        backbone = fold(make_backbone("alexnet", width=0.05, mean=MEAN, std=(60, 60, 60)).eval())
    return SegmentationTask(backbone, config(**changed), voc)


class ReadsColours(nn.Module):
    """Answers each pixel with the id whose colour it is nearest to."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        colours = torch.from_numpy(COLOURS).float().view(3, 3, 1, 1)
        scores = -((images[:, None].float() - colours) ** 2).sum(2)
        return torch.cat([scores, torch.full_like(scores[:, :1], -1e9)], 1)


# --- Config ---


def test_the_config_is_the_protocol_unless_told() -> None:
    plain = SegmentationConfig.build({"backbone": "random"})
    assert (plain.lr, plain.batch_size, plain.lr_milestones, plain.image_size) == (0.001, 20, (), 512)
    assert plain.protocol_differences() == {}
    assert set(config(width=1.0).protocol_differences()) == {"image_size"}
    assert (plain.side, config().side) == (224, 64)
    assert "segmentation" in plain.slug


def test_on_sbds_masks_the_protocol_is_that_of_the_published_fcn_alexnet() -> None:
    plain = SegmentationConfig.build({"backbone": "random", "dataset": "voc2011-sbd"})
    assert (plain.lr, plain.iterations, plain.batch_size, plain.lr_milestones) == (1e-4, 100_000, 20, ())
    assert plain.protocol_differences() == {"dataset": ["voc2012", "voc2011-sbd"]}
    other = SegmentationConfig.build({"backbone": "random", "dataset": "voc2011-sbd", "lr": 0.001, "iterations": 25_000})
    assert other.protocol_differences() == plain.protocol_differences() | {"lr": [1e-4, 0.001], "iterations": [100_000, 25_000]}


@pytest.mark.parametrize("scales", [[2.0, 0.5], [0, 1], [1, 20]])
def test_scales_out_of_order_or_range_are_refused(scales: list[float]) -> None:
    with pytest.raises(RotnetError, match=r"voc_segmentation: scales: .*smaller factor first"):
        config(scales=scales)


# --- Samples ---


def test_a_sample_is_a_function_of_its_arguments(voc: VocSet) -> None:
    made = task(voc)
    first, again, other = (made.sample(3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert [tensor.dtype for tensor in first] == [torch.uint8, torch.uint8]
    assert [tuple(tensor.shape) for tensor in first] == [(3, 64, 64), (64, 64)]
    images, masks = made.collate([first, other])
    assert (images.shape, masks.shape) == ((2, 3, 64, 64), (2, 64, 64))


def test_image_and_mask_stay_together(voc: VocSet) -> None:
    made = task(voc, image_size=128)
    for seed in range(20):
        image, mask = made.sample(seed % 12, np.random.default_rng(seed))
        shown = image.permute(1, 2, 0).numpy().astype(int)
        counts = mask.numpy() != 255
        nearest = ((shown[:, :, None] - COLOURS.astype(int)) ** 2).sum(-1).argmin(-1)
        assert counts.any()
        assert (nearest == mask.numpy())[counts].mean() > 0.93  # but for edges


def test_what_lies_outside_the_image_has_the_mean_colour_and_does_not_count(voc: VocSet) -> None:
    made = task(voc, image_size=160, scales=[1, 1])
    image, mask = made.sample(0, np.random.default_rng(0))
    height, width = voc.train.mask(0).shape
    assert int((mask != 255).sum()) == (height - 2) * width
    outside = (image == torch.tensor(MEAN, dtype=torch.uint8).view(3, 1, 1)).all(0)
    assert int(outside.sum()) >= 160 * 160 - height * width
    assert (mask[outside] == 255).all()


def test_unscaled_pixels_are_the_files_own_and_mirrored_half_the_time(voc: VocSet) -> None:
    height, width = voc.train.mask(0).shape
    made = task(voc, image_size=max(height, width), scales=[1, 1])
    as_they_are = 0
    for seed in range(60):
        mask = made.sample(0, np.random.default_rng(seed))[1]
        rows = (mask != 255).any(1).nonzero().flatten()
        found = mask[rows].numpy()
        expected = voc.train.mask(0)[2:]
        assert np.array_equal(found, expected) or np.array_equal(found, expected[:, ::-1])
        as_they_are += np.array_equal(found, expected)
    assert 18 <= as_they_are <= 42


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.37, 2.0])
def test_a_crop_shows_any_part_of_the_image_and_nothing_beyond(scale: float) -> None:
    rng = np.random.default_rng(0)
    windows = [_Window.draw((100, 80), scale, 64, rng.uniform(size=2).tolist()) for _ in range(400)]
    for window in windows:
        left, top, right, bottom = window.source
        assert 0 <= left < right <= 100 + 1e-9
        assert 0 <= top < bottom <= 80 + 1e-9
        for begin, length in zip(window.target, window.size, strict=True):
            assert begin >= 0
            assert begin + length <= 64
        assert window.size[0] / (right - left) == pytest.approx(scale, rel=0.02)
    assert {window.source[0] for window in windows} >= {0.0}
    assert max(window.source[2] for window in windows) == pytest.approx(100, abs=1e-6)


# --- Training and prediction ---


def test_some_steps_learn_what_colours_show(voc: VocSet, tmp_path: Path) -> None:
    made = task(voc, scales=[0.8, 1.2], dropout=0.0)
    optimizer = torch.optim.SGD(made.module.parameters(), lr=0.05, momentum=0.9)
    batch = made.collate([made.sample(index, np.random.default_rng(index)) for index in range(12)])
    made.module.train()
    losses = []
    for _ in range(60):
        loss = made.loss(batch)["pixels"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]


def test_predictions_are_written_and_judged(voc: VocSet, tmp_path: Path) -> None:
    made = task(voc)
    made.module.eval()
    made.predict(torch.device("cpu"), tmp_path / "run")
    answers = [
        made.module(torch.from_numpy(voc.test.image(i)).permute(2, 0, 1)[None])[0].argmax(0).numpy()
        for i in range(len(voc.test))
    ]
    found = evaluate_segmentation(config(), voc, tmp_path / "run")
    truths = [voc.test.mask(index) for index in range(len(voc.test))]
    right = sum(int((answer == truth).sum()) for answer, truth in zip(answers, truths, strict=True))
    counted = sum(int((truth != 255).sum()) for truth in truths)
    assert found.metrics["pixel_accuracy"] == pytest.approx(100 * right / counted)
    pictured = [0, 1, 3, 4, 5, 6, 8, 9]  # of ten, evenly
    for picture_, index in zip(found.details.pictures, pictured, strict=True):
        assert np.array_equal(picture_.prediction, answers[index])
        assert np.array_equal(picture_.truth, truths[index])
    assert len(list((tmp_path / "run" / MASKS).iterdir())) == len(found.details.pictures) == 8
    with Image.open(tmp_path / "run" / MASKS / "picture_12.png") as file:
        assert file.mode == "P"


@pytest.fixture
def judged(voc: VocSet, tmp_path: Path) -> SegmentationDetails:
    made = task(voc)
    made.module = ReadsColours()  # type: ignore[assignment]
    made.predict(torch.device("cpu"), tmp_path / "run")
    found = evaluate_segmentation(config(), voc, tmp_path / "run")
    assert found.metrics["miou"] > 95  # but for what JPEG blurs
    assert found.metrics["miou"] == pytest.approx(np.mean(list(found.by_target["miou"].values())))
    assert list(found.by_target["miou"]) == ["background", "disk", "bar"]
    assert found.notes == (
        "Chance is what taking every pixel for background gives, the most frequent class.",
        "Left out of the mean, since no test pixel shows or is taken for it: cone.",
    )
    background = found.details.confusion.sum(1)[0] / found.details.confusion.sum()
    assert found.chance == pytest.approx({"miou": 100 * background / 3, "pixel_accuracy": 100 * background})
    details: SegmentationDetails = found.details
    return details


def test_a_class_that_is_nowhere_is_left_out_and_said_so(judged: SegmentationDetails) -> None:
    assert judged.left_out == ("cone",)
    assert judged.confusion.shape == (4, 4)


def test_the_figure_shows_each_picture_thrice_and_names_what_it_shows(judged: SegmentationDetails, tmp_path: Path) -> None:
    figure = segments_figure(judged).figure
    assert sum(len(axis.images) for axis in figure.axes) == 3 * 8
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["background", "disk", "bar", "not counted"]
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size < 300_000


def test_masks_that_show_no_class_are_refused(voc: VocSet) -> None:
    config().prepare_data(voc)
    for name in voc.test.names:
        path = voc.test.folder / "SegmentationClass" / f"{name}.png"
        with Image.open(path) as file:
            pixels = np.array(file)
        Image.fromarray(np.where(pixels > 0, 255, 0).astype(np.uint8)).save(path)  # as many tools mark one class
    words = r"no mask of the val split shows a class, .*\. Write the classes as 1 to 3 into the masks"
    with pytest.raises(RotnetError, match=words):
        config().prepare_data(voc)


def test_the_task_reaches_loader_processes(voc: VocSet) -> None:
    made = task(voc)
    copy = pickle.loads(pickle.dumps(made))
    assert torch.equal(copy.sample(1, np.random.default_rng(1))[0], made.sample(1, np.random.default_rng(1))[0])


def test_predictions_that_are_missing_damaged_or_of_other_classes_are_named(
    voc: VocSet, judged: SegmentationDetails, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / MASKS / "picture_13.png").write_bytes(b"not a PNG")
    with pytest.raises(RotnetError, match=r"picture_13\.png.*Delete the run's folder"):
        evaluate_segmentation(config(), voc, run)
    for wrong in (np.zeros((9, 9), np.uint8), np.full(voc.test.mask(0).shape, 9, np.uint8)):
        write_mask(run / MASKS / "picture_13.png", wrong)
        with pytest.raises(RotnetError, match=r"picture_13\.png is no mask of .* pixels with ids up to 3"):
            evaluate_segmentation(config(), voc, run)
    (run / MASKS / "picture_13.png").unlink()
    with pytest.raises(RotnetError, match=r"masks has the masks of 7 test images, not of 8\. Delete the run's folder"):
        evaluate_segmentation(config(), voc, run)
    (run / CONFUSION).write_text((run / CONFUSION).read_text().replace("cone", "cube"))
    with pytest.raises(
        RotnetError, match=r"confusion\.csv has the classes background, disk, bar, cube, not background, disk, bar, cone"
    ):
        evaluate_segmentation(config(), voc, run)
    (run / CONFUSION).unlink()
    with pytest.raises(RotnetError, match=r"confusion\.csv"):
        evaluate_segmentation(config(), voc, run)
