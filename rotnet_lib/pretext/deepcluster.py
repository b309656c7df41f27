"""DeepCluster: learn to tell the clusters of one's own features (Caron, Bojanowski, Joulin, Douze, ECCV 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import nn, torch
from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.pretext.parts.count_or_auto import CountOrAuto
from rotnet_lib.pretext.task import TASKS, PretextTask
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.training.task import Epoch, EpochStart, Step

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.loader import Batch
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.pretext.parts.cluster_network import ClusterNetwork
    from rotnet_lib.runs.config import TrainingConfig
    from rotnet_lib.runs.protocols import Values

_IMAGES = 128
"""For each cluster where their number is not said: on ImageNet that makes 10 009, the paper's 10 000."""
_SHOWN, _OF_EACH = 6, 8
"""Clusters on a page, and images of each."""
_PUBLISHED: Values = {
    "augment": "resized-crop",
    "batch_size": 256,
    "epochs": 200,
    "lr": 0.05,
    "lr_milestones": (),
    "weight_decay": 1e-5,
}
"""The authors' code: SGD at a constant rate."""


@TASKS.register("deepcluster")
class DeepCluster(PretextTask):
    """Before each epoch cluster the features of all training images; then learn to tell each image's cluster.

    Features are what the backbone's last ReLU gets, of images as they are; their principal components are whitened, brought to
    unit length and clustered by k-means (`parts/kmeans.py`). The epoch's loss is the cross-entropy of the clusters. Its last
    layer starts anew and has an optimiser of its own, without momentum. Each cluster is drawn equally often: otherwise a
    network could put almost all images into a few (section 3.3 of the paper).

    Metrics, of the training images: `cluster_top1`, percent of images whose cluster is told. `nmi_previous` and `nmi_labels`,
    the normalised mutual information of the clusters with those of the epoch before (0 before the first epoch, when all images
    are in one) and with the class labels, in [0, 1] (arithmetic mean of the entropies); its chance is what clusters of equal
    size have into which the images are put at random. `emptied_clusters`, how often k-means had to fill a cluster without
    images, and `largest_cluster`, percent of the images that are in the largest one. A test
    image has no cluster: the test loss is the cross-entropy of the surest answer, 0 where the network is sure of all.
    """

    metrics: Mapping[str, Metric] = MappingProxyType(
        {
            "cluster_top1": Metric(tested=False, title="Cluster accuracy"),
            "nmi_previous": Metric("", tested=False, title="NMI with the epoch before"),
            "nmi_labels": Metric("", tested=False, title="NMI with the labels"),
            "emptied_clusters": Metric("", "lower", tested=False, title="Clusters emptied"),
            "largest_cluster": Metric("%", "lower", tested=False, title="Largest cluster"),
        }
    )
    module: ClusterNetwork
    title = "DeepCluster"
    paper = "deepcluster"
    protocol: ClassVar[Mapping[str, Values]] = {
        "imagenet": _PUBLISHED,
        "cifar10": _PUBLISHED,  # none is published for small images
    }

    class Options(BaseModel):
        """The clusters, and what the network sees."""

        model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

        clusters: CountOrAuto = Field("auto", description="k, at least 2; auto: one for every 128 images (ImageNet: 10 000)")
        components: int = Field(256, ge=1, description="principal components that are clustered, at most")
        input: Literal["rgb", "sobel"] = Field(
            "rgb", description="what the first convolution reads: colours, or the gradient of their mean (the paper)"
        )

        kmeans: Literal["torch", "faiss"] = Field(
            "torch",
            description="whose k-means: the harness's, on the run's device, or faiss's, on the CPU (pip install faiss-cpu)",
        )

    def __init__(self, backbone: Backbone, data: Dataset, options: Options) -> None:
        from rotnet_lib.pretext.parts.cluster_network import ClusterNetwork
        from rotnet_lib.pretext.parts.faiss_kmeans import check_faiss

        if options.kmeans == "faiss":
            check_faiss()
        self.options = options
        self.data = data
        images = len(data.train)
        self.clusters = max(2, round(images / _IMAGES)) if options.clusters == "auto" else options.clusters
        self.module = ClusterNetwork(backbone, self.clusters, data.image_size, images)
        labels, mixed = data.train.labels.cpu(), torch.randperm(images, generator=torch.Generator().manual_seed(0))
        chance = _nmi(labels, mixed % self.clusters)  # not 0 where there are many clusters
        self.metrics = {**self.metrics, "nmi_labels": replace(self.metrics["nmi_labels"], chance=chance)}
        self.notes = (
            f"{self.clusters} clusters of {images} images. Clusters are those of features before each epoch; the last layer "
            "starts anew in each.",
        )

    def _check(self, images: int, what: str) -> None:
        """Raises RotnetError if there are fewer images than clusters."""
        if self.clusters > images:
            raise RotnetError(
                f"task_options.clusters: {self.clusters} clusters of {images} {what}, and each needs an image of its own. Take "
                f"at most {images}, or auto, which is one for every {_IMAGES} images and at least 2."
            )

    @classmethod
    def inputs_of(cls, options: Options) -> str:
        return options.input

    def optimizers(self, config: TrainingConfig) -> Sequence[torch.optim.Optimizer]:
        from rotnet_lib.training.optimizers import sgd, without

        return (
            sgd(without(self.module, self.module.last), config),
            torch.optim.SGD(self.module.last.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True),
        )

    def before_epoch(self, epoch: Epoch) -> EpochStart:
        """Cluster all training images. Collective: the first process does it, and the others take what it found.

        Raises RotnetError if there are fewer images than clusters, or fewer that can be read.
        """
        from rotnet_lib.pretext.parts.uniform_draws import uniform_draws

        self._check(len(epoch.images), "training images")
        seed = int(torch.randint(2**62, (), generator=epoch.rng))  # of what one process draws and the others do not
        features, present = epoch.images.gather(lambda batch: self.module.unrectified(batch.images))
        self._check(int(present.sum()), "training images that can be read")
        labels, emptied = self.clustered(features, present, seed)
        previous, found = self.module.labels.cpu().clone(), labels.cpu()
        self.module.labels.copy_(labels)
        self.module.restart(epoch.rng)
        return EpochStart(
            uniform_draws(found, epoch.entries, epoch.rng),
            {
                "nmi_previous": _nmi(previous, found),
                "nmi_labels": _nmi(self.data.train.labels.cpu(), found),
                "emptied_clusters": float(emptied),
                "largest_cluster": 100 * int(found[found >= 0].bincount().max()) / int(present.sum()),
            },
        )

    def clustered(self, features: torch.Tensor, present: torch.Tensor, seed: int) -> tuple[torch.Tensor, int]:
        """The clusters of all training images, and how often one was empty; the same in every process. Collective.

        Args:
            features: (N, F) float32.
            present: (N,) bool, those that are of an image which could be read.
            seed: of k-means.

        Returns (N,) int64, -1 where there are no features.
        """
        from rotnet_lib.pretext.parts.faiss_kmeans import faiss_kmeans
        from rotnet_lib.pretext.parts.kmeans import kmeans
        from rotnet_lib.pretext.parts.whitening import whitened
        from rotnet_lib.training.collectives import add_up, is_rank_zero

        found = torch.zeros(len(features) + 1, dtype=torch.int64, device=features.device)
        if is_rank_zero():  # sums on a GPU are added up in any order: another process could find other clusters
            points = nn.functional.normalize(whitened(features[present], self.options.components), dim=1)
            found_by = {"torch": kmeans, "faiss": faiss_kmeans}[self.options.kmeans]
            clusters = found_by(points, self.clusters, torch.Generator().manual_seed(seed))
            found[:-1][present] = clusters.labels + 1
            found[-1] = clusters.emptied
        add_up(found)
        return found[:-1] - 1, int(found[-1])

    def step(self, batch: Batch) -> Step:
        labels = self.module.labels[batch.index]
        logits = self.module(batch.images)
        loss = nn.functional.cross_entropy(logits, labels)
        return Step(loss, len(batch), {"cluster_top1": logits.argmax(1) == labels})

    def evaluate(self, batch: Batch) -> Step:
        surest = self.module(batch.images).float().log_softmax(1).amax(1)
        return Step(-surest.mean(), len(batch))

    def examples(self, batch: Batch) -> list[Example]:
        """Each image, and the maps that the network sees of it where these are no colours; clusters by their number."""
        from rotnet_lib.pretext.parts.seen_inputs import seen_inputs

        probability, said = self.module(batch.images).float().softmax(1).max(1)
        shown = seen_inputs(self.module.backbone, batch.images)
        count = shown.shape[1]
        return [
            Example(pictures, count, f"cluster {cluster}", None, (sure,))
            for pictures, cluster, sure in zip(
                pictures_of(shown.flatten(0, 1), count), said.tolist(), probability.tolist(), strict=True
            )
        ]

    def charts(self) -> list[Example]:
        """Images of some clusters, from the largest to the smallest, with their most frequent class."""
        labels, classes = self.module.labels.cpu(), self.data.train.labels.cpu()
        sizes = labels[labels >= 0].bincount(minlength=self.clusters)
        if int((sizes > 0).sum()) < 2:  # before the first epoch
            return []
        order = sizes.argsort(descending=True, stable=True)
        charts = []
        for cluster in order[torch.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().long()].tolist():
            members = (labels == cluster).nonzero()[:, 0]
            most = classes[members].bincount(minlength=len(self.data.classes))
            pictures = self.data.train.read(members[:_OF_EACH].tolist()).permute(0, 2, 3, 1).cpu().numpy()
            name, share = self.data.classes[int(most.argmax())], float(most.max() / len(members))
            caption = f"cluster {cluster}: {len(members)} images, {share:.0%} of class {name}"
            charts.append(Example(list(pictures), _OF_EACH, caption, None))
        return charts


def _nmi(first: torch.Tensor, second: torch.Tensor) -> float:
    """Normalised mutual information of two labellings (N,), of the images that have both, in [0, 1]."""
    from sklearn.metrics import normalized_mutual_info_score

    both = (first >= 0) & (second >= 0)
    return float(normalized_mutual_info_score(first[both].numpy(), second[both].numpy()))
