"""Which answers are given for which, counted over test steps."""

import numpy as np
import torch

from rotnet_lib.training.answers import AnswerSums, WrongAnswer
from rotnet_lib.training.task import Step, Told

NAMES = ("cat", "dog", "ship")


def step(*said: tuple[int, int, float]) -> Step:
    """True answer, answer, and its probability, of each input."""
    logits = torch.full((len(said), len(NAMES)), 0.0)
    for row, (_, answer, probability) in enumerate(said):
        logits[row] = np.log((1 - probability) / (len(NAMES) - 1))
        logits[row, answer] = np.log(probability)
    targets = torch.tensor([true for true, _, _ in said])
    return Step(torch.zeros(()), len(said), targets=targets, scores={"top1": logits})


def test_answers_are_counted_by_the_true_one() -> None:
    sums = AnswerSums(NAMES)
    sums.add(step((0, 0, 0.9), (0, 1, 0.6), (2, 2, 0.5)), torch.tensor([0, 1, 2]))
    sums.add(step((0, 1, 0.7)), torch.tensor([3]))
    assert sums.all_gathered()["top1"].confusion.tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_the_surest_mistakes_come_first_with_their_places() -> None:
    sums = AnswerSums(NAMES)
    sums.add(step((0, 1, 0.6), (1, 1, 0.99)), torch.tensor([10, 11]))
    sums.add(step((2, 0, 0.8)), torch.tensor([12]))
    found = sums.all_gathered()["top1"].surest_mistakes
    assert [(wrong.place, wrong.true, wrong.said) for wrong in found] == [(12, 2, 0), (10, 0, 1)]
    assert np.allclose([wrong.probability for wrong in found], [0.8, 0.6])


def test_no_more_than_a_dozen_mistakes_are_kept_the_surest() -> None:
    sums = AnswerSums(NAMES)
    for place in range(30):
        sums.add(step((0, 1, 0.4 + place / 100)), torch.tensor([place]))
    found = sums.all_gathered()["top1"].surest_mistakes
    assert [wrong.place for wrong in found] == list(range(29, 17, -1))
    assert all(isinstance(wrong, WrongAnswer) for wrong in found)


def test_where_an_image_has_several_answers_none_is_its_mistake() -> None:
    sums = AnswerSums(NAMES)
    sums.add(step((0, 1, 0.6), (1, 0, 0.9)), torch.tensor([5]))
    found = sums.all_gathered()["top1"]
    assert found.confusion.sum() == 2
    assert found.surest_mistakes == []


def test_answers_without_names_are_counted_too() -> None:
    sums = AnswerSums(NAMES)
    for true, said in (([0, 4], [4, 4]), ([0], [4])):
        told = Told(torch.tensor(true), torch.tensor(said), 5)
        sums.add(Step(torch.zeros(()), len(true), told={"bin_top1": told}), torch.arange(1))
    sums.add(step((0, 0, 0.9)), torch.tensor([0]))
    found = sums.all_gathered()
    assert {metric: answers.named for metric, answers in found.items()} == {"bin_top1": False, "top1": True}
    assert found["bin_top1"].confusion.shape == (5, 5)
    assert found["bin_top1"].confusion[0, 4] == 2
    assert found["bin_top1"].confusion[4, 4] == 1
    assert found["bin_top1"].surest_mistakes == []


def test_a_step_without_scores_counts_nothing() -> None:
    sums = AnswerSums(())
    sums.add(Step(torch.zeros(()), 2), torch.tensor([0, 1]))
    assert sums.all_gathered() == {}
