"""Egomotion and slow features: the motions, the losses, the sanity figures, bad input."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.data.loader import ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.slow_features import contrastive
from tests.pretext.made import batch_of, made_data, made_task, random_data, shown_in_tests

both = pytest.mark.parametrize("name", ["egomotion", "slow-features"])


def motions(*rows: tuple[int, int, int]) -> torch.Tensor:
    """Steps downwards, to the right and counter-clockwise as the numbers that a task with the usual options has for them."""
    return torch.tensor(rows) + torch.tensor([3, 3, 10])


# --- The motions ---


@both
def test_no_motion_is_the_same_picture_twice(name: str) -> None:
    data = random_data(32)
    task = made_task(name, data)
    pairs = task.pairs(batch_of(data).images, motions(*[(0, 0, 0)] * 6)).view(6, 2, 3, task.side, task.side)
    assert torch.equal(pairs[:, 0], pairs[:, 1])
    margin = (32 - task.side) // 2
    assert torch.equal(pairs[:, 0], batch_of(data).images[..., margin:-margin, margin:-margin])


def test_a_shift_is_that_many_steps() -> None:
    """Content moves: what was at a place is further down and further right."""
    data = random_data(64, 2)
    task = made_task("egomotion", data)
    assert task.pixels == 2
    first, second = (
        task.pairs(batch_of(data, 2).images, motions((2, -1, 0), (0, 3, 0))).view(2, 2, 3, task.side, task.side).unbind(1)
    )
    assert torch.equal(second[0, :, 4:, :-2], first[0, :, :-4, 2:])
    assert torch.equal(second[1, :, :, 6:], first[1, :, :, :-6])


def test_a_turn_is_counter_clockwise() -> None:
    data = random_data(32, 2)
    task = made_task("egomotion", data, turn=90.0, turns=1, shifts=1)
    options = torch.tensor([[1, 1, 2]])
    first, second = task.pairs(batch_of(data, 2).images[:1], options).unbind(0)
    assert torch.equal(second, torch.rot90(first, 1, (1, 2)))
    assert task.described(1, 1, 2) == "0 px down, 0 px right, turned 90 degrees"
    assert task.described(0, 2, 0) == "1 px up, 1 px right, turned -90 degrees"


@both
@pytest.mark.parametrize("options", [{}, {"turn": 45.0}, {"turn": 135.0, "turns": 3, "shifts": 1}, {"step": 0.01, "shifts": 5}])
def test_no_motion_shows_more_than_there_is(name: str, options: dict[str, Any]) -> None:
    """White images: what lies beyond is black. The next larger square would show it."""
    data = made_data(torch.full((2, 64, 64, 3), 255, dtype=torch.uint8))
    task = made_task(name, data, **options)
    corners = torch.cartesian_prod(*(torch.arange(count) for count in task.motions))
    images = batch_of(data, 2).images[:1].expand(len(corners), -1, -1, -1)
    assert task.pairs(images, corners).min() == 255
    task.side += 2
    assert task.pairs(images, corners).min() < 255


def test_every_motion_is_drawn_equally_often() -> None:
    data = random_data(16, 3000)
    task = made_task("egomotion", data)
    drawn = task.draw(batch_of(data, 3000))
    for kind, count in zip(drawn.unbind(1), (7, 7, 21), strict=True):
        counts = kind.bincount(minlength=count)
        assert len(counts) == count
        assert counts.min() > 0.7 * 3000 / count
    assert torch.corrcoef(drawn.T.float()).triu(1).abs().max() < 0.1


@both
def test_a_test_image_has_one_motion_whatever_the_batches_are(name: str) -> None:
    data = random_data(32, 40)
    task = made_task(name, data)
    assert torch.equal(shown_in_tests(task, data, 40), shown_in_tests(task, data, 6))


def test_test_images_have_all_motions() -> None:
    data = random_data(16, 7 * 7 * 21)
    task = made_task("egomotion", data)
    of_test = torch.cat([task.of_test(batch) for batch in ordered_batches(data.test, 100)])
    assert len(of_test.unique(dim=0)) == 7 * 7 * 21


# --- The losses ---


def test_a_network_that_knows_nothing_has_the_loss_of_three_guesses() -> None:
    data = random_data(32)
    task = made_task("egomotion", data)
    for parameter in task.module.head[-1].parameters():
        nn.init.zeros_(parameter)
    step = task.step(batch_of(data))
    assert step.loss.item() == pytest.approx(2 * math.log(7) + math.log(21), abs=1e-4)
    assert {name: term.item() for name, term in step.terms.items()} == pytest.approx(
        {"loss_down": math.log(7), "loss_right": math.log(7), "loss_turn": math.log(21)}, abs=1e-4
    )
    assert [metric.chance for metric in task.metrics.values()] == pytest.approx([100 / 7, 100 / 7, 100 / 21])
    assert made_task("egomotion", data, dropout=0.3).module.head[-2].p == 0.3
    ten = made_task("egomotion", data, turns=1, shifts=2)
    assert [metric.chance for metric in ten.metrics.values()] == pytest.approx([20, 20, 100 / 3])


@pytest.mark.parametrize(("kind", "place"), [("down", 0), ("right", 7), ("turn", 14)])
def test_each_answer_is_about_its_own_kind_of_motion(kind: str, place: int) -> None:
    """A network that says the first of each kind, moved by the first of one alone: only that answer is right."""
    data = random_data(32, 2)
    task = made_task("egomotion", data)
    logits = torch.zeros(35)
    logits[[0, 7, 14]] = 9.0
    task.module = Constant(logits)
    drawn = torch.tensor([[3, 3, 10], [3, 3, 10]])
    drawn[:, (0, 7, 14).index(place)] = 0
    setattr(task, "draw", lambda batch: drawn)  # noqa: B010
    step = task.step(batch_of(data, 2))
    assert {name: right.all().item() for name, right in step.values.items()} == {
        f"{name}_top1": name == kind for name in ("down", "right", "turn")
    }
    assert min(step.terms, key=lambda name: step.terms[name].item()) == f"loss_{kind}"


class Constant(nn.Module):
    """A network that always answers the same."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(pairs) // 2, -1)


def test_the_contrastive_loss_is_the_formulas() -> None:
    nothing = torch.zeros(3)
    assert contrastive(nothing, torch.full((3,), 1e6), 4.0) == 0  # together and far apart
    assert contrastive(nothing, nothing, 4.0).item() == pytest.approx((0 + 16 / 2) / 2, rel=1e-5)
    assert contrastive(torch.full((3,), 9.0), torch.full((3,), 4.0), 3.0).item() == pytest.approx((9 / 2 + 1 / 2) / 2)
    own = torch.zeros(2, requires_grad=True)
    contrastive(own, own, 4.0).backward()
    assert own.grad is not None
    assert torch.isfinite(own.grad).all()


def test_slow_features_compare_an_image_with_itself_and_with_its_neighbour() -> None:
    data = made_data(torch.tensor([10, 20, 200, 210, 30], dtype=torch.uint8)[:, None, None, None].expand(5, 32, 32, 3).clone())
    task = made_task("slow-features", data)

    class Mean(nn.Module):
        def forward(self, pairs: torch.Tensor) -> torch.Tensor:
            return pairs.float().mean((1, 2, 3)).view(-1, 2, 1)

    task.module = Mean()
    batch = next(ordered_batches(data.test, 5))
    assert task.evaluate(batch).values["slow_top1"].tolist() == [True] * 5
    assert task.evaluate(batch).inputs == 10
    captions = [example.caption for example in task.examples(batch)]
    assert captions[0] == "distance after the motion 0, of the other image 10"
    assert captions[4] == "distance after the motion 0, of the other image 180"  # of an odd number: the one before


def test_the_loss_of_slow_features_is_of_whole_distances_and_the_margin() -> None:
    """Features (0, 0) and (3, 4) of one image, (1, 0) and (3, 0) of another: distances 5 and 2, and of the others 3 and 5."""
    data = random_data(32, 2)
    task = made_task("slow-features", data, margin=4.0)

    class Features(nn.Module):
        def forward(self, pairs: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[[0.0, 0], [3, 4]], [[1, 0], [3, 0]]])

    task.module = Features()
    step = task.step(batch_of(data, 2))
    others = (3.0, math.hypot(2, 4))  # (0, 0) to (3, 0), (1, 0) to (3, 4)
    expected = (25 + 4) / 2 / 2 + sum(max(0, 4 - d) ** 2 for d in others) / 2 / 2
    assert step.loss.item() == pytest.approx(expected / 2)
    assert step.values["slow_top1"].tolist() == [False, True]


def test_an_example_shows_the_pair_and_both_motions_in_words() -> None:
    data = random_data(32, 6)
    task = made_task("egomotion", data)
    task.module.eval()
    batch = next(ordered_batches(data.test, 6))
    with torch.no_grad():
        examples, step = task.examples(batch), task.evaluate(batch)
    all_right = torch.stack(list(step.values.values())).all(0)
    assert [example.right for example in examples] == all_right.tolist()
    true = task.described(*task.of_test(batch)[2].tolist())
    assert examples[2].caption.startswith(f"true {true}\nsaid ")
    assert [picture.shape for picture in examples[2].pictures] == [(task.side, task.side, 3)] * 2


# --- Bad input ---


@both
@pytest.mark.parametrize(
    ("side", "arch", "options", "message"),
    [
        (64, "alexnet", {"shifts": 6}, r"moved by up to 12 px and turned by up to 30 degrees, images of 64 px have 22 px"),
        (64, "alexnet", {"turn": 90.0, "shifts": 4}, r"moved by up to 8 px and turned by up to 90 degrees, .* have 28 px that"),
        (32, "nin3", {"step": 0.2}, r"moved by up to 18 px .* have 0 px .* nin3 takes at least 1\."),
    ],
)
def test_motion_larger_than_the_crop_is_named_with_what_works(
    name: str, side: int, arch: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RotnetError, match=rf"task_options\.turn: {message}") as error:
        made_task(name, random_data(side, 2), arch, **options)
    remedies = str(error.value).partition("Any one of these works: ")[2].removesuffix(".").split(", ")
    assert remedies != [""]
    for remedy in remedies:
        value = float(re.findall(r"[\d.]+", remedy)[0])
        option = next(option for option in ("turn", "step", "shifts", "stride", "image_size") if option in remedy)
        data = random_data(int(value) if option == "image_size" else side, 2)
        changed = options | (
            {} if option == "image_size" else {option: int(value) if option in ("shifts", "stride") else value}
        )
        assert math.isfinite(made_task(name, data, arch, **changed).step(batch_of(data, 2)).loss.item())
