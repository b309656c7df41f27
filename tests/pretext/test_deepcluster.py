"""DeepCluster: what is clustered, what an epoch draws, what starts anew, what is measured, bad input."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Loader, ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.deepcluster import DeepCluster
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.checkpoints import load_tensors
from rotnet_lib.training.resume import ResumeState
from rotnet_lib.training.trainer import Trainer
from tests.pretext.made import batch_of, made_data, made_task, random_data
from tests.training.weights import killed, whole_and_resumed


def trainer_of(task: Any, data: Dataset, folder: Path, **parameters: Any) -> Trainer:
    config = PretrainConfig.build(
        {"task": "deepcluster", "arch": "nin3", "dataset": "shapes", "epochs": 2, "batch_size": 8} | parameters
    )
    loader = Loader(data.train, config.batch_size, seed=0, augment="none")
    return Trainer(task, loader, data.test, config, ResumeState(folder / "resume.safetensors"), torch.device("cpu"))


def two_kinds(count: int) -> Dataset:
    """Dark images, then as many light ones with another pattern; labels in turn."""
    images = torch.randint(0, 60, (2 * count, 32, 32, 3), generator=torch.Generator().manual_seed(0))
    images[count:, ::4] += 180
    return made_data(images.to(torch.uint8))


@pytest.mark.parametrize("kmeans", ["torch", "faiss"])
def test_images_that_look_alike_are_a_cluster_and_clusters_are_drawn_equally_often(kmeans: str, tmp_path: Path) -> None:
    data = two_kinds(12)
    task = made_task("deepcluster", data, clusters=2, components=1, kmeans=kmeans)
    start = trainer_of(task, data, tmp_path).start_epoch(0)
    labels = task.module.labels
    assert len(set(labels[:12].tolist())) == len(set(labels[12:].tolist())) == 1
    assert labels[0] != labels[12]
    assert start.order is not None
    assert labels[start.order].bincount().tolist() == [12, 12]
    values = {name: value for name, value in start.values.items() if name != "emptied_clusters"}
    assert values == {
        "nmi_previous": 0,  # all were in one before
        "nmi_labels": pytest.approx(0, abs=1e-6),  # labels are in turn
        "largest_cluster": 50,
    }


def test_the_second_epoch_is_compared_with_the_first(tmp_path: Path) -> None:
    data = two_kinds(12)
    task = made_task("deepcluster", data, clusters=2, components=1)
    trainer = trainer_of(task, data, tmp_path)
    trainer.start_epoch(0)
    assert trainer.start_epoch(1).values["nmi_previous"] == pytest.approx(1)  # names of clusters do not count


def test_the_last_layer_starts_anew_and_has_no_momentum(tmp_path: Path) -> None:
    data = random_data(32, 16)
    task = made_task("deepcluster", data, clusters=3)
    trainer = trainer_of(task, data, tmp_path, momentum=0.9)
    trainer.start_epoch(0)
    first = task.module.last.weight.detach().clone()
    body, last = trainer.optimizers
    assert {id(p) for p in last.param_groups[0]["params"]} == {id(p) for p in task.module.last.parameters()}
    assert (body.param_groups[0]["momentum"], last.param_groups[0]["momentum"]) == (0.9, 0)
    trainer.step(batch_of(data), 0.1)
    trainer.start_epoch(1)
    assert not torch.equal(task.module.last.weight, first)
    assert 0.005 < task.module.last.weight.std() < 0.02
    assert not task.module.last.bias.any()


def test_features_are_those_before_the_last_rectification() -> None:
    data = random_data(32, 6)
    for arch in ("nin3", "alexnet"):
        images = torch.nn.functional.interpolate(batch_of(data).images.float(), 64).to(torch.uint8)
        task = made_task("deepcluster", random_data(64, 6), arch, clusters=2)
        task.module.eval()
        found = task.module.unrectified(images)
        assert (found < 0).any()
        if arch == "alexnet":  # whose last map is one pixel
            assert torch.equal(found.clamp(min=0), task.module.backbone(images)[:, :, 0, 0])


def test_the_loss_is_that_of_each_images_own_cluster() -> None:
    data = random_data(32, 6)
    task = made_task("deepcluster", data, clusters=3)
    task.module.labels.copy_(torch.tensor([0, 1, 2, 0, 1, 2]))
    task.module.eval()
    batch = batch_of(data, 5)
    logits = task.module(batch.images)
    own = torch.tensor([0, 1, 2, 0, 1, 2])[batch.index]
    step = task.step(batch)
    torch.testing.assert_close(step.loss, torch.nn.functional.cross_entropy(logits, own))
    assert step.values["cluster_top1"].tolist() == (logits.argmax(1) == own).tolist()
    torch.testing.assert_close(task.evaluate(batch).loss, -logits.softmax(1).amax(1).log().mean())


@pytest.mark.parametrize(("read", "what"), [(6, "training images"), (5, "training images that can be read")])
def test_more_clusters_than_images_are_named(read: int, what: str) -> None:
    class Images:
        def __len__(self) -> int:
            return 6

        def gather(self, rows: Callable[..., Any]) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.zeros(6, 3), torch.arange(6) < read

    class AnEpoch:
        images, rng = Images(), torch.Generator()

    task = made_task("deepcluster", random_data(32, 6), clusters=read + 1)
    told = rf"^task_options\.clusters: {read + 1} clusters of {read} {what}, and each needs .* Take at most {read}, or auto"
    with pytest.raises(RotnetError, match=told):
        task.before_epoch(AnEpoch())


def test_more_clusters_than_images_stop_a_run_at_once(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build(tiny | {"task": "deepcluster", "arch": "nin3", "task_options": {"clusters": 10_000}})
    with pytest.raises(RotnetError, match=r"^task_options\.clusters: 10000 clusters of 40 training images"):
        pretrain(config)


def test_as_many_clusters_as_images_are_no_error(tmp_path: Path) -> None:
    data = random_data(32, 6)
    task = made_task("deepcluster", data, clusters=6)
    start = trainer_of(task, data, tmp_path).start_epoch(0)
    assert sorted(task.module.labels.tolist()) == list(range(6))
    assert start.order is not None
    assert len(start.order) == 6


def test_images_that_could_not_be_read_have_no_cluster() -> None:
    task = made_task("deepcluster", random_data(32, 6), clusters=2)
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels, _ = task.clustered(features, torch.tensor([True, True, False, True, False, True]), seed=0)
    assert (labels < 0).tolist() == [False, False, True, False, True, False]


@pytest.mark.parametrize("clusters", [1, 0, 2.5, "many", None, True])
def test_what_is_no_number_of_clusters_is_named(clusters: Any) -> None:
    with pytest.raises(RotnetError, match=r"^task_options\.clusters"):
        made_task("deepcluster", random_data(32, 6), clusters=clusters)


@pytest.mark.parametrize(("images", "clusters"), [(6, 2), (640, 5)])
def test_clusters_go_by_the_images_unless_said(images: int, clusters: int) -> None:
    task = made_task("deepcluster", random_data(32, images))
    assert task.clusters == clusters
    assert task.module.last.out_features == clusters


@pytest.mark.parametrize("died", [1, 2, 3])
def test_a_run_that_died_in_a_clustering_goes_on_to_the_last_bit(died: int, tiny: dict[str, Any]) -> None:
    config = tiny | {"task": "deepcluster", "arch": "nin3", "batch_size": 8, "epochs": 3, "task_options": {"clusters": 4}}
    _, resumed = whole_and_resumed(config, killed(DeepCluster, died, "clustered"))
    assert not any(name.endswith("labels") for name in load_tensors(resumed.directory.path / MODEL)[0])


def test_faiss_is_asked_for_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(RotnetError, match="faiss is not installed here"):
        made_task("deepcluster", random_data(32, 8), kmeans="faiss")


def test_its_page_shows_images_of_clusters(tmp_path: Path) -> None:
    data = two_kinds(12)
    task = made_task("deepcluster", data, clusters=2, input="sobel")
    assert task.charts() == []  # nothing has been clustered
    trainer_of(task, data, tmp_path).start_epoch(0)
    charts = task.charts()
    assert [len(chart.pictures) for chart in charts] == [8, 8]
    assert {chart.caption.partition(": ")[2] for chart in charts} == {"12 images, 50% of class one"}
    task.module.eval()
    [batch] = ordered_batches(data.test)
    assert {len(example.pictures) for example in task.examples(batch)} == {3}


def test_chance_of_the_nmi_with_the_labels_is_that_of_random_clusters() -> None:
    """It rises with their number: where each image is a cluster, clusters tell the class, and much that it does not."""
    few, many, each = (
        made_task("deepcluster", random_data(32, 64), clusters=clusters).metrics["nmi_labels"].chance
        for clusters in (2, 16, 64)
    )
    assert few == pytest.approx(0, abs=0.1)
    assert few < many < each
    assert each == pytest.approx(2 * math.log(2) / (math.log(2) + math.log(64)))


def test_its_metrics_say_which_direction_is_better() -> None:
    found = DeepCluster.metrics
    assert {name for name, metric in found.items() if metric.better == "lower"} == {"emptied_clusters", "largest_cluster"}
    assert found["largest_cluster"].unit == Metric().unit
    assert not any(metric.tested for metric in found.values())
