"""The weighted k-nearest-neighbour classifier, which needs no training (docs/protocol.md, "k-NN probe").

Wu, Xiong, Yu, Lin: Unsupervised Feature Learning via Non-Parametric Instance Discrimination (CVPR 2018), section 3.4.
"""

import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.training.devices import exact_products

CHUNK_NUMBERS = 2**25
"""Numbers in the largest table of a chunk of test images: 128 MiB of similarities in float32, 256 MiB of votes in float64.

With what ordering them takes, a chunk needs less than 1 GiB. One test image is a chunk even where it has more similarities.
"""


@torch.no_grad()
def classify(
    test: torch.Tensor,
    train: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    *,
    neighbours: int,
    temperature: float,
    chunk_numbers: int = CHUNK_NUMBERS,
) -> torch.Tensor:
    """The class of each test image, by the votes of the training images that are most similar to it.

    Features are scaled to unit length, the similarity s is their cosine. Each of the k nearest training images votes for its
    class with weight exp(s / temperature). Of equally near images the earlier ones count; where they are equal
    but for rounding, as copies of one image can be, any of them may. Of classes with equal votes the one of the lowest index
    wins. A vector of zeros has no direction: its similarity to all others is 0.

    Computed in float32 whatever the matmul precision is set to, votes in float64. Beside the chunks (see `CHUNK_NUMBERS`) it
    needs a copy of both sets of features.

    Args:
        test: (M, C) float32, finite.
        train: (N, C) float32, finite, on the same device.
        labels: (N,) int64 in [0, classes), of the training images, on the same device.
        classes: how many there are.
        neighbours: k.
        temperature: above 0; the smaller, the more the nearest images decide.
        chunk_numbers: the size of chunks; results do not depend on it.

    Returns:
        (M,) int64 in [0, classes), on the same device.

    Raises RotnetError if k is larger than N.
    """
    check_neighbours(neighbours, len(train))
    test, train = _unit(test), _unit(train)
    rows = max(1, chunk_numbers // max(len(train), neighbours * classes))
    every = torch.arange(classes, device=labels.device)
    found = [torch.empty(0, dtype=torch.int64, device=test.device)]
    # The cosines of pooled features after a ReLU differ in digits that TF32 does not have.
    with exact_products(test.device):
        for chunk in test.split(rows):
            similarity, places = _nearest(chunk @ train.T, neighbours)
            # Relative to the nearest: a common factor changes no vote, and nothing overflows at low temperatures.
            weights = ((similarity - similarity[:, :1]).double() / temperature).exp()
            # A product, since a GPU adds what is scattered in no fixed order.
            votes = torch.einsum("mk,mkc->mc", weights, (labels[places][:, :, None] == every).double())
            found.append(votes.argmax(1))  # the first of equal ones
    return torch.cat(found)


def check_neighbours(neighbours: int, training_images: int) -> None:
    """Raises RotnetError if there are fewer training images than are to vote."""
    if neighbours > training_images:
        raise RotnetError(
            f"neighbours: {neighbours} asked for, but there are {training_images} training images. Allowed: 1 to "
            f"{training_images}."
        )


def _unit(features: torch.Tensor) -> torch.Tensor:
    """Rows (n, C) scaled to unit length; zeros stay zeros. A copy."""
    largest = features.abs().amax(1, keepdim=True) if features.numel() else features[:, :1]
    # First by the largest value: squares of values beyond 1e19 are infinite in float32, those of values below 1e-23 are 0.
    scaled = features / largest.where(largest > 0, 1.0)
    return scaled.div_(scaled.norm(dim=1, keepdim=True).clamp(min=1.0))  # at least 1 for a row that is not zeros


def _nearest(similarity: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest of each row of (m, N), in falling order, and their places: (m, count) each. Of equal ones the earlier."""
    nearest, places = similarity.topk(count)
    # `topk` may take any of those that are equal to the last. Sorting decides, which is slow, and seldom needed.
    tied = (similarity >= nearest[:, -1:]).sum(1) > count
    if tied.any():
        ordered, order = similarity[tied].sort(dim=1, descending=True, stable=True)
        nearest[tied], places[tied] = ordered[:, :count], order[:, :count]
    return nearest, places
