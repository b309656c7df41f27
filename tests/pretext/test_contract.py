"""What every pretext task promises, tried on each that is found. A new file in `rotnet_lib/pretext/` comes under it by itself.

Two more promises are kept elsewhere, for every task as well: two processes compute what one does
(`tests/training/test_collectives.py`), and no step waits for the device (`tests/rehearsal`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.evaluation.task_figures import figures_of
from rotnet_lib.models import ARCHS
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.task import PretextTask
from rotnet_lib.runs.directory import MODEL, checkpoint_name
from rotnet_lib.runs.protocols import BENCHMARKS
from rotnet_lib.stages.pretrain import PretrainConfig, pretext_task, pretrain
from rotnet_lib.stages.train import Outcome
from rotnet_lib.stages.trained_task import load_task
from rotnet_lib.training.checkpoints import load_backbone
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.trainer import Trainer
from tests.training.weights import assert_same_course, killed

NAMES = sorted(TASKS)
COLUMNS = {"epoch", "lr", "train_loss", "test_loss", "seconds", "inputs", "inputs_per_second"}
SHORT: dict[str, Any] = {"epochs": 3, "train_size": 24, "checkpoints": [0.34]}

each = pytest.mark.parametrize("name", NAMES)


def config(name: str, tiny: dict[str, Any], **parameters: Any) -> PretrainConfig:
    arch = (*TASKS[name].archs, "nin3")[0]
    return PretrainConfig.build(tiny | {"arch": arch, "task": name, "batch_size": 8} | parameters)


@pytest.fixture
def trainer(tmp_path: Path, tiny: dict[str, Any], shapes_data: Dataset) -> Callable[..., Trainer]:
    def made(name: str, **parameters: Any) -> Trainer:
        asked = config(name, tiny, **parameters)
        task, _ = pretext_task(asked, shapes_data)
        loader = Loader(
            shapes_data.train,
            asked.batch_size * task.batch_copies,
            seed=0,
            augment=asked.augment,
            copies=task.copies,
        )
        state = ResumeState(tmp_path / "resume.safetensors")
        return Trainer(task, loader, shapes_data.test, asked, state, torch.device("cpu"))

    return made


@pytest.fixture(scope="module")
def _trained_before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    """Where the runs of `trained` lie, and those that were trained."""
    return tmp_path_factory.mktemp("runs"), {}


@pytest.fixture
def trained(tiny: dict[str, Any], _trained_before: tuple[Path, dict[str, Outcome]]) -> Callable[[str], Outcome]:
    """A finished run of a task, of three epochs of three steps, which also keeps the weights after the first."""
    folder, known = _trained_before

    def run(name: str) -> Outcome:
        if name not in known:
            known[name] = pretrain(config(name, tiny, runs=str(folder), **SHORT))
            known[name].save()
        return known[name]

    return run


@each
def test_it_says_what_it_measures(name: str, trainer: Callable[..., Trainer]) -> None:
    found = trainer(name, epochs=1)
    history = found.fit()
    metrics = found.task.metrics
    tested = {f"test_{metric}" for metric, declared in metrics.items() if declared.tested}
    own = {column for column in history[-1] if column not in COLUMNS and not column.startswith("train_loss_")}
    assert own == {f"train_{metric}" for metric in metrics} | tested
    declared = TASKS[name].metrics
    assert declared.keys() == metrics.keys()  # those that suites are planned by
    for metric, shown in metrics.items():
        assert (shown.unit, shown.better, shown.tested) == (
            declared[metric].unit,
            declared[metric].better,
            declared[metric].tested,
        )


@each
def test_its_targets_have_names(name: str, trainer: Callable[..., Trainer]) -> None:
    found = trainer(name)
    step = found.task.evaluate(next(found.loader.epoch(0)))
    assert step.inputs > 0
    if found.task.target_names:
        assert step.targets is not None
        if step.targets.shape != (step.inputs,):  # several answers about an input: the step says which image each is of
            assert step.places is not None
            assert step.places.shape == step.targets.shape
            assert set(step.places.tolist()) == set(range(step.inputs))
        assert all(right.shape == step.targets.shape for right in step.values.values() if right.dtype == torch.bool)
        assert 0 <= int(step.targets.min()) <= int(step.targets.max()) < len(found.task.target_names)


@each
def test_two_steps_train_all_of_it(name: str, trainer: Callable[..., Trainer]) -> None:
    """Every parameter moves: several processes wait for the gradient of each."""
    found = trainer(name, lr=0.01)
    before = [parameter.detach().clone() for parameter in found.parameters]
    found.task.module.train()
    for batch in list(found.loader.epoch(0))[:2]:
        step = found.step(batch, 0.01)
        assert torch.isfinite(step.loss)
        for parameter in found.parameters:
            assert parameter.grad is not None
            assert torch.isfinite(parameter.grad).all()
    trained = zip(before, found.parameters, strict=True)
    assert all(not torch.equal(old, new) for old, new in trained)


@each
def test_its_loss_falls_on_one_batch(name: str, trainer: Callable[..., Trainer]) -> None:
    """Where players train against each other, one's loss rises as the other's falls: the discriminator's falls in the end."""
    found = trainer(name, task_options=dict(TASKS[name].same_in_processes))

    def step() -> float:
        batch = next(found.loader.epoch(0))  # the same images and draws each time
        made = found.step(batch, 0.02)
        return made.terms.get("loss_discriminator", made.loss).item()

    found.task.module.train()
    losses = [step() for _ in range(40)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[2:7])  # a memory has seen the images by then


@each
def test_a_run_that_was_killed_goes_on_to_the_last_bit(
    name: str, tiny: dict[str, Any], trained: Callable[[str], Outcome]
) -> None:
    """It dies in its second epoch of three steps."""
    whole = trained(name)
    interrupted = config(name, tiny, runs="others", **SHORT)
    with killed(TASKS[name], call=5):
        pretrain(interrupted)
    resumed = pretrain(interrupted)
    resumed.save()
    assert_same_course(whole, resumed)


@each
def test_probes_load_its_backbone(name: str, trained: Callable[[str], Outcome]) -> None:
    outcome = trained(name)
    backbone = load_backbone(outcome.directory.path / MODEL).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    for layer, features in backbone.features(images, backbone.taps).items():
        assert torch.isfinite(features).all(), layer
    assert set(outcome.result.metrics) == set(TASKS[name].metrics)


@pytest.mark.parametrize(
    ("name", "benchmark"),
    [
        (name, benchmark)
        for name in NAMES
        for benchmark in BENCHMARKS
        if any(ARCHS[arch].benchmark == benchmark for arch in TASKS[name].archs or ARCHS)
    ],
)
def test_it_has_a_schedule_for_every_benchmark_of_its_archs(name: str, benchmark: str) -> None:
    assert {"epochs", "lr_milestones"} <= TASKS[name].protocol[benchmark].keys()
    arch = next(arch for arch in TASKS[name].archs or ARCHS if ARCHS[arch].benchmark == benchmark)
    asked = PretrainConfig.build({"task": name, "arch": arch})
    assert asked.protocol_differences() == {}


@each
def test_its_options_are_all_described(name: str) -> None:
    for option, field in TASKS[name].Options.model_fields.items():
        assert field.description, option
        assert not field.is_required(), option


@each
def test_its_weights_give_its_figures_again(name: str, trained: Callable[[str], Outcome]) -> None:
    """Whatever it changed in them for others to build on."""
    outcome = trained(name)
    data = load_dataset(DataSpec("shapes", train_size=SHORT["train_size"], test_size=20))
    task, _ = load_task(outcome.directory.path / MODEL, data)
    found = figures_of(task, data.test)
    tested = {metric: value for metric, value in outcome.result.metrics.items() if value.tested}
    assert {metric: value.last for metric, value in found.items()} == pytest.approx(
        {metric: value.last for metric, value in tested.items()}
    )
    for metric, value in tested.items():
        assert value.images == found[metric].images in (None, 20), (
            metric
        )  # images, not copies of them; None: no share of answers
    on_the_way, _ = load_task(outcome.directory.path / checkpoint_name(1), data)
    for metric, value in figures_of(on_the_way, data.test).items():
        assert value.last == pytest.approx(outcome.history[f"test_{metric}"][0])


@each
def test_its_examples_are_pictures_with_what_was_answered(name: str, trainer: Callable[..., Trainer]) -> None:
    found = trainer(name)
    found.task.module.eval()
    assert isinstance(found.task, PretextTask)
    with torch.no_grad():
        examples = found.task.examples(next(found.loader.epoch(0)))
    assert sum(1 / example.beside for example in examples) in (0, 8)  # images, of which there may be several copies
    for example in examples:
        assert example.pictures
        assert 0 < example.columns <= len(example.pictures)
        assert example.caption
        for picture in example.pictures:
            assert picture.dtype == np.uint8
            assert picture.ndim == 3
            assert picture.shape[-1] == 3
