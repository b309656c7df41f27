"""Support vector machines: both solvers find what scikit-learn finds, and what cannot be solved is named."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.svm import BY_LIBLINEAR, fit_svm, svm_scores


def clouds(images: int, features: int, classes: int, *, apart: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around a centre for each class, of variance 1; (n, F) float32 and labels (n,)."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (images,), generator=rng)
    centres = apart * torch.randn(classes, features, generator=rng)
    return centres[labels] + torch.randn(images, features, generator=rng), labels


def of_scikit_learn(features: torch.Tensor, labels: torch.Tensor, c: float) -> torch.Tensor:
    """Weights (F + 1, K), the bias last."""
    found = LinearSVC(C=c, loss="squared_hinge", dual=False, tol=1e-8, max_iter=10_000).fit(features.numpy(), labels.numpy())
    weights = torch.from_numpy(np.concatenate([found.coef_.T, found.intercept_[None]])).float()
    return torch.cat([-weights, weights], 1) if weights.shape[1] == 1 else weights


def padded(features: torch.Tensor) -> torch.Tensor:
    """The features and so many zeros that the solver for many of them is taken; zeros change no solution."""
    return torch.cat([features, torch.zeros(len(features), BY_LIBLINEAR)], 1)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("c", [1e-4, 1e-2, 1.0])
def test_both_solvers_find_the_solution_of_scikit_learn(c: float, classes: int) -> None:
    features, labels = clouds(200, 10, classes, apart=0.5)
    theirs = of_scikit_learn(features, labels, c)
    few, many = fit_svm(features, labels, classes, c), fit_svm(padded(features), labels, classes, c)
    torch.testing.assert_close(few, theirs, atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cat([many[:10], many[-1:]]), theirs, atol=1e-3, rtol=0)
    assert not many[10:-1].any()
    assert theirs.abs().max() > 0.01  # so that 1e-3 is little


@pytest.mark.parametrize("padding", [torch.Tensor.clone, padded])
def test_classes_that_can_be_parted_are(padding: Callable[[torch.Tensor], torch.Tensor]) -> None:
    features, labels = clouds(300, 20, 4, apart=3)
    weights = fit_svm(padding(features), labels, 4, 1e-2)
    assert (svm_scores(weights, padding(features)).argmax(1) == labels).all()


@pytest.mark.parametrize("padding", [torch.Tensor.clone, padded])
def test_a_class_without_an_image_is_never_the_answer(padding: Callable[[torch.Tensor], torch.Tensor]) -> None:
    features, labels = clouds(100, 5, 3, apart=3)
    labels = 2 * labels  # of classes 0 to 6 the odd ones have none, nor has 6
    answers = svm_scores(fit_svm(padding(features), labels, 7, 1e-3), padding(features)).argmax(1)
    assert set(answers.tolist()) == {0, 2, 4}


def test_one_class_is_an_error() -> None:
    with pytest.raises(RotnetError, match=r"all 8 training images are of one class.*two classes or more"):
        fit_svm(torch.randn(8, 3), torch.full((8,), 2), 5, 1e-3)


def test_features_that_no_solver_can_use_are_an_error() -> None:
    features, labels = clouds(50, 4, 2, apart=1)
    features[:, 0] *= 1e18
    with pytest.raises(RotnetError, match="no solution for C = 1"):
        fit_svm(padded(features), labels, 2, 1.0)
