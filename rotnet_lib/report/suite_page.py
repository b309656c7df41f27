"""What a suite's page says: the claim, the table, how it was made, and what it was measured with."""

import shlex
from typing import Any

from IPython.display import HTML

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.copies import copies
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.headings import Headings
from rotnet_lib.report.published import source
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.reported_run import ReportedRun
from rotnet_lib.report.run_figures import figures_shown
from rotnet_lib.report.run_title import run_title
from rotnet_lib.report.suite_facts import facts
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.suite_table import best_matters, suite_table
from rotnet_lib.runs.unverified import sentence
from rotnet_lib.stages.inspection import InspectConfig


def summary(report: SuiteReport) -> HTML:
    """Title, claim, data, table and its note, for a notebook cell."""
    headings = _headings(report)
    cells = [cell for row in report.rows for cell in row.cells.values()]
    published = any(cell.published is not None for cell in cells)
    return HTML(
        fragment(
            "suite.html.j2",
            title=report.suite["title"],
            claims=report.claims,
            observations=report.observations,
            data=_data(report),
            plan=report.plan,
            notice=_notice(report),
            table=suite_table(report, headings),
            separate_lines=published and len(report.columns) > 1,
            note=_note(report, headings, published=published),
            errors=report.errors,
            command=command(report),
        )
    )


def details(report: SuiteReport) -> HTML:
    """What differs from the protocol and the authors' code, data, machine, time, runs and copies, for a notebook cell."""
    return HTML(
        fragment(
            "suite_details.html.j2",
            measured=bool(report.results),
            differences=report.differences,
            code=report.code_differences,
            methods=report.suite["methods"],
            deviations=report.method_deviations,
            facts=facts(report.results),
            runs=_run_lines(report),
            unverified=sentence(report.unverified) if report.unverified else "",
            copies=copies(report),
        )
    )


def inspections(report: SuiteReport) -> HTML | None:
    """The figures of the suite's finished inspections (attention, filters, mistakes), for a notebook cell; None without any."""
    found = [run for run in report.runs if run.result is not None and run.result.stage == InspectConfig.stage]
    parts = [_inspection(run) for run in found]
    return HTML("\n".join(parts)) if parts else None


def _inspection(run: ReportedRun) -> str:
    assert run.result is not None
    heading, _, _ = run_title(run.result).rpartition(": ")
    try:
        figures, why = figures_shown(run.directory), ""
    except RotnetError as error:  # the suite's page is shown all the same
        figures, why = [], str(error)
    return fragment("inspection.html.j2", heading=heading, link=run.link, figures=figures, why=why)


def command(report: SuiteReport) -> str:
    """The line that makes the page: `make reproduce-table3 PRESET=quick SEEDS=3`."""
    options = report.plan["options"]
    seeds = len({run.parameters["seed"] for run in report.runs})
    said = {"preset": report.plan["preset"], "methods": options.get("methods"), "dataset": options.get("dataset")}
    said |= {"seeds": None if seeds == report.suite["seeds"] else seeds, "set": options.get("set")}
    said |= {"runs": None if (runs := options.get("runs")) == ReportConfig.model_fields["runs"].default else runs}
    words = [f"{name.upper()}={shlex.quote(str(value))}" for name, value in said.items() if value not in (None, "")]
    return " ".join([f"make reproduce-{report.suite['name']}", *words])


def _headings(report: SuiteReport) -> Headings:
    tested_on = " or ".join(dict.fromkeys(r.data.tested_on for r in report.results)) or "the test split"
    axis = report.axis.title if report.axis else None
    return Headings(report.rows, report.columns, report.suite["measure"], axis, tested_on)


def _data(report: SuiteReport) -> str:
    return "; ".join(dict.fromkeys(result.data.title for result in report.results)) or "no data yet"


def _notice(report: SuiteReport) -> str:
    """What is said of figures that are not of the protocol's settings, in a sentence; empty where they are."""
    if report.comparable or not report.differences:
        return ""
    if any(cell.published is not None for row in report.rows for cell in row.cells.values()):
        return (
            "This is not the published experiment (see below): compare measured rows with one another. Published figures are "
            "shown for their order."
        )
    return "These are not the protocol's settings (see below): compare the rows with one another."


def _note(report: SuiteReport, headings: Headings, *, published: bool) -> list[str]:
    """What stands below the table, in sentences."""
    cells = [cell for row in report.rows for cell in row.cells.values()]
    trains = any(not {"epochs", "iterations"}.isdisjoint(run.parameters) for run in report.measuring)
    end = "at the last epoch" if report.suite["measure"] == "top1" else "at the end of the training"
    when = end if trains else "without training anything on the backbones"
    if report.axis and report.axis.title == "pretext epochs":
        when += " or the epoch named"
    seeds = len({run.seed for run in report.runs})
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed, so no spread over seeds is known"
    # Known of all or said of none: what guessing gives in classification does not hold for detection.
    measured = [cell for cell in cells if cell.n]
    chances = dict.fromkeys("" if cell.chance is None else f"{cell.chance:.4g} {cell.unit}".rstrip() for cell in measured)
    said = [f"Measured: {headings.what} on {headings.tested}, {when}; {over}."]
    if len(chances) == 1 and "" not in chances:
        said.append(f"Chance: {next(iter(chances))}.")
    if headings.some_trained:
        said.append("Figures marked “train” are of the training images: they have no meaning on others.")
    if best_matters(cells):
        reason = ", as the published figures are" if published else ""
        said.append(f"The figure of the best epoch is chosen on {headings.tested}{reason}; it is not the result.")
    if any(not any(cell.planned for cell in row.cells.values()) for row in report.rows):
        said.append("Rows in grey are published figures of methods that were not trained here.")
    own = [row["label"] for row in report.suite["rows"] if report.suite["published"] and not row["published"]]
    if own:
        said.append(f"Not in the published table: {'; '.join(own)}.")
    if published:
        said.append(f"Published: {source(report.suite['source']).text}.")
    else:
        known = report.suite["published"] or report.axis
        said.append("The source gives no figures for these." if known else "There is no published table of these.")
    return said


def _run_lines(report: SuiteReport) -> list[dict[str, Any]]:
    """Of each run: its rows, seed, state, page, and how long it took. The first of a key's seeds is where cells lead."""
    keys: set[str] = set()
    lines = []
    for run in report.runs:
        result = run.result
        training = result.training if result else None
        labels = [row["label"] for row in report.suite["rows"] if any(c["run"] == run.key for c in row["cells"].values())]
        lines.append(
            {
                "key": run.key,
                "first": run.key not in keys,
                "rows": "; ".join(labels),
                "seed": run.seed,
                "state": run.state,
                "damage": run.damage,
                "link": run.link,
                "inputs": f"{training.inputs:,}" if training else "",
                "rate": f"{training.inputs_per_second:,.0f}" if training else "",
                "seconds": f"{result.seconds:,.0f}" if result else "",
            }
        )
        keys.add(run.key)
    return lines
