"""Supervised training as a pretext task."""

import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import ordered_batches
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext.labels import Labels


def test_the_loss_is_the_cross_entropy_of_the_class(shapes_data: Dataset) -> None:
    backbone = make_backbone("nin3", width=0.05, mean=shapes_data.mean, std=shapes_data.std)
    task = Labels(backbone, shapes_data, Labels.Options())
    task.module.eval()
    batch = next(ordered_batches(shapes_data.test, 7))
    with torch.no_grad():
        probabilities = task.module(batch.images).softmax(1)
        expected = -sum(float(probabilities[i, label].log()) for i, label in enumerate(batch.labels.tolist())) / 7
        for step in (task.step(batch), task.evaluate(batch)):
            assert step.loss.item() == pytest.approx(expected, rel=1e-5)
            assert step.values["top1"].tolist() == (probabilities.argmax(1) == batch.labels).tolist()
            assert step.targets.tolist() == batch.labels.tolist()
    assert probabilities.shape == (7, 10)
    assert task.metrics["top1"].chance == 10.0
    assert task.target_names == shapes_data.classes
    assert task.copies == task.batch_copies == 1
