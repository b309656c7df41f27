"""Pretraining with a teacher, from end to end."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.probe import ProbeConfig, probe
from rotnet_lib.models import Network
from rotnet_lib.pretext import Rotation
from rotnet_lib.training.pretrain import PretrainConfig, pretrain
from tests.training.weights import KilledError, same_weights, weights


def test_a_teacher_changes_what_is_learnt_and_stays_as_it_is(build: Callable[..., PretrainConfig]) -> None:
    first = pretrain(build(seed=1, arch="nin4", epochs=3))
    first.save()
    teacher = first.directory
    before = (teacher.path / "model.safetensors").read_bytes()
    alone = pretrain(build(epochs=2))
    taught = pretrain(build(epochs=2, teacher=teacher.name))  # of another arch: it is only asked
    assert taught.directory.name != alone.directory.name
    assert weights(taught.directory).keys() == weights(alone.directory).keys()  # it is not saved with the run
    assert not same_weights(taught.directory, alone.directory)
    assert taught.history["train_loss"][0] < alone.history["train_loss"][0]  # the weights are at most 1
    assert (teacher.path / "model.safetensors").read_bytes() == before
    assert taught.result.training == alone.result.training.model_copy(
        update={name: getattr(taught.result.training, name) for name in ("seconds", "inputs_per_second")}
    )


def test_one_teacher_has_one_spelling(build: Callable[..., PretrainConfig]) -> None:
    assert build(teacher="runs/somebody") == build(teacher="somebody")


def test_a_teacher_is_given_by_name_folder_or_file(build: Callable[..., PretrainConfig]) -> None:
    teacher = pretrain(build(seed=1)).directory
    losses = [
        pretrain(build(teacher=str(name))).history["train_loss"].tolist()
        for name in (teacher.name, teacher.path, teacher.path / "model.safetensors")
    ]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("epochs", [1, 2])
def test_training_leaves_a_teachers_weights_alone(
    epochs: int, build: Callable[..., PretrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = pretrain(build(seed=1)).directory
    met: list[Network] = []
    learn_from = Rotation.learn_from

    def note(self: Rotation, network: Network, taught: Mapping[str, Any]) -> None:
        met.append(network)
        learn_from(self, network, taught)

    monkeypatch.setattr(Rotation, "learn_from", note)
    pretrain(build(teacher=teacher.name, epochs=epochs))
    (network,) = met
    stored = weights(teacher)
    assert not network.training
    kernel = network.state_dict()["backbone.blocks.conv2.0.weight"]
    assert kernel.is_contiguous(memory_format=torch.channels_last)  # moved to where the trained network is, and laid out so
    assert all(torch.equal(tensor, stored[name]) for name, tensor in network.state_dict().items())


def test_a_run_with_a_teacher_that_was_killed_ends_as_one_that_was_not(
    build: Callable[..., PretrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = str(pretrain(build(seed=1)).directory.path)
    whole = pretrain(build(epochs=3, teacher=teacher, runs="whole"))
    original, steps = Rotation.step, []

    def killed(self: Rotation, batch: Any) -> Any:
        steps.append(batch)
        if len(steps) == 4:
            raise KilledError
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "step", killed)
        with pytest.raises(KilledError):
            pretrain(build(epochs=3, teacher=teacher, runs="killed"))
    assert same_weights(whole.directory, pretrain(build(epochs=3, teacher=teacher, runs="killed")).directory)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"task": "labels"}, "teacher: task 'labels' learns from none. Tasks that do: rotation, rotation-instance"),
        ({"task_options": {"angles": [0, 180]}}, "its angles are .*this run's are"),
        ({"task_options": {"angles": [45, 135, 225, 315]}}, "lack 0"),
    ],
)
def test_a_teacher_that_is_of_no_use_is_said(
    parameters: dict[str, Any], message: str, build: Callable[..., PretrainConfig]
) -> None:
    teacher = pretrain(build(seed=1)).directory
    with pytest.raises(RotnetError, match=message):
        pretrain(build(teacher=teacher.name, **parameters))


def test_a_teacher_that_is_not_there_is_named(build: Callable[..., PretrainConfig]) -> None:
    with pytest.raises(RotnetError, match=r"no checkpoint .*nobody"):
        pretrain(build(teacher="nobody"))


def test_a_probe_is_no_teacher(build: Callable[..., PretrainConfig], tiny: dict[str, Any]) -> None:
    pretrain(build()).save()
    outcome = probe(ProbeConfig.build(tiny | {"layer": "conv3"}))
    with pytest.raises(RotnetError, match=rf"{outcome.directory.name}.* holds no head .*name a pretrain run"):
        pretrain(build(teacher=outcome.directory.name))
