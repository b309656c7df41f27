"""The published figures that a run's stand beside in the tables of suites, for the run's own page."""

from dataclasses import dataclass
from pathlib import Path

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text
from rotnet_lib.report.data_kinds import kind_of_data
from rotnet_lib.report.published import published_table
from rotnet_lib.report.reported_run import suite_of
from rotnet_lib.runs.directory import PLAN
from rotnet_lib.runs.plan_file import read_plan


@dataclass(frozen=True)
class Published:
    """Published figures of a run's metrics.

    Attributes:
        figures: metric -> figure, in its unit.
        data: the name of the data that they are of; empty: of several.
        damaged: the folders of suites whose plans name the run and cannot be read: their figures are not known.
    """

    figures: dict[str, float]
    data: str
    damaged: tuple[str, ...] = ()


def published_of(name: str, root: Path) -> Published:
    """What the tables of the suites that name a run give for its metrics, when the page is drawn.

    Args:
        name: of the run's directory.
        root: the folder of runs.
    """
    figures: dict[str, float] = {}
    data: dict[str, None] = {}
    damaged: list[str] = []
    for path in sorted(root.glob(f"*/{PLAN}")):
        try:
            if name not in read_text(path, ""):  # most do not, and it takes longer to read it as a plan
                continue
            plan = read_plan(path)
            if plan.suite is None or not plan.suite.get("published"):
                continue
            suite = suite_of(plan, path)
            table = published_table(suite["published"])
        except RotnetError:
            damaged.append(path.parent.name)
            continue
        datasets = {entry.key: entry.dataset for entry in plan.runs if entry.name == name}
        for row in suite["rows"]:
            for column, cell in row["cells"].items():
                figure = table.get(row["label"], {}).get(column)
                if figure is None or cell["run"] not in datasets or cell["at"] is not None or row["by_target"]:
                    continue
                dataset = datasets[cell["run"]]
                figures.setdefault(cell["metric"], figure)
                data[kind_of_data(dataset).published_title or dataset] = None
    return Published(figures, next(iter(data)) if len(data) == 1 else "", tuple(damaged))
