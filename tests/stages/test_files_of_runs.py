"""A stage uses only files that are of the run they should be, and says which of them carried no checksum."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.run_report import run_summary
from rotnet_lib.runs.directory import HISTORY, METRICS, MODEL, PARAMETERS, RESUME, RunDirectory
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.stages.probe import ProbeConfig, probe
from tests.results import finished, forget_checksums

Pretrained = Callable[..., RunDirectory]


def from_before(path: Path) -> None:
    """Make a file of tensors one of those that were written before they carried a checksum and a name."""
    with safetensors.safe_open(path, framework="pt") as file:
        header = file.metadata()["header"]
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, {"format": "rotnet-1", "header": header})


def interrupted(tiny: dict[str, Any], **parameters: Any) -> tuple[PretrainConfig, Path]:
    """A pretrain run that has trained all its epochs and was killed before its result was saved; its resume state."""
    config = PretrainConfig.build(tiny | {"arch": "nin3"} | parameters)
    outcome = pretrain(config)
    outcome.directory.close()
    return config, outcome.directory.path / RESUME


@pytest.mark.parametrize("other", [{"seed": 1}, {"epochs": 2}], ids=["seed", "epochs"])
def test_a_resume_state_of_another_run_is_refused(other: dict[str, Any], tiny: dict[str, Any]) -> None:
    config, state = interrupted(tiny)
    _, stranger = interrupted(tiny, **other)
    shutil.copy(stranger, state)
    with pytest.raises(RotnetError, match=f"{state}: it is of run {stranger.parent.name}.*Delete it: the run starts again"):
        pretrain(config)


def test_a_resume_state_of_more_epochs_is_refused_even_without_a_name(tiny: dict[str, Any]) -> None:
    config, state = interrupted(tiny)
    _, longer = interrupted(tiny, epochs=2)
    from_before(longer)
    shutil.copy(longer, state)
    with pytest.raises(RotnetError, match=f"{state} is of a longer run: it is at epoch 2, and this run ends at 1"):
        pretrain(config)


def test_a_resume_state_from_before_is_used_and_named(tiny: dict[str, Any]) -> None:
    config, state = interrupted(tiny)
    from_before(state)
    outcome = pretrain(config)
    outcome.save()
    assert outcome.directory.result().unverified == [f"{state.parent.name}/{RESUME}"]


def test_weights_of_another_run_are_refused(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    run, other = pretrained(), pretrained(seed=1)
    shutil.copy(other.path / MODEL, run.path)
    with pytest.raises(RotnetError, match=f"{run.path / MODEL}: it is of run {other.name}, .* that of run {run.name}"):
        probe(ProbeConfig.build(tiny | {"backbone": run.name}))


def test_weights_from_before_are_used_and_named_in_the_report(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    run = pretrained()
    from_before(run.path / MODEL)
    outcome = probe(ProbeConfig.build(tiny | {"backbone": run.name}))
    outcome.save()
    assert outcome.directory.result().unverified == [f"{run.name}/{MODEL}"]
    said = f"unverified: {run.name}/{MODEL} was written before files carried a checksum."
    assert said in run_summary(outcome.result).data
    second = probe(ProbeConfig.build(tiny | {"backbone": pretrained(seed=1).name}))
    assert second.result.unverified == []  # each run for itself


def test_a_copy_elsewhere_has_its_checksum_alone(pretrained: Pretrained, tiny: dict[str, Any], tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    shutil.copy(pretrained().path / MODEL, copy)
    parameters = tiny | {"backbone": str(copy)}
    assert probe(ProbeConfig.build(parameters)).result.unverified == []
    content = bytearray(copy.read_bytes())
    content[-100] ^= 1
    copy.write_bytes(content)
    with pytest.raises(RotnetError, match=f"damaged checkpoint {copy}: its content is not what was written"):
        probe(ProbeConfig.build(parameters | {"seed": 1}))


def test_a_finished_run_whose_history_changed_is_named(pretrained: Pretrained, tiny: dict[str, Any]) -> None:
    run = pretrained()
    config = PretrainConfig.build(run.parameters())
    (run.path / HISTORY).write_text((run.path / HISTORY).read_text().replace("1,", "2,", 1))
    with pytest.raises(RotnetError, match=rf"{HISTORY} is damaged: it is not what the run wrote.*Delete {run.path}"):
        pretrain(config)


def test_a_finished_run_from_before_is_shown_and_said_to_be_unverified(pretrained: Pretrained) -> None:
    run = pretrained()
    forget_checksums(run)
    outcome = pretrain(PretrainConfig.build(run.parameters()))
    assert len(outcome.history) == 1
    said = f"unverified: {run.name}/{METRICS} was written before files carried a checksum."
    assert said in run_summary(outcome.result).data


def test_newest_passes_over_a_damaged_run_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    run, newer, other = (finished(PretrainConfig.build({"dataset": "shapes", "seed": seed})) for seed in range(3))
    (newer.path / PARAMETERS).write_text("- 1\n- 2\n")
    shutil.copy(newer.path / METRICS, other.path)  # a result of another seed
    assert ProbeConfig.build({}).backbone == run.name
    printed = capsys.readouterr().out
    assert f"passed over: {newer.path.absolute() / PARAMETERS} is damaged: it holds no parameters" in printed
    assert f"passed over: {other.path.absolute() / METRICS} is of another run, {newer.name}" in printed


def test_a_backbone_whose_run_is_damaged_is_named() -> None:
    run, other = (finished(PretrainConfig.build({"dataset": "shapes", "seed": seed})) for seed in range(2))
    shutil.copy(other.path / METRICS, run.path)
    with pytest.raises(RotnetError, match=rf"{run.name}/{METRICS} is of another run.* Delete .*{run.name} and run again"):
        ProbeConfig.build({"backbone": run.name})
