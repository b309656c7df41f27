"""Tables 7 and 8 are PROTOCOL's, and presets put drawn scenes in the place of PASCAL VOC."""

from functools import partial
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.published import published_table
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_page import details, summary
from rotnet_lib.report.suite_plots import picture
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.stages.pretrain import pretrain
from rotnet_lib.suites.engine import prepare_data
from rotnet_lib.suites.plan import Options, Plan, make_plan, plan_suite
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.segmentation_config import SegmentationConfig
from rotnet_lib.voc.stages import classify, detect, segment

planned = partial(plan_suite, fingerprint=lambda config: config.dataset)
TRAINED = ["ImageNet labels", "Random", "Random rescaled (Krähenbühl et al., 2015)", "RotNet"]
STAGES = ("voc_classification", "voc_detection", "voc_segmentation")


def runs(plan: Plan) -> dict[str, dict[str, Any]]:
    return {run.key: run.config.model_dump(mode="json") for run in plan.runs}


@pytest.mark.parametrize("suite", ["table7", "table8"])
def test_the_paper_preset_is_the_protocol(suite: str) -> None:
    for run in planned(suite, Options(preset="paper")).runs:
        assert run.config.protocol_differences() == {}
        assert run.config.dataset == run.dataset


def test_table7_trains_four_of_the_published_rows_in_every_column() -> None:
    plan = planned("table7", Options(preset="paper"))
    columns = list(next(iter(published_table("table7").values())))
    assert [row.label for row in plan.suite.rows] == TRAINED
    found = runs(plan)
    for row in plan.suite.rows:
        assert list(row.cells) == columns == list(plan.suite.headings)
        stages = [next(run.config.stage for run in plan.runs if run.key == cell.run) for cell in row.cells.values()]
        assert stages == ["voc_classification", *STAGES]
        fc, everything, *_ = (found[cell.run] for cell in row.cells.values())
        assert (fc["trained"], everything["trained"]) == ("fc6-8", "all")
        assert [cell.metric for cell in row.cells.values()] == ["map", "map", "map", "miou"]
        [backbone] = {found[cell.run]["backbone"] for cell in row.cells.values()}
        assert {found[cell.run]["rescale"] for cell in row.cells.values()} == {row.label != "Random"}
        origin = {"ImageNet labels": "labels-", "RotNet": "rotation-"}.get(row.label, "random")
        assert backbone.startswith(origin)
        assert ("rescaled" in backbone) == ("rescaled" in row.label)


def test_data_are_voc_2007_but_for_segmentation() -> None:
    data = {run.config.stage: run.dataset for run in planned("table7", Options(preset="paper")).runs}
    assert data == {"pretrain": "imagenet"} | dict.fromkeys(STAGES, "voc2007") | {"voc_segmentation": "voc2012"}


def test_the_quick_preset_draws_scenes() -> None:
    for run in planned("table7", Options(preset="quick")).runs:
        assert run.config.dataset.partition(":")[0] == ("shapes" if run.config.stage == "pretrain" else "scenes")


def test_table8_has_the_detection_runs_of_table7() -> None:
    seven, eight = (planned(suite, Options(preset="quick")) for suite in ("table7", "table8"))
    assert {run.name for run in eight.runs} < {run.name for run in seven.runs}
    assert len(make_plan("voc", Options(preset="quick"), lambda config: config.dataset).runs) == len(seven.runs)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_a_column_by_itself_has_the_runs_of_table7(task: str, preset: str) -> None:
    alone, whole = (planned(suite, Options(preset=preset)) for suite in (task, "table7"))
    assert {run.name for run in alone.runs} == {
        run.name for run in whole.runs if run.config.stage in ("pretrain", f"voc_{task}")
    }
    columns = {row.label: {name: cell for name, cell in row.cells.items() if task in name} for row in whole.suite.rows}
    assert {row.label: row.cells for row in alone.suite.rows} == columns


def test_a_column_by_itself_shows_no_other_published_figure() -> None:
    plan = planned("detection", Options(preset="paper"))
    report = SuiteReport(ReportConfig(suite="detection", plan=str(plan.write())))
    assert report.columns == {"detection_map": "detection"}
    found = {row.label: row.cells["detection_map"].published for row in report.rows}
    published = {label: row["detection_map"] for label, row in published_table("table7").items()}
    assert found == {label: figure for label, figure in published.items() if figure is not None}


def test_a_dataset_asked_for_goes_where_it_can_be_read() -> None:
    """`DATASET=tiny-imagenet` is what backbones are trained on, `DATASET=scenes:128` what they are transferred to."""
    for name, stages in (("tiny-imagenet", {"pretrain"}), ("scenes:128", set(STAGES)), ("voc:/a/folder", set(STAGES))):
        plan = planned("table7", Options(preset="quick", dataset=name))
        assert {run.config.stage for run in plan.runs if run.config.dataset == name} == stages


def test_sbds_masks_are_for_segmentation_alone() -> None:
    """The other columns stay on VOC 2007, and the schedule is that of the published FCN-AlexNet."""
    plan = planned("table7", Options(preset="paper", dataset="voc2011-sbd"))
    data = {run.config.stage: run.config.dataset for run in plan.runs}
    assert data == {"pretrain": "imagenet"} | dict.fromkeys(STAGES, "voc2007") | {"voc_segmentation": "voc2011-sbd"}
    found = runs(plan)["segmentation-rotnet"]
    assert (found["lr"], found["iterations"], found["batch_size"]) == (1e-4, 100_000, 20)


@pytest.mark.parametrize(
    ("suite", "dataset", "told"),
    [
        ("table7", "secnes:128", "unknown dataset of table7 'secnes:128'; did you mean 'scenes'?"),
        ("table7", "tiny-imagnet", "did you mean 'tiny-imagenet'?"),
        ("table5", "scenes:128", "unknown dataset of table5 'scenes:128'"),
        ("table5", "voc2007", "unknown dataset of table5 'voc2007'"),
    ],
)
def test_a_dataset_that_nothing_of_the_suite_reads_is_named(suite: str, dataset: str, told: str) -> None:
    with pytest.raises(RotnetError) as caught:
        planned(suite, Options(preset="quick", dataset=dataset))
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["grey=true", "rotnet.grey=true"])
def test_a_grey_backbone_is_refused_before_it_is_trained(text: str) -> None:
    with pytest.raises(
        RotnetError, match=r"\S+ shows colour, and \S+, which it builds on, would be trained on grey images\. \[SET\]"
    ):
        planned("table7", Options(preset="quick", set=text))


TINY = (
    "width=0.02 device=cpu workers=0 "
    "pretrain.train_size=40 pretrain.test_size=20 pretrain.image_size=40 pretrain.epochs=1 pretrain.batch_size=16 "
    "voc_classification.iterations=2 voc_classification.image_size=40 voc_classification.crops=2 "
    "voc_detection.iterations=2 voc_detection.train_scales=[64] voc_detection.test_scale=64 voc_detection.engine=torchvision "
    "voc_segmentation.iterations=2 voc_segmentation.image_size=64 "
) + " ".join(f"{stage}.{text}" for stage in STAGES for text in ("train_size=12", "test_size=10", "dataset=scenes:64"))


def test_annotations_are_read_once_for_all_runs_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 runs of each of three tasks on the same images, and detection with two kinds of proposals."""
    prepared: list[str] = []
    for config in (ClassificationConfig, DetectionConfig, SegmentationConfig):
        monkeypatch.setattr(config, "open_data", lambda self: None)
        monkeypatch.setattr(config, "prepare_data", lambda self, voc: prepared.append(self.stage))
    own = "pretrain.dataset=shapes:1 detection-random.proposals=rpn"
    prepare_data(make_plan("table7", Options(preset="quick", seeds=3, set=f"{TINY} {own}")))
    assert sorted(prepared) == ["voc_classification", "voc_detection", "voc_detection", "voc_segmentation"]


@pytest.mark.slow
def test_the_runs_give_every_figure_of_both_tables() -> None:
    """Tiny, in this process, where a kernel each would take minutes."""
    plan = make_plan("voc", Options(preset="quick", set=TINY))
    prepare_data(plan)
    stages: dict[str, Any] = {
        "pretrain": pretrain,
        "voc_classification": classify,
        "voc_detection": detect,
        "voc_segmentation": segment,
    }
    for run in plan.runs:
        stages[run.config.stage](run.config).save()
    for part in plan.parts:
        report = SuiteReport(ReportConfig(suite=part.suite.name, plan=str(part.write())))
        cells = [cell for row in report.rows for cell in row.cells.values() if cell.planned]
        assert len(cells) == (16 if part.suite.name == "table7" else 2 * len(report.columns))
        assert all(cell.n == cell.planned == 1 for cell in cells)
        assert not any(cell.bests for cell in cells)  # the test split is looked at once
        assert report.histories.empty or set(report.histories["run"]) == {"supervised", "rotnet"}
        figure = picture(report)
        assert figure is not None
        assert figure.figure.axes[0].get_ylabel() == (
            "AP (%)" if part.suite.name == "table8" else "mAP (segmentation: mIoU) (%)"
        )
    table7 = SuiteReport(ReportConfig(suite="table7"))
    assert "classification, fc6-8 trained" in summary(table7).data
    assert "39.2" in summary(table7).data  # published, of "Random rescaled"
    assert "voc2007" in details(table7).data
