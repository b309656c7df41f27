"""A look at a training before it begins, which changes nothing of it."""

from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.report.rehearsal_report import expected_time, first_images, in_words
from rotnet_lib.stages.finetune import FinetuneConfig
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.stages.rehearsal import rehearse


def config(tiny: dict[str, Any], **more: Any) -> PretrainConfig:
    return PretrainConfig.build(tiny | {"arch": "nin3"} | more)


def test_the_whole_schedule_is_counted(tiny: dict[str, Any]) -> None:
    found = rehearse(config(tiny, epochs=7))
    assert (found.epochs, found.batch, found.steps) == (7, 16, 7 * (40 // 16))
    assert found.seconds == pytest.approx(found.steps * found.step_seconds)
    assert found.tried >= 1
    assert len(found.images) == 6


def test_nothing_is_written_and_the_training_is_as_without_it(tiny: dict[str, Any]) -> None:
    alone = pretrain(config(tiny, runs="alone", task_options={"copies": "shuffled"}))
    asked = config(tiny, runs="looked", task_options={"copies": "shuffled"})
    rehearse(asked)
    assert not Path("looked").exists()
    looked = pretrain(asked)
    assert looked.directory.name == alone.directory.name
    assert looked.result.metrics == alone.result.metrics
    assert looked.history["train_loss"].tolist() == alone.history["train_loss"].tolist()


@pytest.mark.parametrize("schema", [ProbeConfig, FinetuneConfig])
def test_classifiers_too(schema: Any, tiny: dict[str, Any]) -> None:
    found = rehearse(schema.build(tiny | {"backbone": "random", "arch": "nin3"}))
    assert found.steps == 2
    assert "Expected: about" in expected_time(found).data


def test_of_a_finished_run_nothing_is_timed_and_its_own_images_are_shown(tiny: dict[str, Any]) -> None:
    before = rehearse(config(tiny))
    pretrain(config(tiny)).save()
    after = rehearse(config(tiny))
    assert (after.steps, after.tried) == (0, 0)
    assert after.images == before.images
    assert first_images(after) is not None
    assert "finished" in expected_time(after).data


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (41, "41 seconds"), (90, "1.5 minutes"), (1500, "25 minutes"), (9000, "2.5 hours"), (3e5, "3.5 days")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
