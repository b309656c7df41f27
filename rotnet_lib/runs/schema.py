"""The schema of `metrics.json`, a run's result."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rotnet_lib.runs.metrics import PERCENT, Better, with_unit
from rotnet_lib.runs.sampling import sampling_error


class MetricValue(BaseModel):
    """One figure of a run.

    `last`, the headline, is of the last epoch, as a rule on the test split. `best` is of the epoch that was chosen on the test
    split, so it is too high; it is shown beside the headline, under that name, because the published figures were chosen so.
    None if the test split was evaluated once, at the end, or not for this metric.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    last: float
    best: float | None = None
    best_epoch: int | None = None
    unit: str = PERCENT
    """Of `last` and `best`; empty: none."""
    better: Better = "higher"
    """Which direction is."""
    chance: float | None = None
    """What guessing gives, in `unit`; None: not known, or without meaning."""
    tested: bool = True
    """Whether it is of the test images; else of the training images."""
    images: int | None = Field(None, ge=1)
    """Of how many images it is the share of right answers: images, not copies or views of them, on which the network was not
    trained. None: it is no such share, or the result is from before results said so."""
    target_images: dict[str, int] = {}
    """The same of its figures by target (`RunResult.by_target`): target's name -> images."""

    @property
    def standard_error(self) -> float | None:
        """Sampling error of `last`, in points of percent (see `sampling_error`); None where `images` is."""
        return None if self.images is None else sampling_error(self.last, self.images)

    def of_images(self, images: int, by_target: Mapping[str, int] | None = None) -> Self:
        """The same figure, as a share of right answers on so many images; unchanged if it is not in percent.

        Args:
            images: at least 1.
            by_target: target's name -> images, of its figures by target.
        """
        if self.unit != PERCENT:
            return self
        return self.model_copy(update={"images": images, "target_images": dict(by_target or {})})

    @property
    def text(self) -> str:
        """`last` with its unit: `89.06 %`."""
        return with_unit(self.last, self.unit)


class DataRecord(BaseModel):
    """The data a run saw."""

    name: str
    title: str
    fingerprint: str
    classes: list[str]
    image_size: int | None = None
    """Side of the square images in pixels; None where they keep their sizes."""
    train_images: int
    test_images: int
    validation: bool = False
    """Whether the test images are training images that were held out (`validate`), not the test split."""
    damaged: list[str] = []
    """Image files that could not be read and were left out, as paths relative to the dataset's folder."""
    skipped: list[str] = []
    """What else lay among the images and was not read, by kind: `".heic files: 3, such as train/cat/a.heic"`."""

    @property
    def tested_on(self) -> str:
        """What the figures are of: `the test split`, or `held-out training images`."""
        return "held-out training images" if self.validation else "the test split"


class TrainingRecord(BaseModel):
    """What a run trained, and how fast."""

    epochs: int | None = None
    """Epochs trained, including those before an interruption; None if training is counted in iterations."""
    iterations: int | None = None
    """Iterations trained; None if training is counted in epochs."""
    inputs: int
    """Network inputs trained on, rotated copies counted."""
    seconds: float
    """Time of the training steps. Set-up, evaluation and epochs that were interrupted are not counted."""
    inputs_per_second: float
    """The median over the rows of the history (epochs), so that a slow first one does not count."""
    waiting: float | None = None
    """Share of the training time that the device waited for images, in [0, 1]; None if it was not measured."""
    parameters: int
    """How many numbers were trained."""


class Environment(BaseModel):
    """What a run was measured with. What a result does not say, such as one of an earlier version, is unknown."""

    model_config = ConfigDict(extra="allow")

    rotnet_lib: str = "unknown"
    commit: str | None = "unknown"
    """Short hash of the code's git commit, with `+changes` if the tree differed from it; None outside a checkout."""
    python: str = "unknown"
    platform: str = "unknown"
    cpu: str = "unknown"
    cores: int | None = None
    processes: int = 1
    """How many trained together."""
    threads: int | None = None
    """CPU threads of one process."""
    device: str = "unknown"
    """The GPU's name, or the processor's."""
    cuda: str | None = None
    """The version of CUDA, or of ROCm, that torch was built for; None on a CPU."""
    packages: dict[str, str] = {}
    """Package -> version."""


class RunResult(BaseModel):
    """The schema of `metrics.json`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_version: int = 3
    """2: from before results carried `version`, `execution`, `files` and `checksum`; it is read, and unverified."""
    run: str
    stage: str
    parameters: dict[str, Any]
    """The whole effective config."""
    protocol_differences: dict[str, list[Any]]
    """Field -> [the protocol's value, this run's value], for every field that differs."""
    data: DataRecord
    metrics: dict[str, MetricValue]
    by_target: dict[str, dict[str, float]]
    """Metric -> target's name (a class, a rotation) -> percent, at the last epoch on the test split."""
    notes: list[str] = []
    """Sentences that belong to the figures."""
    training: TrainingRecord | None
    """None for a run that trains nothing."""
    wall_seconds: float
    """From the start of the stage to its end, in the process that finished the run; see `seconds`."""
    peak_memory_mib: int
    """The largest resident size of the process, of rank 0 if several train. GPU memory is not counted."""
    environment: Environment
    finished_at: str
    version: int | None = None
    """The stage's, part of the run's name."""
    execution: list[str] | None = None
    """The parameters that say where the run was executed; they are no part of its name."""
    later: list[str] = []
    """The parameters that are no part of its name because they came later; see `stage_config.later`."""
    unverified: list[str] = []
    """Files without a checksum that the run read, such as a backbone's from before files carried one."""
    renamed_from: list[str] = []
    """Names that the run had before, the oldest first."""
    files: dict[str, str] | None = None
    """File in the run's directory -> SHA-256 of its content, for those that pages are drawn from later; since `save`."""
    checksum: str | None = None
    """Of this result, without this field; since `save`. See `identity.result_checksum`."""

    @property
    def headline(self) -> str:
        """Every metric with its figure, by its name in code: `map 33.92 %, map_1crop 37.21 %`; empty without metrics."""
        return ", ".join(f"{name} {metric.text}" for name, metric in self.metrics.items())

    @property
    def seconds(self) -> float:
        """What the run took: of one that was interrupted at least its training, which counts the earlier attempts."""
        return max(self.wall_seconds, self.training.seconds if self.training else 0.0)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.schema_version not in (2, 3):
            raise ValueError(f"schema_version is {self.schema_version}, and this version of the library reads 2 and 3")
        if self.schema_version == 2 and self.checksum is not None:
            raise ValueError("schema_version is 2, of results without a checksum")
        return self
