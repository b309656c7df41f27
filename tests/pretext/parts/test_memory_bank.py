"""The losses of the memory bank against loops over their formulas, and the bank itself."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from rotnet_lib.pretext.parts.memory_bank import MemoryBank, uniform_log_mean
from rotnet_lib.seeds import seeded
from tests.pretext.parts.banks import remember_all

IMAGES, DIMENSION, BATCH = 30, 6, 4


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    with seeded(seed):
        return torch.nn.functional.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def filled(but: tuple[int, ...] = (), *, random: bool = False) -> MemoryBank:
    bank = MemoryBank(IMAGES, DIMENSION, random=random).double()
    remember_all(bank, but)
    return bank


def drawn(count: int, seed: int = 3) -> torch.Tensor:
    with seeded(seed):
        return torch.randint(IMAGES, (BATCH, count))


INDEX = torch.tensor([3, 0, 17, 29])


# --- The full softmax ---


@pytest.mark.parametrize("new", [(), (0, 5), (3, 0, 17, 29)])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_softmax_loss_is_the_formulas(temperature: float, new: tuple[int, ...]) -> None:
    bank, f = filled(new), unit(BATCH, DIMENSION)
    total = 0.0
    for place, i in enumerate(INDEX.tolist()):
        exponentials = {j: math.exp(float(bank.memory[j] @ f[place]) / temperature) for j in range(IMAGES) if j not in new}
        total -= math.log(exponentials[i] / sum(exponentials.values())) if i not in new else 0.0
    assert bank.softmax_loss(f, INDEX, temperature).item() == pytest.approx(total / BATCH, rel=1e-9)


# --- Noise-contrastive estimation ---


def nce_by_loop(
    bank: MemoryBank, f: torch.Tensor, negatives: torch.Tensor, temperature: float, constant: float | None, new: Sequence[int]
) -> float:
    """The loss from probabilities, as Wu et al. 2018, equations 5 to 7, have them. `constant`: Z; None: the estimate."""
    total = 0.0
    for place, i in enumerate(INDEX.tolist()):
        if i in new:
            continue
        noises = [j for j in negatives[place].tolist() if j not in new]
        m = len(noises) if constant is None else negatives.shape[1]

        def raw(j: int, of: torch.Tensor = f[place]) -> float:
            return math.exp(float(bank.memory[j] @ of) / temperature)

        z = IMAGES / m * sum(raw(j) for j in noises) if constant is None else constant
        assert z is not None
        h = {j: raw(j) / z / (raw(j) / z + m / IMAGES) for j in {i, *noises}}
        total -= math.log(h[i]) + sum(math.log(1 - h[j]) for j in noises)
    return total / BATCH


@pytest.mark.parametrize("new", [(), (0, 5), (3, 0, 17, 29)])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_nce_loss_is_the_formulas(temperature: float, new: tuple[int, ...]) -> None:
    bank, f, negatives = filled(new), unit(BATCH, DIMENSION), drawn(11)
    expected = nce_by_loop(bank, f, negatives, temperature, None, new)
    assert bank.nce_loss(f, INDEX, negatives, temperature).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("temperature", [0.2, 0.5])
def test_with_a_random_start_the_normaliser_is_what_the_authors_measure(temperature: float) -> None:
    """Their Z: N times the mean of exp(v.f / temperature) over a bank of random vectors, here 200 000 of them."""
    v = unit(200_000, DIMENSION, seed=9)
    measured = IMAGES * float((v @ unit(DIMENSION, seed=8) / temperature).exp().mean())
    bank, f, negatives = filled(random=True), unit(BATCH, DIMENSION), drawn(11)
    expected = nce_by_loop(bank, f, negatives, temperature, measured, ())
    assert bank.nce_loss(f, INDEX, negatives, temperature).item() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("dimension", "temperature"), [(2, 0.5), (3, 0.3), (128, 0.07)])
def test_the_mean_over_random_directions(dimension: int, temperature: float) -> None:
    v = unit(200_000, dimension)
    measured = float((v[:, 0] / temperature).exp().mean().log())
    assert uniform_log_mean(dimension, temperature) == pytest.approx(measured, abs=0.03)


def test_in_three_dimensions_that_mean_is_elementary() -> None:
    """The mean of exp(k cos t) over the sphere is sinh(k) / k."""
    assert uniform_log_mean(3, 0.25) == pytest.approx(math.log(math.sinh(4) / 4), rel=1e-12)


def test_nothing_drawn_that_was_seen_adds_nothing() -> None:
    """As in the softmax over the image alone; beside images whose negatives were seen."""
    bank = filled(tuple(j for j in range(IMAGES) if j not in INDEX))
    f = unit(BATCH, DIMENSION).requires_grad_()
    negatives = torch.ones(BATCH, 5, dtype=torch.int64)
    negatives[2] = torch.tensor([0, 3, 1, 29, 1])
    loss = bank.nce_loss(f, INDEX, negatives, 0.07)
    loss.backward()
    raw = {j: math.exp(float(bank.memory[j] @ f[2].detach()) / 0.07) for j in (17, 0, 3, 29)}
    z = IMAGES / 3 * (raw[0] + raw[3] + raw[29])
    h = {j: value / z / (value / z + 3 / IMAGES) for j, value in raw.items()}
    alone = -(math.log(h[17]) + sum(math.log(1 - h[j]) for j in (0, 3, 29)))
    assert loss.item() == pytest.approx(alone / BATCH)
    assert f.grad is not None
    assert f.grad.isfinite().all()
    assert f.grad.any(1).tolist() == [False, False, True, False]


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))


@pytest.mark.parametrize(("spread", "random"), [(0.0, False), (3.0, False), (0.0, True)])
def test_nce_pulls_in_the_direction_of_the_full_softmax(spread: float, random: bool) -> None:
    """Also where all features lie almost in one direction, as at the start of training; with the authors' normaliser where
    they are spread.
    """
    count = 5000
    bank = MemoryBank(count, 128, random=random).double()
    towards = spread * unit(128, seed=5)
    bank.memory.copy_(torch.nn.functional.normalize(unit(count, 128) + towards, dim=1))
    bank.seen.fill_(True)
    f = torch.nn.functional.normalize(unit(16, 128, seed=2) + towards, dim=1).requires_grad_()
    index = torch.arange(16)
    with seeded(4):
        negatives = torch.randint(count, (16, 4096))
    (full,) = torch.autograd.grad(bank.softmax_loss(f, index, 0.07), f)
    (sampled,) = torch.autograd.grad(bank.nce_loss(f, index, negatives, 0.07), f)
    assert cosine(full, sampled) > 0.98
    assert sampled.norm() == pytest.approx(full.norm().item(), rel=0.1)
    assert cosine(full, torch.randn_like(full)) < 0.2


@pytest.mark.parametrize("loss", ["softmax", "nce", "nce, random start"])
def test_gradients_are_those_of_finite_differences(loss: str) -> None:
    bank = filled((5, 0), random="random" in loss)
    f = unit(BATCH, DIMENSION).requires_grad_()
    negatives = drawn(7)
    noise = None
    if loss == "nce":  # Z is a constant to the gradient, and so must be while f is moved
        with torch.no_grad():
            scores = torch.einsum("bmd,bd->bm", bank.memory[negatives], f) / 0.3
            noise = scores.masked_fill(~bank.seen[negatives], -torch.inf).logsumexp(1)

    def value(f: torch.Tensor) -> torch.Tensor:
        if loss == "softmax":
            return bank.softmax_loss(f, INDEX, 0.3)
        if noise is None or f.requires_grad:
            return bank.nce_loss(f, INDEX, negatives, 0.3)
        return frozen(bank, f, negatives, noise)

    (found,) = torch.autograd.grad(value(f), f)
    step = 1e-6
    for place, number in np.ndindex(BATCH, DIMENSION):
        moved = torch.zeros_like(f)
        moved[place, number] = step
        with torch.no_grad():
            difference = (value(f.detach() + moved) - value(f.detach() - moved)) / (2 * step)
        assert found[place, number].item() == pytest.approx(difference.item(), rel=1e-5, abs=1e-8)


def frozen(bank: MemoryBank, f: torch.Tensor, negatives: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The loss with a given log of Z m/N for each image."""
    total = f.new_zeros(())
    for place, i in enumerate(INDEX.tolist()):
        for j, sign in [(i, -1), *((int(j), 1) for j in negatives[place])]:
            if bank.seen[i] and bank.seen[j]:
                total = total + torch.nn.functional.softplus(sign * (bank.memory[j] @ f[place] / 0.3 - noise[place]))
    return total / BATCH


# --- The bank ---


def test_it_begins_empty_or_with_random_directions() -> None:
    empty, random = MemoryBank(IMAGES, DIMENSION), MemoryBank(IMAGES, DIMENSION, random=True)
    assert not empty.memory.any()
    assert not empty.seen.any()
    assert random.seen.all()
    torch.testing.assert_close(random.memory.norm(dim=1), torch.ones(IMAGES))
    assert len(random.memory.unique(dim=0)) == len(random) == IMAGES


@pytest.mark.parametrize("momentum", [0.5, 0.0, 0.9])
def test_an_update_moves_the_images_named_and_no_other(momentum: float) -> None:
    bank, f = filled((17,)), unit(BATCH, DIMENSION)
    expected = bank.memory.clone()
    for place, i in enumerate(INDEX.tolist()):
        vector = momentum * expected[i] + (1 - momentum) * f[place]
        expected[i] = vector / vector.norm()
    bank.update(f, INDEX, momentum)
    torch.testing.assert_close(bank.memory, expected)
    assert bank.seen.all()


def test_of_an_image_that_stands_twice_the_last_place_counts() -> None:
    bank, once = filled(), filled()
    f = unit(BATCH, DIMENSION)
    bank.update(f, torch.tensor([4, 7, 4, 8]), 0.5)
    once.update(f[1:], torch.tensor([7, 4, 8]), 0.5)
    assert torch.equal(bank.memory, once.memory)


def test_the_update_before_the_backward_pass_leaves_the_gradient_alone() -> None:
    gradients: list[torch.Tensor] = []
    for updated in (False, True):
        for loss in ("softmax", "nce"):
            bank, f = filled(), unit(BATCH, DIMENSION).requires_grad_()
            value = bank.softmax_loss(f, INDEX, 0.07) if loss == "softmax" else bank.nce_loss(f, INDEX, drawn(7), 0.07)
            if updated:
                bank.update(f.detach(), INDEX, 0.5)
            gradients += torch.autograd.grad(value, f)
    assert torch.equal(gradients[0], gradients[2])
    assert torch.equal(gradients[1], gradients[3])


def test_weights_leave_it_out_and_devices_do_not() -> None:
    bank = MemoryBank(IMAGES, DIMENSION)
    assert not bank.state_dict()
    assert {name for name, _ in bank.named_buffers()} == {"memory", "seen"}
