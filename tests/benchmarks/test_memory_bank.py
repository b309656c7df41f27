"""Cost of instance discrimination: its bank has a vector for each image of the whole training set."""

import re

import pytest
import torch
from click.testing import CliRunner

from benchmarks.memory_bank import BankRates, bank_rates, main, report
from rotnet_lib.bench.training import TrainingRates
from rotnet_lib.pretext.parts.memory_bank import MemoryBank


def test_the_command_says_how_large_the_bank_is_and_what_the_loss_takes() -> None:
    result = CliRunner().invoke(main, ["--seconds", "0.1", "--arch", "nin3", "--width", "0.05"])
    assert result.exit_code == 0, result.output
    text = result.output
    assert "memory bank of cifar10: 50,000 x 128 numbers, 24.5 MiB" in text  # 25.6 MB of float32 and a byte an image
    assert re.search(r"L_n of 32 images \(NCE, 4096 negatives each; .*\): [\d.]+ ms, [\d.]+ % of a training step", text)
    assert re.search(r"decoupling, nin3 width 0.05, batch 32 x 4: [\d.]+ ms with L_n, [\d.]+ ms without", text)


@pytest.mark.slow
def test_alexnets_bank_is_as_large_as_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negatives are drawn from all of it. The training steps around the loss are not run: AlexNet's take long."""
    drawn: list[torch.Tensor] = []
    nce_loss = MemoryBank.nce_loss

    def note(
        self: MemoryBank, f: torch.Tensor, index: torch.Tensor, negatives: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        assert self.seen.all()
        drawn.append(negatives)
        return nce_loss(self, f, index, negatives, temperature)

    monkeypatch.setattr(MemoryBank, "nce_loss", note)
    rates = bank_rates(0.01, arch="alexnet", width=0.01, measure=lambda *of: TrainingRates(128, 32, 0.2, 0.0, 0.0, 0.0))
    assert "memory bank of imagenet: 1,281,167 x 128 numbers, 626.8 MiB" in report(rates, "alexnet", 0.01)
    assert {batch.shape for batch in drawn} == {(32, 4096)}
    assert torch.cat(drawn).max() > 1_200_000


def test_steps_are_measured_with_the_loss_and_without() -> None:
    def measured(config: object, task, *rest: object) -> TrainingRates:
        return TrainingRates(128, 32, 0.2 if task.options.lambda_n else 0.15, 0.0, 0.0, 0.0)

    rates = bank_rates(0.01, arch="nin3", width=0.05, measure=measured)
    assert (rates.step, rates.plain) == (0.2, 0.15)
    assert (rates.batch, rates.copies) == (32, 4)
    assert rates.loss > 0


def test_shares_are_of_the_steps_measured() -> None:
    rates = BankRates("a GPU", "cifar10", 50_000, 128, 2**20, 4096, 32, 4, loss=0.05, step=0.2, plain=0.15, peak=3 * 2**30)
    text = report(rates, "nin3", 0.05)
    assert "50.00 ms, 25.0 % of a training step" in text
    assert "200.0 ms with L_n, 150.0 ms without" in text
    assert text.endswith("largest memory of the device in all this: 3,072 MiB")
