"""Where a run computes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.training import collectives
from rotnet_lib.training.devices import autocast, check_devices, gpu_name, select_device

Gpus = Callable[..., None]


def selected(device: str) -> torch.device:
    return select_device(PretrainConfig.build({"device": device}))


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_gpu_that_is_not_there_is_said(device: str, gpus: Gpus) -> None:
    gpus(0)
    with pytest.raises(
        RotnetError, match=rf"device: '{device}' asked for.*no such GPU.*rotnet doctor.*Allowed here: cpu, auto"
    ):
        selected(device)


def test_a_gpu_of_another_kind_is_said(gpus: Gpus) -> None:
    gpus(1, "mps")
    with pytest.raises(RotnetError, match=r"device: 'cuda' asked for.*Allowed here: mps, cpu, auto"):
        selected("cuda")


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_without_a_gpu_the_cpu_is_taken(device: str, gpus: Gpus) -> None:
    gpus(0)
    assert selected(device) == torch.device("cpu")


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_gpu_is_taken_where_there_is_one_unless_the_cpu_is_asked_for(kind: str, gpus: Gpus) -> None:
    gpus(2, kind)
    assert selected("auto") == selected(kind) == torch.device(kind, 0)
    assert selected("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("kind", "enabled"), [("cuda", True), ("mps", False), ("cpu", False)])
def test_passes_are_in_bf16_on_a_gpu_but_apples(kind: str, enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, torch.dtype, bool]] = []
    monkeypatch.setattr(torch, "autocast", lambda device, dtype, enabled: asked.append((device, dtype, enabled)))
    autocast(torch.device(kind))
    assert asked == [(kind, torch.bfloat16, enabled)]


def test_an_accelerator_of_another_kind_is_not_taken(gpus: Gpus) -> None:
    gpus(1, "xpu")
    assert selected("auto") == torch.device("cpu")


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize(("here", "said"), [(2, "has 2 "), (0, "has none that torch sees")])
def test_more_gpus_than_there_are(device: str, here: int, said: str, gpus: Gpus) -> None:
    gpus(here)
    with pytest.raises(RotnetError, match=rf"gpus: 4 asked for, this machine {said}.*device=cpu: 4 processes"):
        check_devices(device, 4)


def test_as_many_gpus_as_there_are_and_any_number_of_processes_on_the_cpu(gpus: Gpus) -> None:
    gpus(4)
    check_devices("auto", 4)
    gpus(0)
    check_devices("cpu", 16)


def test_apples_gpu_takes_one_process(gpus: Gpus) -> None:
    gpus(1, "mps")
    with pytest.raises(RotnetError, match=r"gpus: several processes do not train together on Apple's GPU"):
        check_devices("auto", 2)


def test_threads_are_set_if_asked_for() -> None:
    select_device(PretrainConfig.build({"device": "cpu", "threads": 2}))
    assert torch.get_num_threads() == 2
    select_device(PretrainConfig.build({"device": "cpu"}))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("threads", "own"), [(7, 3), (1, 1)])
def test_processes_on_one_machine_share_the_threads(threads: int, own: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collectives, "in_process_group", lambda: True)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    select_device(PretrainConfig.build({"device": "cpu", "threads": threads}))
    assert torch.get_num_threads() == own


def test_without_a_driver_torch_is_not_asked_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: pytest.fail("asked"))
    assert gpu_name([str(tmp_path / "driver")]) is None


@pytest.mark.parametrize(("count", "kind", "name"), [(0, "cuda", None), (1, "cuda", "Some GPU"), (1, "mps", None)])
def test_with_a_driver_torch_has_the_last_word(
    count: int, kind: str, name: str | None, tmp_path: Path, gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a GPU by CUDA or ROCm makes `paper` the preset."""
    driver = tmp_path / "driver"
    driver.touch()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    gpus(count, kind)
    assert gpu_name([str(tmp_path / "none"), str(driver)]) == name
