"""Two processes on the CPU compute what one does."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.training import collectives
from tests.training import pairs

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as patch:  # one process imports torch for both
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        torch.multiprocessing.set_forkserver_preload([pairs.__name__, "torch._dynamo"])
        torch.multiprocessing.start_processes(pairs.both, (str(folder),), nprocs=2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@slow
def test_each_process_hears_what_every_one_has(found: list[dict[str, Any]]) -> None:
    assert found[0]["gathered"] == found[1]["gathered"] == [{"process": 0}, {"process": 1}]


@slow
@pytest.mark.parametrize("name", pairs.NORMS)
def test_batch_norm_sees_the_batches_of_all_processes(found: list[dict[str, Any]], name: str) -> None:
    expected = pairs.normalise(name)  # torch's own, on the whole batch
    parts = [one["norms"][name] for one in found]
    assert parts[0].keys() == parts[1].keys() == expected.keys()
    assert any(key.endswith("running_var") for key in expected)
    for key, value in expected.items():
        if key in ("output", "gradient", "evaluated"):
            together = torch.cat([part[key] for part in parts])
        elif key.startswith("gradient."):
            together = parts[0][key] + parts[1][key]
        else:
            assert torch.equal(parts[0][key], parts[1][key])
            together = parts[0][key]
        torch.testing.assert_close(together, value, rtol=1e-10, atol=1e-12)


@slow
def test_each_process_has_the_rows_of_the_whole_batch_in_its_order(found: list[dict[str, Any]]) -> None:
    alone = pairs.of_all()
    assert alone[1].tolist() == [0, 10, 20, 40, 50]
    for part in found:
        for tensor, expected in zip(part["embeddings"], alone, strict=True):
            assert torch.equal(tensor, expected)


@slow
@pytest.mark.parametrize("name", pairs.TRAININGS)
def test_training_ends_where_one_process_does(found: list[dict[str, Any]], name: str, tmp_path: Path) -> None:
    history, weights, shares = pairs.train(tmp_path / "resume", name)
    one, other = (part["trained"][name] for part in found)
    assert one[0] == other[0]  # the seconds too
    for row, expected in zip(one[0], history, strict=True):
        assert row.keys() == expected.keys()
        for column in expected.keys() - {"seconds", "inputs_per_second"}:
            assert row[column] == pytest.approx(expected[column], rel=1e-6), column
        assert row["inputs_per_second"] == pytest.approx(row["inputs"] / row["seconds"])
    assert one[2] == other[2] == shares
    assert one[1].keys() == other[1].keys() == weights.keys()
    for key, tensor in weights.items():
        assert torch.equal(one[1][key], other[1][key]), key
        # Counting's Adam divides a gradient by its size, also where it is little more than rounding.
        torch.testing.assert_close(one[1][key], tensor, rtol=1e-9, atol=1e-9 if name == "task counting" else 1e-11)
    assert ("bank.memory" in weights) == ("instance" in name or "decoupling" in name)


@slow
@pytest.mark.parametrize("count", [300, 20])
def test_every_process_gets_the_rows_of_all_images(found: list[dict[str, Any]], count: int) -> None:
    expected = pairs.every_row(count)
    for part in found:
        for tensor, whole in zip(part["rows"][count], expected, strict=True):
            assert torch.equal(tensor, whole)


@slow
def test_players_with_optimisers_of_their_own_go_on_where_they_were(found: list[dict[str, Any]], tmp_path: Path) -> None:
    """Interrupted or not, to the last bit; and where one process would, up to rounding."""
    alone = pairs.play(tmp_path / "resume", interrupted=False)
    for part in found:
        whole, interrupted = part["adversaries"]
        for name, tensor in alone.items():
            assert torch.equal(whole[name], interrupted[name]), name
            torch.testing.assert_close(whole[name], tensor, rtol=1e-9, atol=1e-11)


@slow
def test_only_the_first_process_writes(found: list[dict[str, Any]]) -> None:
    assert found[0]["files"] == {f"resume-0-{number}" for number in range(len(pairs.TRAININGS))}


# --- One process ---


def test_a_process_on_its_own_is_the_first_of_one() -> None:
    assert collectives.rank_and_world_size() == (0, 1)
    assert collectives.is_rank_zero()
    assert not collectives.in_process_group()
    assert collectives.all_gather("word") == ["word"]


# --- What they must agree on ---


def test_processes_that_would_go_on_from_different_epochs_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each node has a folder of runs of its own, say."""
    monkeypatch.setattr(collectives, "all_gather", lambda epochs: [epochs, 2, epochs])
    with pytest.raises(RotnetError, match=r"resume holds 0 and 2 epochs, by process: do all nodes see the same folder"):
        pairs.train(tmp_path / "resume", next(iter(pairs.TRAININGS)))


# --- Batch norms that are shared, and what stays ---


def stack() -> nn.Sequential:
    frozen = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    head = nn.Sequential(
        nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Linear(4, 2), nn.BatchNorm1d(2, eps=0.1, momentum=0.2)
    )
    module = nn.Sequential(frozen, head).train()
    frozen.eval()
    return module


@pytest.mark.parametrize(("device", "kind"), [("cpu", collectives.SharedBatchNorm), ("cuda", nn.SyncBatchNorm)])
def test_batch_norms_that_train_are_converted_and_keep_what_they_hold(device: str, kind: type[nn.Module]) -> None:
    module = stack()
    parameters, names = list(module.parameters()), list(module.state_dict())
    values = [tensor.clone() for tensor in module.state_dict().values()]
    collectives.synchronize_batch_norm(module, torch.device(device))
    assert [type(layer) for layer in module.modules() if "Norm" in type(layer).__name__] == [nn.BatchNorm2d, kind, kind]
    shared = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)][1:]
    assert [(layer.eps, layer.momentum) for layer in shared] == [(1e-5, 0.1), (0.1, 0.2)]
    assert all(layer.training for layer in shared)
    assert all(p is q for p, q in zip(module.parameters(), parameters, strict=True))
    assert list(module.state_dict()) == names
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), values, strict=True))


def test_a_shared_norm_wants_channels() -> None:
    with pytest.raises(ValueError, match="not 1 dimensions"):
        collectives.SharedBatchNorm(nn.BatchNorm1d(3))(torch.zeros(3))
