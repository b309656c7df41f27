"""Training images that are held out: settings are chosen on them, and the test split is not looked at."""

import numpy as np

from rotnet_lib.errors import RotnetError
from rotnet_lib.seeds import derive


def held_out(places: np.ndarray, share: float) -> np.ndarray:
    """Which training images are held out: (n,) bool.

    Whether an image is depends on its place and the share alone, not on how many images a run takes: a probe of 1 000 images
    holds out none that its pretext run of 50 000 was trained on. What is held out by a share is held out by every larger one.

    Args:
        places: (n,) int64, the images' places in the whole training split.
        share: in (0, 1), of the images; each is held out with this probability.

    Raises RotnetError if that leaves no image on one side.
    """
    # The bits of a numpy generator never change, while what its methods make of them may from version to version.
    drawn = np.random.PCG64(derive(0, "validate")).random_raw(int(places.max(initial=-1)) + 1)
    found: np.ndarray = drawn[places] < np.uint64(share * 2**64)
    if found.all() or not found.any():
        left = "for training" if len(found) and found.all() else "to validate on"
        raise RotnetError(
            f"validate: {share:g} of {len(found)} training images leaves none {left}. Take another share or more images."
        )
    return found
