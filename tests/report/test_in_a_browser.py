"""Pages in a browser: whether everybody can read them, on a phone and in the dark, and what they ask for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaigns.pages.browser import LOOKS, chromium, findings, started
from rotnet_lib.report.html import render
from rotnet_lib.report.overview import write_overview

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as found:
        yield found


def seen(browser: Any, path: Path) -> list[str]:
    return [f"{look.name}: {said}" for look in LOOKS for said in findings(browser, path, look)]


@pytest.mark.parametrize(
    ("html", "finding"),
    [
        ("<p style='color: #bbb'>pale</p>", "color-contrast"),
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "image-alt"),
        ("<p style='width: 3000px'>wide</p>", "wider than the window"),
        ("<img alt='x' src='https://example.org/x.png'>", "asks for https://example.org"),
        ("<script>missing()</script>", "the script fails"),
    ],
)
def test_what_is_wrong_is_found(html: str, finding: str, browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<!DOCTYPE html><html lang='en'><title>x</title><main><h1>x</h1>{html}</main>")
    assert any(finding in said for said in findings(browser, page, LOOKS[0]))


def test_a_suites_page_has_no_findings(made_up: Any, browser: Any, tmp_path: Path) -> None:
    """A table of layers that can be sorted, with a run that failed."""
    suite = made_up("table5", fingerprint=lambda config: config.dataset)
    for run in suite.plan.runs:
        if run.key == "linear-random":
            suite.fail(run.key)
        else:
            suite.finish(run.key, 50.0, best=60.0, images=1000)
    assert seen(browser, page_of(suite, tmp_path)) == []


def test_a_collections_page_has_no_findings(made_up: Any, browser: Any) -> None:
    suite = made_up("table3")
    suite.finish_all(images=1000)
    path = write_overview(Path("runs/all").absolute(), "All", [suite.directory.absolute()])
    assert seen(browser, path) == []


def test_a_table_is_sorted_by_a_click_and_its_rows_stay_whole(made_up: Any, browser: Any, tmp_path: Path) -> None:
    suite = made_up("table5", fingerprint=lambda config: config.dataset)
    for key, last in (("linear-supervised", 50.0), ("linear-random", 20.0), ("linear-rotnet", 70.0)):
        suite.finish(key, last)
    page = browser.new_page()
    page.goto(page_of(suite, tmp_path).as_uri())

    def first() -> list[str]:
        return page.eval_on_selector_all("table.figures tbody:nth-of-type(1) tr", "rows => rows.map(r => r.cells[0].innerText)")

    assert first() == ["Labels of drawn shapes", "published"]
    page.click("table.figures thead th:nth-child(3) button")
    assert first() == ["RotNet", "published"]
    page.click("table.figures thead th:nth-child(3) button")
    assert first()[0] != "RotNet"
    assert page.get_attribute("table.figures thead th:nth-child(3)", "aria-sort") == "ascending"
    page.close()


def test_published_figures_can_be_hidden(made_up: Any, browser: Any, tmp_path: Path) -> None:
    suite = made_up("table1")
    suite.finish("probe4", 82.0)
    page = browser.new_page()
    page.goto(page_of(suite, tmp_path).as_uri())
    assert page.is_visible("tr.published")
    page.uncheck("#published")
    assert not page.is_visible("tr.published")
    page.close()


def page_of(suite: Any, folder: Path) -> Path:
    """The suite's page as its notebook makes it, without starting a kernel."""
    import nbformat

    from rotnet_lib.report.answers import answers
    from rotnet_lib.report.history_plots import learning_curves
    from rotnet_lib.report.suite_page import details, summary
    from rotnet_lib.report.suite_plots import picture

    report = suite.report()
    parts = [summary(report), picture(report), answers(report), details(report), learning_curves(report)]
    htmls = [part.data if hasattr(part, "data") else part.html for part in parts if part is not None]
    outputs = [nbformat.v4.new_output("display_data", {"text/html": html}) for html in htmls]
    cell = nbformat.v4.new_code_cell("summary(report)  # with a comment", outputs=outputs, metadata={"tags": ["result"]})
    code = nbformat.v4.new_code_cell('suite: str = "table3"  # the suite\'s name', metadata={"tags": ["injected-parameters"]})
    notebook = folder / "notebook.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Report of a suite"), code, cell]), notebook)
    render(notebook, folder / "page.html")
    return folder / "page.html"
