"""Where a run computes."""

from pathlib import Path

import pytest
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.training import collectives
from rotnet_lib.training.devices import gpu_name, select_device


@pytest.fixture
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("_no_gpu")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(RotnetError, match=r"device: 'cuda' asked for.*no GPU.*rotnet doctor.*Allowed here: cpu, auto"):
        select_device(PretrainConfig.build({"device": "cuda"}))


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_without_a_gpu_the_cpu_is_taken(device: str) -> None:
    assert select_device(PretrainConfig.build({"device": device})) == torch.device("cpu")


def test_the_cpu_is_taken_if_asked_for_even_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert select_device(PretrainConfig.build({"device": "cpu"})) == torch.device("cpu")


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
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("asked"))
    assert gpu_name([str(tmp_path / "driver")]) is None


def test_with_a_driver_torch_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "driver"
    driver.touch()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    for available, name in ((False, None), (True, "Some GPU")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert gpu_name([str(tmp_path / "none"), str(driver)]) == name
