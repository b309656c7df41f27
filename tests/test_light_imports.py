"""What answers at once: planning, status and wrong names import neither torch nor papermill, which take seconds."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from rotnet_lib.report.table_text import TABLE_TEXT
from rotnet_lib.runs.directory import REPORT, TABLE, RunDirectory
from rotnet_lib.suites.plan import Options, plan_suite
from rotnet_lib.suites.report_stamp import drawing
from tests.results import finish_planned

ANSWERED = (
    "--help",
    "clean",
    "migrate",
    "status --preset quick",
    "status table7 --preset quick",
    "reproduce cifar10 --dry-run --preset quick",
    "plan table3 --preset paper",
    "plan table5 --preset quick --methods all --explain",
    "plan knn-cifar10 --preset quick",
    "features --help",
)
REFUSED = (
    "reproduce tabel3",
    "reproduce table3 --preset qick",
    "reproduce table3 --preset quick --set epoch=3",
    "plan table5 --methods rotne",
    "run prob",
    "run probe -p layr conv2",
    "features nosuchrun --layer conv3",
)
SCRIPT = """
import json, sys
from rotnet_lib.cli import main
said = {}
for command in sys.argv[1:]:
    code = None
    try:
        main(command.split())
    except SystemExit as ended:
        code = ended.code
    heavy = [name for name in ("torch", "torchvision", "papermill", "pandas", "matplotlib") if name in sys.modules]
    said[command] = [code, heavy]
    if heavy:  # what the next commands import is not told any more
        break
print(json.dumps(said))
"""


def answers(*commands: str) -> tuple[dict[str, list[Any]], list[str]]:
    """Command -> its exit code and the heavy modules that it imported; and what all of them printed.

    One process runs them all, since to start one takes longer than a command does.
    """
    done = subprocess.run([sys.executable, "-c", SCRIPT, *commands], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    *printed, said = done.stdout.splitlines()
    return json.loads(said), printed


def test_what_answers_at_once_imports_nothing_heavy() -> None:
    assert answers(*ANSWERED)[0] == {command: [0, []] for command in ANSWERED}


def test_what_is_refused_imports_nothing_heavy() -> None:
    said, _ = answers(*REFUSED)
    assert {command: heavy for command, (_, heavy) in said.items()} == {command: [] for command in REFUSED}
    assert 0 not in [code for code, _ in said.values()]


def answered(command: str) -> str:
    """What the command prints, if it imports nothing heavy."""
    said, printed = answers(command)
    assert said == {command: [0, []]}
    return "\n".join(printed)


def test_planning_beside_runs_that_exist_imports_nothing_heavy() -> None:
    """Of a run that exists a config may ask more than of one that is still to be made."""
    for run in plan_suite("questions", Options(preset="quick")).runs:
        run.directory.open(run.config)
        run.directory.close()
    assert "interrupted" in answered("status questions --preset quick")


def test_a_finished_suite_imports_nothing_heavy() -> None:
    plan = plan_suite("table3", Options(preset="quick"))
    plan.write()
    for run in plan.runs:
        finish_planned(run)
    with drawing(plan):
        for name in (TABLE, TABLE_TEXT, REPORT):
            (plan.directory / name).write_text(f"drawn: {name}")
    output = answered("reproduce table3 --preset quick")
    assert f"report: {plan.directory / REPORT}" in output
    assert f"drawn: {TABLE_TEXT}" in output
    assert (plan.directory / REPORT).read_text() == f"drawn: {REPORT}"


NEWEST = """
import sys
from rotnet_lib.stages.probe import ProbeConfig
ProbeConfig.build({"layer": "conv2"})
sys.exit("torch" in sys.modules)
"""


def test_choosing_a_backbone_by_the_layers_of_its_weights_imports_nothing_heavy(
    pretrained: Callable[..., RunDirectory],
) -> None:
    run = pretrained()
    done = subprocess.run([sys.executable, "-c", NEWEST], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"backbone: {run.name}" in done.stdout
