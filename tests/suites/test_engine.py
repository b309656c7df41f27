"""The engine end to end, through the command a user types: a failure, a kill, two at once, and nothing made twice.

A folder is worked through once (`failed`, then `killed`), and many tests look at what is left in it. Its name means something
to YAML, to Snakemake, to papermill and to a shell. Of the suite's seven runs five are made in this process before, since a
kernel each takes seconds: one that fails is left, and one that does not.
"""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
import torch
from bs4 import BeautifulSoup

from rotnet_lib.report.published import published_table
from rotnet_lib.runs.directory import HISTORY, METRICS, MODEL, NOTEBOOK, REPORT, RESUME, TABLE, RunDirectory
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.suites.plan import Plan
from rotnet_lib.training.checkpoints import load_tensors
from tests.results import fetched
from tests.suites.engine_folder import LONG, TINY, Folder, Made, ended_after, epochs_done, wait_for

DIVERGING = f"{TINY} rotnet-conv.lr=1e30"
ODD = """  a  b #c: {} {name} {wildcards.name} it's "d" $HOME `e` \\ %s *?[f]; -g\n\u00e9~"""
"""The name of the folder of runs."""
BY_ENGINE = ("rotnet-conv", "finetuned-conv")
"""Runs that the first call makes; the others are finished before."""

pytestmark = pytest.mark.timeout(900)  # the first test of each folder waits for all of its runs
slow = pytest.mark.slow


def stamps(plan: Plan) -> dict[str, int]:
    """Run -> when its result was written."""
    files = {run.key: run.directory.path / METRICS for run in plan.runs}
    return {key: file.stat().st_mtime_ns for key, file in files.items() if file.exists()}


def rows(report: Path) -> dict[str, list[str]]:
    """Label -> the cells behind it: published, measured, standard error, then the best epoch or the seeds."""
    [table] = BeautifulSoup(report.read_text(), "html.parser").select("table.figures")
    for padding in table.select(".pad"):  # stands there for its width
        padding.decompose()
    headings = [cell.get_text().strip() for cell in table.select("thead th")]
    assert headings[:4] == ["Top-1 accuracy (%)", "published", "measured", "standard error"]
    lines = [[cell.get_text().strip() for cell in line.select("th, td")] for line in table.select("tbody tr")]
    return {line[0]: line[1:] for line in lines}


# --- A suite in which a run fails ---


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = Folder(tmp_path_factory.mktemp("suite"), ODD)
    plan = folder.plan(DIVERGING)
    folder.make_here(DIVERGING, {run.key for run in plan.runs}.difference(BY_ENGINE))
    return folder.reproduce(DIVERGING, "first.log")


@slow
def test_the_other_rows_are_finished(failed: Made) -> None:
    states = {run.key: run.directory.state for run in failed.plan.runs}
    assert states == dict.fromkeys(failed.plan.suite.runs, "finished") | {"rotnet-conv": "failed"}


@slow
def test_the_failure_is_the_commands_and_is_explained(failed: Made) -> None:
    run = failed.run("rotnet-conv")
    assert failed.code == 1
    assert "2 of 7 runs to make" in failed.output
    assert "1 of 7 runs did not finish" in failed.output
    assert f"rotnet-conv, seed 0: failed, {run.path / REPORT}" in failed.output
    assert failed.output.endswith(f"\nreport: {failed.report}\n")
    assert "training diverged. Lower lr." in failed.output
    assert "Traceback" not in failed.output


@slow
def test_the_failed_run_keeps_its_notebook_and_page_with_the_error(failed: Made) -> None:
    run = failed.run("rotnet-conv")
    assert not (run.path / METRICS).exists()
    notebook = nbformat.read(run.path / NOTEBOOK, as_version=4)
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert [error.ename for error in errors] == ["RotnetError"]
    assert "the loss is nan" in errors[0].evalue
    page = BeautifulSoup((run.path / REPORT).read_text(), "html.parser")
    [title] = page.find_all("h1")
    assert title.get_text() == "Probe of conv2, conv classifier, on RotNet NIN-4, drawn shapes: failed"
    cause = title.find_next_sibling()
    assert cause is not None
    assert cause.get_text().startswith("This run failed.")
    assert "training diverged. Lower lr." in cause.get_text()
    assert page.find(id="papermill-error-cell")
    assert "An Exception was encountered" not in page.get_text()  # papermill's own notice


@slow
def test_the_report_says_failed_in_that_row_and_measures_the_others(failed: Made) -> None:
    table = rows(failed.report)
    published = {label: figures["top1"] for label, figures in published_table("table3").items()}
    own = [row.label for row in failed.plan.suite.rows]
    assert list(table) == [*own, *(label for label in published if label not in own)]
    assert table["RotNet + conv"] == ["91.16", "failed", "", "0 of 1"]  # no standard error
    differences = pd.read_csv(failed.report.parent / TABLE).set_index("row")["difference"]
    assert differences.isna().all()  # it is not the published experiment
    for row in failed.plan.suite.rows:
        [cell] = row.cells.values()
        if cell.run != "rotnet-conv":
            last = failed.run(cell.run).result().metrics[cell.metric].last
            assert table[row.label][:2] == [f"{published[row.label]:g}", f"{last:.2f}"]
            assert float(table[row.label][2]) > 0  # the standard error
            assert table[row.label][3] == "1"
    html = failed.report.read_text()
    assert "not the published experiment" in html
    assert "5 of 6 figures are measured." in html


@slow
def test_pages_of_real_runs_stand_alone(failed: Made) -> None:
    pages = [*(failed.run(key).path / REPORT for key in BY_ENGINE), failed.report, failed.report.parents[1] / "index.html"]
    for path in pages:
        html = path.read_text()
        assert len(html) < 3e6
        assert fetched(html) == [], path
        assert "widget" not in html
        assert set(re.findall(r'<img[^>]*src="(.{10})', html)) <= {"data:image"}


@slow
def test_reports_have_their_pictures_whatever_backend_the_user_has_set(failed: Made) -> None:
    pages = {failed.report: 2, failed.run("finetuned-conv").path / REPORT: 5}
    for path, count in pages.items():
        html = path.read_text()
        assert (html.count("<figure>"), html.count("<img")) == (count, count), path


@slow
def test_a_runs_page_shows_its_figure_first_and_its_code_folded(failed: Made) -> None:
    run = failed.run("finetuned-conv")
    page = BeautifulSoup((run.path / REPORT).read_text(), "html.parser")
    headline = page.find(class_="headline")
    assert headline is not None
    assert f"{run.result().metrics['conv2_top1'].last:.2f}" in headline.get_text()
    html = str(page)
    assert html.index('class="headline"') < html.index("<details")
    assert not [
        cell for cell in page.find_all("pre") if "FinetuneConfig" in cell.get_text() and not cell.find_parent("details")
    ]


@slow
def test_what_was_printed_is_a_line_a_thing_with_the_runs_name(failed: Made) -> None:
    lines = failed.output.splitlines()
    assert lines[0] == "preset quick: as given."
    for key in BY_ENGINE:
        own = [line for line in lines if line.startswith(f"{key} s0 | ")]
        assert own[0].endswith("| starts")
        if key == "rotnet-conv":
            assert any("| failed: the loss is nan" in line for line in own)
        else:
            assert own[-1].endswith("| finished")
    assert len([line for line in lines if line.endswith(" | starts")]) == len(BY_ENGINE)
    assert len(lines) < 60
    assert "\r" not in failed.output


# --- A kill in the middle of a run, then the same line twice at once ---


@dataclass
class Killed:
    survivors: list[psutil.Process]
    """Of the processes that were not killed, those that still live some seconds later."""
    resumed_from: list[dict[str, float]]
    """The history in the resume state that the kill left."""
    state: str
    """Of the run that was killed, after the kill."""
    before: dict[str, int]
    """When the results were written that were there before the first call."""
    deleted: str
    """The run whose result was deleted, its marker left."""
    marked: bool
    """Whether that marker was there."""
    first: Made
    second: Made
    named: bool
    """Whether the second call named the suite and the process of the first as those it waits for."""
    whole: RunDirectory
    """The run that was killed, made in one go in another folder."""


@pytest.fixture(scope="module")
def killed(failed: Made, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = Folder(failed.report.parents[2], ODD)
    plan = folder.plan(LONG)
    configs = {run.key: run.config for run in plan.runs}
    run = next(run.directory for run in plan.runs if run.key == "supervised")
    folder.make_here(LONG, ["rotnet-conv"])  # what failed above, so that one run is left
    with folder.here():
        elsewhere = {"runs": str(tmp_path_factory.mktemp("whole"))}
        whole = pretrain(PretrainConfig.build(configs["supervised"].model_dump() | elsewhere))
        whole.save()

    resume = run.path / RESUME
    with ended_after(folder.start(LONG, "killed.log")) as process:
        wait_for(lambda: epochs_done(run) >= 2, process)
        children = psutil.Process(process.pid).children(recursive=True)
        engines = [child for child in children if "snakemake" in " ".join(child.cmdline()) and "execute" not in child.cmdline()]
        orphans = [child for child in children if child not in engines]
        assert engines
        assert any("ipykernel_launcher" in " ".join(child.cmdline()) for child in orphans)
        for victim in (psutil.Process(process.pid), *engines):
            victim.send_signal(signal.SIGKILL)
        process.wait()
    _, survivors = psutil.wait_procs(orphans, timeout=10)
    for survivor in survivors:
        survivor.kill()
    history, state = load_tensors(resume)[1]["history"], run.state

    lost = next(other.directory.path for other in plan.runs if other.key == "finetuned-conv")
    (lost / METRICS).unlink()
    marked = (lost / ".made").exists()
    before = stamps(plan)

    logs = folder.path / "again.log", folder.path / "waiting.log"
    with ended_after(folder.start(LONG, logs[0].name)) as one:
        wait_for(lambda: "runs to make" in logs[0].read_text(), one)
        with ended_after(folder.start(LONG, logs[1].name)) as two:
            waiting = re.compile(
                rf"{re.escape(ODD)} is in use by table3 \(preset quick\), .*, "
                r"5 of its 7 runs finished(?:, supervised \d+% trained)?; "
                r"process (\d+)\. Waiting"
            )
            wait_for(lambda: waiting.search(logs[1].read_text()), two)
            named = waiting.findall(logs[1].read_text()) == [str(one.pid)]
            codes = one.wait(timeout=240), two.wait(timeout=240)
    first, second = (Made(plan, code, log.read_text()) for code, log in zip(codes, logs, strict=True))
    return Killed(survivors, history, state, before, "finetuned-conv", marked, first, second, named, whole.directory)


@slow
def test_orphans_of_a_killed_suite_end_by_themselves(killed: Killed) -> None:
    assert killed.survivors == []
    assert killed.state == "interrupted"


@slow
def test_the_same_line_then_makes_what_is_missing_and_no_more(killed: Killed) -> None:
    assert killed.first.code == 0, killed.first.output
    assert "2 of 7 runs to make" in killed.first.output
    assert [run.directory.state for run in killed.first.plan.runs] == ["finished"] * 7
    after = stamps(killed.first.plan)
    assert {key: after[key] for key in killed.before} == killed.before
    assert set(after) - set(killed.before) == {"supervised", killed.deleted}


@slow
def test_a_run_whose_result_was_deleted_is_made_again_although_its_marker_is_left(killed: Killed) -> None:
    assert killed.marked
    assert f"{killed.deleted} s0 | finished" in killed.first.output
    assert killed.first.run(killed.deleted).state == "finished"


@slow
def test_the_killed_run_went_on_where_it_was(killed: Killed) -> None:
    directory = killed.first.run("supervised")
    done = len(killed.resumed_from)
    assert 2 <= done < 40
    history = pd.read_csv(directory.path / HISTORY)
    assert len(history) == 40
    # The seconds of an epoch never repeat: these epochs are those of the killed process.
    assert history["seconds"][:done].tolist() == [row["seconds"] for row in killed.resumed_from]
    assert not (directory.path / RESUME).exists()


@slow
def test_it_ended_bit_for_bit_as_one_that_was_not_killed(killed: Killed) -> None:
    directory = killed.first.run("supervised")
    assert directory.path != killed.whole.path
    assert directory.result().metrics == killed.whole.result().metrics
    seconds = ["seconds", "inputs_per_second"]
    ours, theirs = (pd.read_csv(run.path / HISTORY).drop(columns=seconds) for run in (directory, killed.whole))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    weights, expected = (load_tensors(run.path / MODEL)[0] for run in (directory, killed.whole))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights.items())


@slow
def test_the_report_is_of_all_rows(killed: Killed) -> None:
    assert killed.first.output.endswith(f"\nreport: {killed.first.report}\n")
    measured = [cells[1] for cells in rows(killed.first.report).values()]
    assert sum(bool(re.fullmatch(r"\d+\.\d\d", cell)) for cell in measured) == 6


@slow
def test_a_second_call_waits_and_says_for_whom(killed: Killed) -> None:
    assert killed.named
    assert killed.second.code == 0, killed.second.output
    assert killed.second.output.endswith(f"\nreport: {killed.second.report}\n")


@slow
def test_what_is_finished_is_not_made_again(killed: Killed) -> None:
    """The second call found everything finished by the time it had the folder to itself."""
    assert "to make" not in killed.second.output
    assert " | starts" not in killed.second.output
    assert stamps(killed.second.plan).items() > killed.before.items()


@slow
def test_nothing_else_lies_about(failed: Made, killed: Killed) -> None:
    root = failed.report.parents[1]
    made = {run.name for run in (*failed.plan.runs, *killed.first.plan.runs)}
    pages = {failed.report.parent.name, killed.first.report.parent.name}
    assert {path.name for path in root.iterdir() if not path.name.startswith(".")} == {"index.html"} | made | pages
    logs = {"first.log", "killed.log", "again.log", "waiting.log"}
    assert {path.name for path in root.parent.iterdir()} == {root.name, "cache"} | logs


@slow
def test_all_reports_are_in_the_index(failed: Made, killed: Killed) -> None:
    root = failed.report.parents[1]
    links = {str(link["href"]) for link in BeautifulSoup((root / "index.html").read_text(), "html.parser").find_all("a")}
    runs = {run.name for made in (failed, killed.first) for run in made.plan.runs}
    assert len(runs) == 9
    assert links == {f"{name}/{REPORT}" for name in runs | {failed.report.parent.name, killed.first.report.parent.name}}
    assert all((root / link).is_file() for link in links)
