"""What a run goes on from."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import PARAMETERS, RESUME, RunDirectory
from rotnet_lib.runs.unverified import noted, noting
from rotnet_lib.seeds import seeded
from rotnet_lib.training.checkpoints import load_tensors, save_tensors
from rotnet_lib.training.resume import ResumeState
from tests.training.tampering import from_before, tampered


def trained(momentum: float) -> tuple[nn.Module, list[torch.optim.Optimizer]]:
    """A module with a batch norm after a few steps."""
    with seeded(0):
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=momentum)
        for _ in range(3):
            module(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    return module, [optimizer]


def test_a_resume_state_holds_what_weights_leave_out(tmp_path: Path) -> None:
    """A memory bank, say: a buffer that is not in the state dictionary."""
    state = ResumeState(tmp_path / "resume.safetensors")
    one, other = nn.Linear(3, 4), nn.Linear(3, 4)
    for module, value in ((one, 1.0), (other, 2.0)):
        module.register_buffer("memory", torch.full((5, 2), value), persistent=False)
    state.save(one, [torch.optim.SGD(one.parameters())], [])
    state.load(other, [torch.optim.SGD(other.parameters())])
    assert torch.equal(other.get_buffer("memory"), torch.ones(5, 2))
    bare = nn.Linear(3, 4)
    with pytest.raises(RotnetError, match="unexpected memory"):
        state.load(bare, [torch.optim.SGD(bare.parameters())])


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_a_resume_state_holds_all_that_training_goes_on_from(tmp_path: Path, momentum: float) -> None:
    state = ResumeState(tmp_path / "resume.safetensors")
    module, (optimizer,) = trained(momentum)
    history = [{"epoch": 1, "train_loss": 0.1 + 0.2}, {"epoch": 2, "train_loss": 1e-17}]
    state.save(module, [optimizer], history)
    fresh = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    other = torch.optim.SGD(fresh.parameters(), lr=0.1, momentum=momentum)
    assert state.load(fresh, [other]) == history  # to the last bit
    for name, value in module.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    for first, second in zip(module.parameters(), fresh.parameters(), strict=True):
        buffers = [o.state[p].get("momentum_buffer") for o, p in ((optimizer, first), (other, second))]
        if momentum:
            assert torch.equal(*buffers)
        else:
            assert buffers == [None, None]


def test_without_a_state_there_is_no_history(tmp_path: Path) -> None:
    module, (optimizer,) = trained(0.9)
    before = [p.clone() for p in module.parameters()]
    assert ResumeState(tmp_path / "none.safetensors").load(module, [optimizer]) == []
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    state = ResumeState(tmp_path / "resume.safetensors")
    module, (optimizer,) = trained(0.9)
    state.save(module, [optimizer], [])
    state.path.write_bytes(state.path.read_bytes()[:-100])
    with pytest.raises(RotnetError, match=r"damaged checkpoint .*resume\.safetensors.*Delete it"):
        state.load(module, [optimizer])


def test_a_state_of_another_module_is_refused(tmp_path: Path) -> None:
    state = ResumeState(tmp_path / "resume.safetensors")
    state.save(*trained(0.9), [])
    other = nn.Linear(3, 4)
    with pytest.raises(RotnetError, match=r"resume\.safetensors does not fit"):
        state.load(other, [torch.optim.SGD(other.parameters(), lr=0.1)])


def module_and_optimizers() -> tuple[nn.Module, list[torch.optim.Optimizer]]:
    module = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return module, [optimizer]


ROW = {"epoch": 1, "train_loss": 0.5}
COLUMNS = ("epoch", "train_loss")


def test_a_resume_state_of_another_run_is_refused(tmp_path: Path) -> None:
    one, two = (RunDirectory(tmp_path / name) for name in ("one", "two"))
    for run in (one, two):
        run.path.mkdir()
        (run.path / PARAMETERS).write_text("{}")
    ResumeState(two.path / RESUME, two.name).save(*module_and_optimizers(), [dict(ROW)])
    shutil.copy(two.path / RESUME, one.path)
    with pytest.raises(RotnetError, match=rf"{RESUME}: it is of run two, .* run one\. Delete it: the run starts again"):
        ResumeState(one.path / RESUME, one.name).load(*module_and_optimizers())


def test_a_resume_state_of_a_longer_run_is_refused(tmp_path: Path) -> None:
    state = ResumeState(tmp_path / RESUME)
    state.save(*module_and_optimizers(), [{"epoch": epoch, "train_loss": 0.5} for epoch in range(1, 7)])
    assert len(state.load(*module_and_optimizers(), columns=COLUMNS, end=6)) == 6
    with pytest.raises(RotnetError, match=r"is of a longer run: it is at epoch 6, and this run ends at 4\. Delete it"):
        state.load(*module_and_optimizers(), columns=COLUMNS, end=4)


@pytest.mark.parametrize(
    "history",
    [None, 3, {}, "text", [3], [[]], [{"epoch": "1"}], [{"epoch": None, "train_loss": 1}], [{"epoch": 1}], [{"epoch": [1]}]],
)
def test_a_history_that_is_none_is_named(history: Any, tmp_path: Path) -> None:
    state = ResumeState(tmp_path / RESUME)
    state.save(*module_and_optimizers(), [dict(ROW)])
    tampered(state.path, header=json.dumps({} if history is None else {"history": history}))
    with pytest.raises(RotnetError, match=rf"damaged checkpoint .*{RESUME}: .*history.*Delete it: the run starts again"):
        state.load(*module_and_optimizers(), columns=COLUMNS, end=4)


@pytest.mark.parametrize(
    "name",
    [
        "optimizer.0.0.momentum_buffer",
        "optimizer.0.7.momentum_buffer",
        "optimizer.1.0.step",
        "optimizer.0.x",
        "momentum.7",
        "module.weight",
        "module.more",
    ],
)
def test_a_resume_state_that_does_not_fit_is_named(name: str, tmp_path: Path) -> None:
    state = ResumeState(tmp_path / RESUME)
    state.save(*module_and_optimizers(), [dict(ROW)])
    tensors, header = load_tensors(state.path)
    save_tensors(state.path, tensors | {name: torch.zeros(1)}, header)
    with pytest.raises(RotnetError, match=rf"{RESUME} does not fit the model: .*Delete it: the run starts again"):
        state.load(*module_and_optimizers())


def test_what_was_read_unverified_survives_an_interruption(tmp_path: Path) -> None:
    old, state = tmp_path / "old.safetensors", ResumeState(tmp_path / RESUME)
    save_tensors(old, {"a": torch.ones(3)}, {})
    from_before(old)
    with noting():
        load_tensors(old)
        state.save(*module_and_optimizers(), [dict(ROW)])
    with noting():
        state.load(*module_and_optimizers())
        assert noted() == [f"{tmp_path.name}/old.safetensors"]


def adam(module: nn.Module) -> list[torch.optim.Optimizer]:
    """Two optimisers with a part of the module each, of which one keeps numbers beside its buffers."""
    first, second = module[0].parameters(), module[1].parameters()  # type: ignore[index]
    return [torch.optim.Adam(first, lr=0.01), torch.optim.SGD(second, lr=0.1, momentum=0.9)]


def steps(module: nn.Module, optimizers: list[torch.optim.Optimizer], seeds: range) -> None:
    for seed in seeds:
        with seeded(seed):
            module(torch.randn(5, 3, 8, 8)).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()


def convolutions() -> nn.Module:
    with seeded(0):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)).to(memory_format=torch.channels_last)


def test_several_optimisers_go_on_to_the_last_bit(tmp_path: Path) -> None:
    state = ResumeState(tmp_path / RESUME)
    whole, module, fresh = convolutions(), convolutions(), convolutions()
    steps(whole, adam(whole), range(5))
    optimizers = adam(module)
    steps(module, optimizers, range(3))
    state.save(module, optimizers, [])
    optimizers = adam(fresh)
    state.load(fresh, optimizers)
    steps(fresh, optimizers, range(3, 5))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name


def test_the_state_of_a_run_that_an_earlier_version_began_is_read(tmp_path: Path) -> None:
    """It had one optimiser, SGD, and kept its momentum under a name of its own."""
    state = ResumeState(tmp_path / RESUME)
    module, (optimizer,) = trained(0.9)
    state.save(module, [optimizer], [])
    tensors, header = load_tensors(state.path)
    old = {name.replace("optimizer.0.", "momentum.").removesuffix(".momentum_buffer"): found for name, found in tensors.items()}
    assert "momentum.0" in old
    save_tensors(state.path, old, header)
    fresh, _ = trained(0.0)
    other = torch.optim.SGD(fresh.parameters(), lr=0.1, momentum=0.9)
    state.load(fresh, [other])
    for first, second in zip(module.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(optimizer.state[first]["momentum_buffer"], other.state[second]["momentum_buffer"])
