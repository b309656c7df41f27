"""What is run first on a machine with a GPU."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import gpu_rehearsal
from benchmarks.gpu_rehearsal import TOLERANCE, Variant, main
from rotnet_lib.bench.training import TrainingRates

RATES = TrainingRates(inputs=512, images=128, step=0.01, load=0.0001, test=0.002, flops=1e9)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured: every way to train takes the same."""
    monkeypatch.setattr(gpu_rehearsal, "measure", lambda *_, **__: RATES)
    monkeypatch.setattr(gpu_rehearsal, "matmul_rate", lambda *_: 1e14)


@pytest.mark.slow
@pytest.mark.usefixtures("measured")
def test_without_a_gpu_the_cpu_is_compared_with_itself(monkeypatch: pytest.MonkeyPatch, gpus: Callable[..., None]) -> None:
    gpus(0)
    small = {"train_size": 40, "test_size": 20, "epochs": 1}
    learned = {
        name: (stage, metric, of | small | ({"width": 0.05} if stage == "pretrain" else {}))
        for name, (stage, metric, of) in gpu_rehearsal.LEARNED.items()
    }
    monkeypatch.setattr(gpu_rehearsal, "LEARNED", learned)
    result = CliRunner().invoke(main, ["--seconds", "0.01", "--width", "0.02"])
    assert result.exit_code == 0, result.output
    assert "torch sees no GPU" in result.output
    for name in learned:
        assert re.search(rf"\| {name} \| ([\d.]+) \| \1 \| \+0.00 \|", result.output)
    assert "| nin4 | no | yes | 51,200 | 1.0 % | 51 % |  | arithmetic |" in result.output
    assert len(re.findall(r"^\| (?:nin4|alexnet) ", result.output, re.MULTILINE)) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("apart", "code"), [(TOLERANCE - 0.1, 0), (-TOLERANCE - 0.1, 1)])
def test_figures_far_from_the_cpus_are_an_error(
    apart: float, code: int, monkeypatch: pytest.MonkeyPatch, gpus: Callable[..., None]
) -> None:
    gpus(0)
    monkeypatch.setattr(gpu_rehearsal, "compared", lambda: iter([("rotation", 80.0, 80.0 + apart)]))
    result = CliRunner().invoke(main, ["--seconds", "0.01", "--width", "0.02"])
    assert result.exit_code == code
    assert ("further than 6 points from the CPU's figures: rotation" in result.output) == bool(code)


@pytest.mark.parametrize(
    ("change", "bound"),
    [({}, "arithmetic"), ({"load": 0.003}, "loader"), ({"step": 0.05}, "launches and memory")],
)
def test_what_bounds_a_step(change: dict[str, Any], bound: str) -> None:
    rates = TrainingRates(**{**vars(RATES), **change})
    assert Variant("nin4", False, True, rates, None).bound(matmul=1e14) == bound
