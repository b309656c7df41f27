"""Pictures of a suite."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from rotnet_lib.report.suite_report import Row


def compare_rows(rows: list[Row]) -> Figure:
    """Published figure and every measured seed of each row, percent."""
    points = [(row.label, value, "measured, a dot a seed") for row in rows for value in row.values]
    points += [(row.label, row.published, "published") for row in rows if row.published is not None]
    frame = pd.DataFrame(points, columns=["row", "top1 (%)", "figure"])
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook", font_scale=0.85):
        grid = sns.catplot(
            frame,
            kind="strip",
            x="top1 (%)",
            y="row",
            order=[row.label for row in rows],
            hue="figure",
            hue_order=["published", "measured, a dot a seed"],
            palette=["#9aa4b0", "#0b62c4"],
            jitter=False,
            size=8,
            height=0.36 * len(rows) + 0.8,
            aspect=8 / (0.36 * len(rows) + 0.8),
        )
    grid.set_ylabels("")
    grid.ax.yaxis.grid(True)
    sns.move_legend(grid, "lower center", bbox_to_anchor=(0.55, 1.0), ncol=2, title=None, frameon=False)
    return grid.figure


def learning_curves(histories: pd.DataFrame) -> Figure | None:
    """Test accuracy against epochs, a panel a run, a line a seed; None if no run has any."""
    if histories.empty:
        return None
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook", font_scale=0.8):
        grid = sns.relplot(
            histories,
            kind="line",
            x="epoch",
            y="top1",
            hue="seed",
            style="metric" if histories.groupby("run")["metric"].nunique().max() > 1 else None,
            palette="deep",
            col="run",
            col_wrap=4,
            height=2.1,
            aspect=1.15,
            legend=histories["seed"].nunique() > 1 and "full",
            facet_kws={"sharex": False, "sharey": False},
        )
    grid.set_titles("{col_name}").set_ylabels("test top1 (%)")
    return grid.figure
