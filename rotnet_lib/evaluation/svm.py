"""Linear support vector machines with the squared hinge loss (L2-SVM), one against all."""

from __future__ import annotations

import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.training.devices import exact_products

BY_LIBLINEAR = 1024
"""Features up to which scikit-learn's solver (liblinear) is taken: for 3 072 of 4 500 images it took 20 times as long."""
_TOLERANCE = 1e-4
"""Of the gradient at the end, as a part of what it is at 0: scikit-learn's default is the same number."""
_STEPS = 2000


def fit_svm(features: torch.Tensor, labels: torch.Tensor, classes: int, c: float) -> torch.Tensor:
    """The weights that tell each class from all others.

    For each class, with y = 1 for its images and -1 for the others, the w that minimises
    1/2 |w|^2 + C sum_i max(0, 1 - y_i w.x_i)^2; the last component of x is 1, and its weight is the bias. scikit-learn's
    `LinearSVC(loss="squared_hinge", dual=False)`, which is taken where there are few features; above `BY_LIBLINEAR` of them the
    solution is found by L-BFGS, for all classes together and on the features' device.

    Args:
        features: (n, F) float32 or float64.
        labels: (n,) int64 in [0, K), on the features' device.
        classes: K.
        c: C, the weight of the errors.

    Returns:
        (F + 1, K) like the features; the last row is the bias. A class without an image has a bias of minus infinity.

    Raises RotnetError if the images are of one class, and if the solution is not found.
    """
    present = labels.unique()
    if len(present) < 2:
        raise RotnetError(
            f"classifier svm: all {len(labels)} training images are of one class, and it tells classes apart. Take images of "
            "two classes or more."
        )
    solve = _by_liblinear if features.shape[1] <= BY_LIBLINEAR else _by_lbfgs
    weights = features.new_zeros(features.shape[1] + 1, classes)
    weights[-1] = -torch.inf
    with exact_products(features.device):
        weights[:, present] = solve(features, labels, present, c)
    return weights


def svm_scores(weights: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """How far features (n, F) are on the side of each class: (n, K). The largest is the answer."""
    return torch.addmm(weights[-1], features, weights[:-1])


def _by_liblinear(features: torch.Tensor, labels: torch.Tensor, present: torch.Tensor, c: float) -> torch.Tensor:
    from sklearn.svm import LinearSVC

    solver = LinearSVC(C=c, loss="squared_hinge", dual=False, tol=_TOLERANCE, max_iter=_STEPS)
    solver.fit(features.cpu().numpy(), labels.cpu().numpy())
    if solver.n_iter_ >= _STEPS:
        raise _not_found(c)
    found = torch.cat([torch.from_numpy(solver.coef_).T, torch.from_numpy(solver.intercept_)[None]])
    if len(present) == 2:  # one problem is solved, and the first class is the other's opposite
        found = torch.cat([-found, found], 1)
    return found.to(features)


def _by_lbfgs(features: torch.Tensor, labels: torch.Tensor, present: torch.Tensor, c: float) -> torch.Tensor:
    signs = torch.where(labels[:, None] == present, 1.0, -1.0).to(features)
    weights = features.new_zeros(features.shape[1] + 1, len(present), requires_grad=True)

    def closure() -> torch.Tensor:
        weights.grad = None
        errors = (1 - signs * svm_scores(weights, features)).clamp(min=0)
        # Sums in float64: near the solution the line search compares values that float32 could not tell apart.
        squares = [part.square().sum(dtype=torch.float64) for part in (weights, errors)]
        objective = 0.5 * squares[0] + c * squares[1]
        objective.backward()
        return objective

    def steepest() -> float:
        closure()
        assert weights.grad is not None
        return float(weights.grad.abs().max())

    with torch.enable_grad():
        enough = _TOLERANCE * steepest()
        solver = torch.optim.LBFGS(
            [weights],
            max_iter=_STEPS,
            history_size=20,
            tolerance_grad=enough,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
        solver.step(closure)
        if steepest() > enough:
            raise _not_found(c)
    return weights.detach()


def _not_found(c: float) -> RotnetError:
    return RotnetError(
        f"classifier svm: no solution for C = {c:g} within {_STEPS} steps. Features of very different sizes may be the reason: "
        "look at the backbone's weights."
    )
