"""What a run keeps for its page: written by the stage, the same whenever it is trained, and no part of its name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.evaluation.seen import SEEN, Picture, first_batch, read_seen
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.labels import Labels
from rotnet_lib.report.seen_plots import seen_section
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.finetune import FinetuneConfig, finetune
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain


def test_a_pretrain_run_keeps_images_examples_and_the_confusion_of_its_figures(pretrained: Callable[..., RunDirectory]) -> None:
    run = pretrained()
    seen = read_seen(run)
    assert seen is not None
    assert (len(seen.training), len(seen.made), len(seen.examples)) == (6, 24, 24)  # four copies of each image
    assert all(len(example.pictures) == len(example.probability) == 1 for example in seen.examples)
    assert [example.caption.partition("\n")[0] for example in seen.examples[:4]] == [f"true {k}°" for k in (0, 90, 180, 270)]
    assert seen.confusion is not None
    counts = np.array(seen.confusion.counts)
    assert counts.sum(1).tolist() == [20] * 4  # of 20 test images in each rotation
    for name, share in run.result().by_target["rotation_top1"].items():
        place = seen.confusion.names.index(name)
        assert 100 * counts[place, place] / 20 == pytest.approx(share)


def test_supervised_and_fine_tuned_runs_keep_their_surest_mistakes(pretrained: Callable[..., RunDirectory], tiny: Any) -> None:
    supervised = read_seen(pretrained(task="labels"))
    outcome = finetune(FinetuneConfig.build(tiny | {"backbone": "random", "arch": "nin3"}))
    outcome.save()
    for seen in (supervised, read_seen(outcome.directory)):
        assert seen is not None
        assert seen.confusion is not None
        shares = [mistake.probability for mistake in seen.confusion.mistakes]
        assert shares
        assert shares == sorted(shares, reverse=True)
        assert all(mistake.true != mistake.said for mistake in seen.confusion.mistakes)


def test_training_images_are_shown_of_those_that_epochs_draw_from() -> None:
    data = load_dataset(DataSpec("shapes", train_size=80, test_size=10))
    loader = Loader(data.train, 16, seed=0, augment="none")
    drawn = torch.tensor([3, 40, 71])
    assert first_batch(loader, drawn).index.tolist() == [3, 40, 71, 3, 40, 71]
    assert first_batch(loader).index.tolist() != [3, 40, 71, 3, 40, 71]


def test_it_is_a_function_of_the_parameters(tiny: dict[str, Any]) -> None:
    found = []
    for folder in ("one", "two"):
        outcome = pretrain(PretrainConfig.build(tiny | {"arch": "nin3", "runs": folder}))
        outcome.save()
        found.append((outcome.directory.path / SEEN).read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("task", [name for name in TASKS if name not in ("context", "counting", "jigsaw")])
def test_every_task_that_takes_small_images_has_something_to_show(task: str, pretrained: Callable[..., RunDirectory]) -> None:
    seen = read_seen(pretrained(task=task, arch=(*TASKS[task].archs, "nin3")[0]))
    assert seen is not None
    assert len(seen.examples) == 6 * seen.examples[0].beside


def test_a_task_whose_examples_fail_does_not_cost_the_training(tiny: dict[str, Any]) -> None:
    class Broken(Labels):
        def examples(self, batch: Any) -> Any:
            raise ValueError("nothing to show")

    TASKS.register("broken")(Broken)
    try:
        outcome = pretrain(PretrainConfig.build(tiny | {"arch": "nin3", "task": "broken"}))
        outcome.save()
        seen = read_seen(outcome.directory)
        page = seen_section(outcome.directory).data
    finally:
        TASKS.remove("broken")
    assert seen is not None
    assert seen.problem == "ValueError: nothing to show"
    assert seen.confusion is not None
    assert "could not show examples: ValueError: nothing to show" in page


def test_large_pictures_are_kept_small() -> None:
    assert Picture.of(np.zeros((300, 200, 3), np.uint8)).pixels.shape == (112, 75, 3)
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert (Picture.of(noise).pixels == noise).all()
