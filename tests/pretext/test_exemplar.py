"""Exemplar CNN: which patches are seeds, what an epoch draws, what is judged, bad input."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Loader
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.seen import make_seen
from rotnet_lib.pretext.exemplar import Exemplar
from rotnet_lib.pretext.parts.exemplar_transformations import NUMBERS
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.checkpoints import load_tensors
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.trainer import Trainer
from tests.pretext.made import batch_of, made_data, made_task, random_data, read_by
from tests.training.weights import killed, whole_and_resumed


def trainer_of(task: Any, data: Dataset, folder: Path, **parameters: Any) -> Trainer:
    config = PretrainConfig.build(
        {"task": "exemplar", "arch": "nin3", "dataset": "shapes", "epochs": 2, "batch_size": 8} | parameters
    )
    loader = Loader(data.train, config.batch_size, seed=config.seed, augment="none")
    return Trainer(task, loader, data.test, config, ResumeState(folder / "resume.safetensors"), torch.device("cpu"))


def buffers(task: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return task.module.get_buffer("seeds"), task.module.get_buffer("corners")


def one_busy_corner(count: int, side: int = 64) -> Dataset:
    """Every other image is of one colour; the others have noise in a corner of a fourth of the side, another one each."""
    rng = torch.Generator().manual_seed(0)
    images = torch.full((count, side, side, 3), 90, dtype=torch.uint8)
    for number in range(0, count, 2):
        row, column = (side * 3 // 4 * (number // 2 >> bit & 1) for bit in (0, 1))
        noise = torch.randint(0, 256, (side // 4, side // 4, 3), generator=rng, dtype=torch.uint8)
        images[number, row : row + side // 4, column : column + side // 4] = noise
    return made_data(images)


# --- Seeds ---


def test_seeds_are_patches_that_have_a_gradient(tmp_path: Path) -> None:
    data = one_busy_corner(16)
    task = made_task("exemplar", data, seeds=8, patch=0.5)
    trainer_of(task, data, tmp_path).start_epoch(0)
    seeds, corners = buffers(task)
    assert seeds.tolist() == list(range(0, 16, 2))
    for seed, (row, column) in zip(seeds.tolist(), corners.tolist(), strict=True):
        patch = data.train.read([seed])[0, :, row : row + 32, column : column + 32]
        assert patch.float().var() > 0


def test_another_seed_of_the_run_draws_other_seeds(tmp_path: Path) -> None:
    data = random_data(64, 40)
    drawn = []
    for number, seed in enumerate((0, 0, 1)):
        task = made_task("exemplar", data, seeds=8, patch=0.5)
        trainer_of(task, data, tmp_path / str(number), seed=seed).start_epoch(0)
        drawn.append(torch.cat([buffer.flatten() for buffer in buffers(task)]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_an_epoch_draws_each_seed_equally_often_and_only_the_first_draws_seeds(tmp_path: Path) -> None:
    data = random_data(32, 21)
    task = made_task("exemplar", data, seeds=4)
    trainer = trainer_of(task, data, tmp_path)
    first, second = (trainer.start_epoch(number).order for number in range(2))
    assert first is not None
    assert second is not None
    for order in (first, second):
        assert len(order) == 21
        assert sorted(order.bincount()[buffers(task)[0]].tolist()) == [5, 5, 5, 6]
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("images", "seeds"), [(6, 2), (30, 5), (60_000, 8000)])
def test_seeds_go_by_the_images_unless_said(images: int, seeds: int) -> None:
    data = made_data(torch.zeros(images, 1, 1, 3, dtype=torch.uint8).expand(-1, 16, 16, -1))
    task = made_task("exemplar", data)
    assert task.module.head.out_features == seeds
    assert {metric.chance for metric in task.metrics.values()} == {100 / seeds}


def test_pages_show_training_images_that_are_seeds(tmp_path: Path) -> None:
    data = one_busy_corner(16)
    task = made_task("exemplar", data, seeds=8, patch=0.5)
    trainer = trainer_of(task, data, tmp_path)
    trainer.start_epoch(0)
    shown = [image.picture.pixels for image in make_seen(task, trainer.loader, data, {}, 0).training]
    seeds = data.train.read(buffers(task)[0][: len(shown)].tolist()).permute(0, 2, 3, 1).numpy()
    assert len(shown) == 6
    assert np.array_equal(np.stack(shown), seeds)


# --- What the network sees, and is asked ---


def test_at_the_start_of_a_zero_classifier_the_loss_is_that_of_guessing() -> None:
    data = random_data(32, 12)
    task = made_task("exemplar", data, seeds=12)
    torch.nn.init.zeros_(task.module.head.weight)
    torch.nn.init.zeros_(task.module.head.bias)
    assert task.step(batch_of(data)).loss.item() == pytest.approx(math.log(12), abs=1e-6)
    assert task.evaluate(batch_of(data)).loss.item() == pytest.approx(math.log(12), abs=1e-5)


def test_the_loss_is_that_of_each_images_own_seed(tmp_path: Path) -> None:
    data = random_data(64, 24)
    task = made_task("exemplar", data, "alexnet", seeds=6, patch=0.75, stride=2)
    trainer = trainer_of(task, data, tmp_path)
    order = trainer.start_epoch(0).order
    task.module.eval()
    with torch.no_grad():
        first, again = (next(trainer.loader.epoch(0, order)) for _ in range(2))
        seen = read_by(task.module, task, first)
        step, logits = task.step(again), task.module(seen)
    assert seen.shape == (8, 3, 48, 48)
    own = torch.tensor([buffers(task)[0].tolist().index(image) for image in first.index.tolist()])
    torch.testing.assert_close(step.loss, torch.nn.functional.cross_entropy(logits, own))
    assert step.values["exemplar_top1"].tolist() == (logits.argmax(1) == own).tolist()


def test_draws_are_of_the_seeds_patch(tmp_path: Path) -> None:
    """A network that sees little else than where the busy corner is would fail, were patches cut elsewhere."""
    data = one_busy_corner(16)
    task = made_task("exemplar", data, seeds=8, patch=0.5)
    trainer = trainer_of(task, data, tmp_path)
    order = trainer.start_epoch(0).order
    seen = read_by(task.module, task, next(trainer.loader.epoch(0, order)))
    assert seen.shape == (8, 3, 32, 32)
    middles = task.draw(data.train.read(buffers(task)[0].tolist()), buffers(task)[1], torch.full((8, NUMBERS), 0.5))
    assert (middles.flatten(2).var(2).sum(1) > 100).all()
    assert seen.flatten(2).var(2).sum(1).gt(1).sum() >= 7  # a shift may take one out of sight


def test_two_draws_of_an_image_differ_and_a_batch_decides_them() -> None:
    data = random_data(32, 12)
    task = made_task("exemplar", data, seeds=12)
    first, again = (read_by(task.module, task, batch_of(data)) for _ in range(2))
    assert torch.equal(first, again)
    batch = batch_of(data)
    task.step(batch)
    assert not torch.equal(read_by(task.module, task, batch), first)


def test_batch_norm_is_estimated_on_whole_images_at_the_end(tmp_path: Path) -> None:
    data = random_data(64, 12)
    task = made_task("exemplar", data, "alexnet", seeds=4, patch=0.5, stride=2)
    trainer = trainer_of(task, data, tmp_path)
    assert task.module.backbone.stem_stride == 2
    assert task.module.backbone.taps[-1] == "conv5"
    before = {name: tensor.clone() for name, tensor in task.module.state_dict().items()}
    task.finish(trainer.images)
    changed = {name for name, tensor in task.module.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all("running_" in name or "batches_tracked" in name for name in changed)


# --- What is judged ---


def test_new_draws_are_judged_once_for_each_seed_and_are_the_same_after_each_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_data(32, 24)
    task = made_task("exemplar", data, seeds=5)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    trainer = trainer_of(task, data, tmp_path)
    order = trainer.start_epoch(0).order
    trained = torch.cat([read_by(task.module, task, batch) for batch in trainer.loader.epoch(0, order)])
    task.module.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].clone(), output.argmax(1))))
    first, second = trainer.measure(), trainer.measure()
    assert first == second
    (draws, said), (again, _) = seen
    assert torch.equal(draws, again)
    assert len(draws) == 5
    assert first["train_new_draws_top1"] == pytest.approx(100 * float((said == torch.arange(5)).float().mean()))
    assert not any(torch.equal(draw, other) for draw in draws for other in trained)


def test_a_seed_that_cannot_be_read_any_more_is_not_judged(tmp_path: Path) -> None:
    config, folder = streamed(tmp_path)
    for path in sorted(folder.glob("train/*/*.jpg"))[::5]:
        path.write_bytes(b"no image")
    figures = pretrain(PretrainConfig.build(config | {"max_damaged": 0.5, "task_options": {"seeds": 10}})).history
    assert figures["train_new_draws_top1"].between(0, 100).all()


def test_it_learns_what_it_is_asked(tmp_path: Path) -> None:
    coarse = torch.randint(0, 256, (48, 3, 3, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = made_data(coarse.repeat_interleave(8, 1).repeat_interleave(8, 2))
    task = made_task("exemplar", data, seeds=8)
    history = trainer_of(task, data, tmp_path, epochs=16, lr=0.1).fit()
    assert history[-1]["train_new_draws_top1"] >= 50  # chance: 12.5
    assert history[-1]["train_exemplar_top1"] >= 30
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]


# --- Files that are streamed, runs that are killed ---


def streamed(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """A run on a folder of 24 + 4 images, whose files are read as they are needed."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 4)):
        for number in range(count):
            kind = tmp_path / "photos" / split / "ab"[number % 2]
            kind.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(kind / f"{number}.jpg")
    config = {"dataset": f"imagefolder:{tmp_path / 'photos'}", "stream": True, "workers": 0, "image_size": 32, "crop_pct": 1}
    run = {"task": "exemplar", "arch": "nin3", "width": 0.05, "epochs": 2, "batch_size": 8, "device": "cpu"}
    return config | run, tmp_path / "photos"


def test_streamed_images_give_what_images_in_memory_give(tmp_path: Path) -> None:
    config, _ = streamed(tmp_path)
    histories = [pretrain(PretrainConfig.build(config | {"stream": stream})).history for stream in (True, False)]
    first, second = (history.drop(columns=["seconds", "inputs_per_second"]) for history in histories)
    assert first.equals(second)


@pytest.mark.parametrize(("method", "died"), [("before_epoch", 1), ("before_epoch", 2), ("measure", 1), ("measure", 2)])
def test_a_run_that_died_between_epochs_goes_on_to_the_last_bit(method: str, died: int, tiny: dict[str, Any]) -> None:
    options = {"seeds": 6, "patch": 0.75}
    config = tiny | {"task": "exemplar", "arch": "nin3", "batch_size": 8, "epochs": 3, "task_options": options}
    _, resumed = whole_and_resumed(config, killed(Exemplar, died, method))
    assert not {"seeds", "corners"} & load_tensors(resumed.directory.path / MODEL)[0].keys()


# --- Bad input ---


def test_more_seeds_than_images_stop_a_run_at_once(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build(tiny | {"task": "exemplar", "arch": "nin3", "task_options": {"seeds": 41}})
    told = (
        r"^task_options\.seeds: 41 seeds of 40 training images, and each needs an image of its own\. Take at most 40, or auto"
    )
    with pytest.raises(RotnetError, match=told):
        pretrain(config)


def test_as_many_seeds_as_images_are_no_error(tmp_path: Path) -> None:
    data = random_data(32, 12)
    task = made_task("exemplar", data, seeds=12)
    trainer_of(task, data, tmp_path).start_epoch(0)
    assert buffers(task)[0].tolist() == list(range(12))


def test_more_seeds_than_images_with_a_gradient_are_named(tmp_path: Path) -> None:
    data = one_busy_corner(16)
    task = made_task("exemplar", data, seeds=9)
    told = r"^task_options\.seeds: 9 seeds of 8 training images that have a gradient \(of 16\), .* Take at most 8, or auto"
    with pytest.raises(RotnetError, match=told):
        trainer_of(task, data, tmp_path).start_epoch(0)


@pytest.mark.parametrize(("busy", "told"), [(3, "Take at most 3."), (1, "Take other images.")])
def test_auto_is_no_remedy_where_it_is_too_many(busy: int, told: str, tmp_path: Path) -> None:
    data = random_data(32, 36)
    data.train.images[busy:] = 7
    task = made_task("exemplar", data)
    with pytest.raises(RotnetError, match=rf"6 seeds of {busy} training images that have a gradient .* {told}$"):
        trainer_of(task, data, tmp_path).start_epoch(0)


def test_a_set_without_a_gradient_is_named(tmp_path: Path) -> None:
    data = made_data(torch.arange(12, dtype=torch.uint8)[:, None, None, None].expand(-1, 32, 32, 3))
    task = made_task("exemplar", data)
    with pytest.raises(RotnetError, match=r"^dataset: made has no gradient: each of its 12 training images is of one colour"):
        trainer_of(task, data, tmp_path).start_epoch(0)


@pytest.mark.parametrize("seeds", [1, 0, -3, 2.5, "many", None, True])
def test_what_is_no_number_of_seeds_is_named(seeds: Any) -> None:
    with pytest.raises(RotnetError, match=r"^task_options\.seeds"):
        made_task("exemplar", random_data(32), seeds=seeds)


def test_patches_too_small_for_the_network_are_named_with_what_works() -> None:
    told = (
        r"^task_options\.patch: 0\.4 of 64 px are patches of 26, and alexnet takes patches of at least 31 px at stride 4\. "
        r"Any one of these works: a patch of 0\.477 or more, stride 3, image_size 77\.$"
    )
    data = random_data(64)
    with pytest.raises(RotnetError, match=told):
        made_task("exemplar", data, "alexnet", patch=0.4)
    made_task("exemplar", data, "alexnet", patch=0.477)
    made_task("exemplar", data, "alexnet", patch=0.4, stride=3)
    made_task("exemplar", random_data(77), "alexnet", patch=0.4)


@pytest.mark.parametrize("patch", [0, -0.5, 1.01, "half"])
def test_what_is_no_share_of_the_side_is_named(patch: Any) -> None:
    with pytest.raises(RotnetError, match=r"^task_options\.patch"):
        made_task("exemplar", random_data(32), patch=patch)


# --- Pages ---


def test_its_page_shows_seeds_and_draws_of_each_with_the_answer(tmp_path: Path) -> None:
    data = random_data(32, 60)
    task = made_task("exemplar", data, patch=0.75, seeds=9)
    trainer_of(task, data, tmp_path).start_epoch(0)
    task.module.eval()
    charts = task.charts()
    assert len(charts) == 6 * 6
    seeds, corners = buffers(task)
    for chart, number in zip(charts[::6], (0, 2, 3, 5, 6, 8), strict=True):
        assert chart.caption == f"seed {number}"
        row, column = corners[number].tolist()
        patch = data.train.read([int(seeds[number])])[0, :, row : row + 24, column : column + 24]
        assert (chart.pictures[0] == patch.permute(1, 2, 0).numpy()).all()
    for place, chart in enumerate(charts):
        assert chart.beside == 6
        if place % 6:
            seed = charts[place - place % 6].caption.removeprefix("seed ")
            assert chart.right is (chart.caption.startswith(f"said {seed}\n"))
            assert (chart.pictures[0] != charts[place - place % 6].pictures[0]).any()


def test_examples_are_the_middle_of_an_image_and_draws_of_it() -> None:
    data = random_data(32, 6)
    task = made_task("exemplar", data, patch=0.5, seeds=4)
    task.module.eval()
    with torch.no_grad():
        examples = task.examples(batch_of(data))
    assert len(examples) == 6
    for example, image in zip(examples, batch_of(data).images, strict=True):
        assert (example.pictures[0] == image[:, 8:24, 8:24].permute(1, 2, 0).numpy()).all()
        assert len(example.pictures) == example.columns == 4
        assert len(example.probability) == 3
        assert example.right is None


def test_its_figures_are_of_training_images_and_it_says_so() -> None:
    task = made_task("exemplar", random_data(32, 60), seeds=9)
    assert not any(metric.tested for metric in Exemplar.metrics.values())
    note, _ = task.notes
    assert note.startswith("9 seeds of 60 training images: patches of 32 of 32 pixels. Judged on a draw of each seed that")
