"""Which data a run sees."""

from dataclasses import dataclass

from rotnet_lib.data.shapes_source import COUNTS
from rotnet_lib.data.source import DATASETS, Source, open_source


@dataclass(frozen=True)
class DataSpec:
    """Which images a run sees, and what of them: runs with equal specs see the same.

    Attributes:
        dataset: `cifar10`, `imagenet`, `places205`, `tiny-imagenet`, `shapes`, `shapes:1`, `imagefolder:/path` ...
        image_size: S, side of what a network sees, in pixels; None: the dataset's own.
        crop_pct: S over R, the side that images are resized to before S pixels are cut out.
        train_size, test_size: this many images, the first of each class in equal parts; None: all.
        validate: hold out about this share of the training images, and show them (at most `test_size`) in place of the test
            split; None: show the test split.
        grey: put each pixel's luminance (ITU-R 601) in all three channels.
        stream: read the files batch by batch; None: if the dataset is one that is streamed (`Source.streamed`).
        shrink: read a copy of the files whose shorter side is this many pixels, made once; None: the files themselves.
    """

    dataset: str
    image_size: int | None = None
    crop_pct: float = 1.0
    train_size: int | None = None
    test_size: int | None = None
    validate: float | None = None
    grey: bool = False
    stream: bool | None = None
    shrink: int | None = None

    def open(self) -> Source:
        """The dataset. Raises RotnetError if there is none of that name, or its files are missing."""
        return open_source(self.dataset, self.image_size, self.crop_pct)

    def counts(self) -> tuple[int, int]:
        """How many images a run trains on and is tested on, without decoding any; with `validate` about as many.

        Raises RotnetError if only the data could say, and is not here.
        """
        kind = DATASETS[self.dataset.partition(":")[0]]
        if self.train_size and self.test_size:
            train, test = self.train_size, self.test_size
        elif kind.published:
            train, test = kind.published.train, kind.published.test
        elif kind.generated:
            train, test = COUNTS["train"], COUNTS["test"]
        else:
            files = self.open().files
            train, test = len(files["train"]), len(files["test"])
        train = self.train_size or train
        if self.validate is None:
            return train, self.test_size or test
        held = round(self.validate * train)
        return train - held, min(held, self.test_size or held)
