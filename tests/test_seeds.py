"""One seed a run, every stream a function of it."""

import pytest
import torch

from rotnet_lib.seeds import derive, generator, seeded

CPU = torch.device("cpu")


def test_a_seed_is_equal_on_every_machine() -> None:
    """Stored runs were made with these: another value would make them unrepeatable."""
    assert derive(0, "weights") == 5_147_875_554_478_041_081
    assert derive(1, "epoch", 7) == 7_617_471_620_776_589_762


def test_purposes_and_seeds_do_not_meet() -> None:
    purposes: list[tuple[object, ...]] = [(), ("weights",), ("epoch", 0), ("epoch", 1), ("epoch", "1"), ("epoch", 11)]
    seeds = {derive(seed, *purpose) for seed in range(20) for purpose in purposes}
    assert len(seeds) == 20 * len(purposes)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_generator_is_its_purposes() -> None:
    def draw(*purpose: object) -> list[int]:
        return torch.randint(1000, (8,), generator=generator(CPU, 3, *purpose)).tolist()

    assert draw("epoch", 1) == draw("epoch", 1)
    assert draw("epoch", 1) != draw("epoch", 2)


def test_the_block_is_seeded_and_the_stream_outside_goes_on() -> None:
    torch.manual_seed(5)
    outside = torch.rand(4)
    torch.manual_seed(5)
    first = torch.rand(2)
    with seeded(0, "weights"):
        inside = torch.rand(3)
    assert torch.equal(torch.cat([first, torch.rand(2)]), outside)
    with seeded(0, "weights"):
        assert torch.equal(torch.rand(3), inside)
    with seeded(1, "weights"):
        assert not torch.equal(torch.rand(3), inside)


def test_an_error_in_the_block_puts_the_stream_back_too() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)

    def fail() -> None:
        with seeded(0):
            torch.rand(7)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(torch.rand(2), expected)
