"""What is measured of instance discrimination has a bank of the whole training set."""

import re

import pytest
import torch

from rotnet_lib.bench import bank
from rotnet_lib.bench.training import TrainingRates
from rotnet_lib.pretext import Decoupling
from rotnet_lib.pretext.memory_bank import MemoryBank


def test_the_report_says_how_large_the_bank_is_and_what_the_loss_takes() -> None:
    text = bank.report(0.1, arch="nin3", width=0.05)
    assert "memory bank of cifar10: 50,000 x 128 numbers, 24.5 MiB" in text  # 25.6 MB of float32 and a byte an image
    assert re.search(r"L_n of 32 images \(NCE, 4096 negatives each; .*\): [\d.]+ ms, [\d.]+ % of a training step", text)
    assert re.search(r"decoupling, nin3 width 0.05, batch 32 x 4: [\d.]+ ms with L_n, [\d.]+ ms without", text)


def test_alexnets_is_imagenets(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is drawn from. The steps around the loss are those of the other tests."""
    drawn: list[torch.Tensor] = []
    nce_loss = MemoryBank.nce_loss

    def note(
        self: MemoryBank, f: torch.Tensor, index: torch.Tensor, negatives: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        assert self.seen.all()
        drawn.append(negatives)
        return nce_loss(self, f, index, negatives, temperature)

    monkeypatch.setattr(MemoryBank, "nce_loss", note)
    monkeypatch.setattr(bank, "measure", lambda *of: TrainingRates(128, 32, 0.2, 0.0, 0.0, 0.0))
    text = bank.report(0.01, arch="alexnet", width=0.01)
    assert "memory bank of imagenet: 1,281,167 x 128 numbers, 626.8 MiB" in text
    assert {batch.shape for batch in drawn} == {(32, 4096)}
    assert torch.cat(drawn).max() > 1_200_000


def test_shares_are_of_the_steps_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(config: object, task: Decoupling, *rest: object) -> TrainingRates:
        return TrainingRates(128, 32, 0.2 if task.options.lambda_n else 0.15, 0.0, 0.0, 0.0)

    monkeypatch.setattr(bank, "measure", measured)
    monkeypatch.setattr(bank, "seconds_each", lambda call, seconds, device: 0.05)
    text = bank.report(1, arch="nin3", width=0.05)
    assert "50.00 ms, 25.0 % of a training step" in text
    assert "200.0 ms with L_n, 150.0 ms without" in text
