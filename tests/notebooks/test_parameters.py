"""The notebooks as committed: thin, without outputs, and with exactly the parameters of their config."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import papermill
import pytest

from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.report import run_plots
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.stage_config import StageConfig
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import BackboneConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.parameter_cell import parameter_cell
from rotnet_lib.suites.plan import Options, plan_suite
from rotnet_lib.suites.resolve import configure, from_notebook
from rotnet_lib.voc.config import VocConfig

CONFIGS: dict[str, type[StageConfig]] = {name: STAGES[name].config for name in STAGES} | {"report": ReportConfig}


def cells(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    return found


def tagged(name: str, tag: str) -> list[dict[str, Any]]:
    return [cell for cell in cells(name) if tag in cell["metadata"].get("tags", [])]


def source(name: str) -> str:
    """All code of a notebook."""
    return "\n".join("".join(cell["source"]) for cell in cells(name) if cell["cell_type"] == "code")


@pytest.fixture(params=CONFIGS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_notebook_has_a_config_and_every_stage_a_notebook() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(CONFIGS)


@pytest.mark.parametrize("name", list(STAGES))
def test_a_notebook_calls_the_function_of_its_stage(name: str) -> None:
    assert f"{STAGES[name].run.__name__}(config)" in source(name)


# --- Parameters ---


def defaults(name: str) -> dict[str, Any]:
    """What the parameters cell assigns, read without running it."""
    [cell] = tagged(name, "parameters")
    found = {}
    for statement in ast.parse("".join(cell["source"])).body:
        target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]  # type: ignore[attr-defined]
        assert isinstance(target, ast.Name)
        assert target.id not in found, "assigned twice"
        found[target.id] = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    return found


def test_the_parameters_are_the_configs_fields(name: str) -> None:
    beside = {"preset"} if name in STAGES else set()
    assert set(defaults(name)) == set(CONFIGS[name].model_fields) | beside


@pytest.mark.parametrize("name", list(STAGES))
def test_the_cell_is_the_one_that_is_generated(name: str) -> None:
    """`make format` writes it."""
    [cell] = tagged(name, "parameters")
    assert "".join(cell["source"]) == parameter_cell(STAGES[name].config)


@pytest.mark.parametrize("name", list(STAGES))
@pytest.mark.parametrize("preset", ["none", "quick"])
def test_the_defaults_say_nothing(name: str, preset: str) -> None:
    schema = STAGES[name].config
    # A run that says all there is to ask it does not have to be there.
    arch = "alexnet" if issubclass(schema, VocConfig) else "nin4"
    run = {"backbone": "some-run", "arch": arch, "width": 1.0}
    given = run if issubclass(schema, BackboneConfig) else {}
    assert from_notebook(schema, defaults(name) | given | {"preset": preset}) == configure(name, given, preset)


def test_without_a_gpu_all_notebooks_take_minutes(capsys: pytest.CaptureFixture[str], gpus: Callable[..., None]) -> None:
    """By the quick preset, which they say."""
    gpus(0)
    config = from_notebook(PretrainConfig, defaults("pretrain"))
    assert config == configure("pretrain", {}, "quick")
    assert "preset quick: there is no GPU here" in capsys.readouterr().out


def test_papermill_reads_names_types_and_help_from_the_cell(name: str) -> None:
    inspected = papermill.inspect_notebook(NOTEBOOKS / f"{name}.ipynb")
    schema = CONFIGS[name]
    assert list(inspected) == list(defaults(name))
    types = {
        "int": int,
        "float": (int, float),
        "str": str,
        "bool": bool,
        "list": (list, tuple),
        "dict": dict,
        "None": type(None),
    }
    for field, entry in inspected.items():
        kinds = entry["inferred_type_name"].split("|")
        assert set(kinds) <= set(types), field
        assert any(isinstance(defaults(name)[field], types[one]) for one in kinds), field  # type: ignore[arg-type]
        if field in schema.model_fields:
            assert schema.model_fields[field].description in entry["help"], field
            assert all(word in entry["help"] for word in schema.words(field)), field


def test_comments_are_shorter_than_100_characters(name: str) -> None:
    [cell] = [cell for cell in cells(name) if "parameters" in cell["metadata"].get("tags", [])]
    long = [line for line in "".join(cell["source"]).splitlines() if len(line.partition("#")[2]) >= 100]
    assert not long


def test_common_parameters_stand_in_one_order() -> None:
    common = set(TrainingConfig.model_fields)
    training = [name for name in STAGES if issubclass(STAGES[name].config, TrainingConfig)]
    orders = [[field for field in defaults(stage) if field in common] for stage in training]
    assert len(orders) > 1
    assert all(order == orders[0] for order in orders)


# --- Thin, and without outputs ---


def test_no_outputs_are_committed(name: str) -> None:
    for cell in cells(name):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}
        assert "attachments" not in cell


def test_the_file_names_no_machine(name: str) -> None:
    metadata = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert set(metadata) == {"kernelspec", "language_info"}
    assert metadata["language_info"] == {"name": "python"}  # not the version of whoever saved it last


def test_cells_have_names_of_their_own(name: str) -> None:
    ids = [cell["id"] for cell in cells(name)]
    assert len(set(ids)) == len(ids)
    assert ids[:2] == ["title", "parameters"]


def test_a_notebook_is_parameters_one_call_a_line_that_saves_and_a_result(name: str) -> None:
    code = [cell for cell in cells(name)[2:] if cell["cell_type"] == "code"]
    statements = [statement for cell in code for statement in ast.parse("".join(cell["source"])).body]
    kinds = {type(statement) for statement in statements}
    assert kinds <= {ast.ImportFrom, ast.Import, ast.Assign, ast.Expr}  # no function, no loop, no condition
    assert len([s for s in statements if not isinstance(s, ast.ImportFrom | ast.Import)]) <= 14
    assert "from_notebook(" in source(name)
    assert tagged(name, "result")


def test_the_result_is_kept_before_anything_is_drawn(name: str) -> None:
    """A figure that cannot be drawn, or a kill meanwhile, must not cost the training."""
    code = [cell for cell in cells(name) if cell["cell_type"] == "code"]
    called = "(config)" if name in STAGES else "globals())"
    calls = [
        place
        for place, cell in enumerate(code)
        if re.search(rf"^(?!before)\w+ = .*{re.escape(called)}", "".join(cell["source"]), re.M)
    ]
    [call] = calls
    made = ast.parse("".join(code[call]["source"])).body[-1]
    assert isinstance(made, ast.Assign)
    assert "".join(code[call + 1]["source"]) == f"{ast.unparse(made.targets[0])}.save()"
    assert "result" not in code[call + 1]["metadata"].get("tags", [])


def test_the_config_is_read_right_behind_the_parameters(name: str) -> None:
    """Or a variable of the notebook's own would be taken for a parameter."""
    position = [cell["id"] for cell in cells(name)].index("parameters")
    following = ast.parse("".join(cells(name)[position + 1]["source"])).body
    first = next(statement for statement in following if not isinstance(statement, ast.ImportFrom | ast.Import))
    assert "globals())" in ast.unparse(first)


def runs_of(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*/metrics.json")


def test_the_report_shows_the_table_then_its_picture_then_answers_then_what_it_was_measured_with() -> None:
    shown = [ast.unparse(ast.parse("".join(cell["source"]))) for cell in tagged("report", "result")]
    assert shown == [
        "summary(report)",
        "picture(report)",
        "inspections(report)",
        "answers(report)",
        "learning_curves(report)",
        "details(report)",
    ]


# --- The code, in this process ---


def run_cells(name: str, **parameters: Any) -> dict[str, Any]:
    """Run a notebook's cells one after the other, as a kernel without papermill would."""
    namespace: dict[str, Any] = {"__name__": "__main__", "In": [""], "Out": {}, "_i": "", "exit": object()}
    for cell in cells(name):
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace |= parameters
    return namespace


@pytest.mark.slow
def test_a_notebook_runs_cell_by_cell(tiny: dict[str, Any]) -> None:
    run_cells("pretrain", **tiny)
    small = {"epochs": 1, "device": "cpu"}
    probed = run_cells("probe", layer="all", **small)["outcome"]
    tuned = run_cells("finetune", labels_per_class=2, **small)["outcome"]
    assert set(probed.result.metrics) == {"conv1_top1", "conv2_top1", "conv3_top1", "conv4_top1"}
    assert tuned.result.data.train_images == 20
    assert len(list(runs_of(Path("runs")))) == 3


def test_a_figure_that_cannot_be_drawn_does_not_cost_the_result(
    tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("no figure")

    monkeypatch.setattr(run_plots, "training_curves", broken)
    with pytest.raises(ValueError, match="no figure"):
        run_cells("pretrain", **tiny)
    [metrics] = runs_of(Path("runs"))
    assert f"%: {metrics.parent.resolve()}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_notebook_of_weights_runs_cell_by_cell(tiny: dict[str, Any]) -> None:
    for fold in ("1/2", "2/2"):
        run_cells("pretrain", **tiny, arch="nin3", fold=fold)
    found = run_cells("pu_weights", device="cpu", shown=2)["outcome"]
    assert len(found.copies) == 2
    assert found.directory.finished
    weighted = run_cells("pretrain", **tiny, arch="nin3", pu_weights=found.directory.name)["outcome"]
    assert weighted.result.parameters["pu_weights"] == found.directory.name


@pytest.mark.slow
def test_the_notebook_of_nearest_neighbours_runs_cell_by_cell(tiny: dict[str, Any]) -> None:
    run_cells("pretrain", **tiny, arch="nin3")
    found = run_cells("knn", neighbours=5, device="cpu")["outcome"]
    assert set(found.result.metrics) == {"conv1_top1", "conv2_top1", "conv3_top1"}
    assert found.directory.finished


@pytest.mark.parametrize("suite", ["table1", "table3", "table9", "figure5a", "figure5b", "inspect", "questions"])
def test_the_report_notebook_runs_for_a_suite_of_which_nothing_is_finished(suite: str) -> None:
    path = plan_suite(suite, Options(preset="quick")).write()
    report = run_cells("report", suite=suite)["report"]
    assert report.path.samefile(path)
    assert (path.parent / "table.csv").exists()


def test_only_a_stage_that_trains_has_parameters_of_its_training(name: str) -> None:
    cell = parameter_cell(CONFIGS[name])
    trains = not {"epochs", "iterations"}.isdisjoint(CONFIGS[name].model_fields)
    assert ("# the training" in cell) == trains
