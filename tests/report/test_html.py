"""Reports as one HTML file: result first, code folded, nothing from any other host."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from rotnet_lib.report.answers import answers
from rotnet_lib.report.fragments import page, style
from rotnet_lib.report.html import render
from rotnet_lib.report.index import write_index
from rotnet_lib.report.overview import write_overview
from rotnet_lib.report.run_report import run_summary
from rotnet_lib.report.suite_page import details, summary

WIDGET = "application/vnd.jupyter.widget-view+json"
FETCHING = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}


def picture() -> str:
    file = io.BytesIO()
    Image.effect_noise((300, 200), 50).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def html_output(html: str) -> Any:
    return new_output("display_data", {"text/html": html})


def stream(text: str) -> Any:
    return new_output("stream", name="stdout", text=text)


def code(source: str, *outputs: Any, tags: tuple[str, ...] = ()) -> Any:
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)}, execution_count=1)


def stage_notebook(*more: Any) -> Any:
    """An executed notebook with what a stage's has."""
    return new_notebook(
        cells=[
            new_markdown_cell("# Probing frozen layers\n\nTrains classifiers on $f(x)$."),
            code("seed: int = 0", tags=("parameters",)),
            code("seed = 3", tags=("injected-parameters",)),
            code("outcome = probe(config)", stream("\r1%\r50%\r\x1b[32m100%\x1b[0m\nsaved\n")),
            code("run_summary(outcome)", html_output("<p class='headline'>top1 <b>80.00 %</b></p>"), tags=("result",)),
            code("curves()", new_output("display_data", {"image/png": picture(), "text/plain": "<Figure>"}), tags=("result",)),
            code("outcome.save()", stream("result: runs/probe\n")),
            *more,
        ]
    )


def rendered(notebook: Any, tmp_path: Path) -> str:
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    render(tmp_path / "notebook.ipynb", tmp_path / "report.html")
    return (tmp_path / "report.html").read_text()


def soup(notebook: Any, tmp_path: Path) -> BeautifulSoup:
    return BeautifulSoup(rendered(notebook, tmp_path), "html.parser")


def outside(html: str) -> list[str]:
    """Everything in a page that makes a browser ask somebody else."""
    page = BeautifulSoup(html, "html.parser")
    found = [
        f"{name}={value}"
        for element in page.find_all(True)
        for name, value in element.attrs.items()
        if name in FETCHING and not str(value).startswith(("data:", "#")) and re.match(r"\s*([a-z]+:|//)", str(value))
    ]
    found += [str(element)[:200] for element in page.select("script[src], script[type=module]")]
    found += [str(element)[:200] for element in page.find_all(["link", "iframe", "object", "embed", "base"])]
    found += re.findall(r"@import[^;]*|url\(\s*[\"']?(?!data:)[^)]*\)", html)
    found += re.findall(r"(?:https?|wss?)://\S{0,60}", html)
    return found


def test_the_search_for_outside_addresses_finds_them() -> None:
    for html in (
        '<img src="https://example.org/a.png">',
        "<img src=//example.org/a.png>",
        '<script src="other.js"></script>',
        "<style>@import 'x.css';</style>",
        "<style>p { background: url(x.png) }</style>",
        '<link rel="stylesheet" href="style.css">',
    ):
        assert outside(html), html
    assert outside('<a href="../run/report.html">run</a><img src="data:image/png;base64,AAAA"><a href="#x">x</a>') == []


# --- Stands alone ---


def test_a_report_asks_nothing_of_any_other_host(tmp_path: Path) -> None:
    mathematics = new_markdown_cell("$$\\sum_i x_i$$\n\n```mermaid\ngraph TD; A-->B;\n```")
    html = rendered(stage_notebook(mathematics), tmp_path)
    assert outside(html) == []
    assert len(html) < 3e6


def test_a_widget_is_its_text(tmp_path: Path) -> None:
    """A widget would need a script, and the script another host."""
    widget = new_output("display_data", {WIDGET: {"model_id": "1", "version_major": 2}, "text/plain": "Bar(value=7)"})
    notebook = stage_notebook(code("bar", widget))
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"1": {"model_name": "Bar"}}}}
    html = rendered(notebook, tmp_path)
    assert outside(html) == []
    assert "Bar(value=7)" in html


def test_pictures_are_in_the_file(tmp_path: Path) -> None:
    images = soup(stage_notebook(), tmp_path).find_all("img")
    assert [str(image["src"])[:22] for image in images] == ["data:image/png;base64,"]


def test_the_index_and_a_run_summary_ask_nothing_of_any_other_host(made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    (suite.path.parent / "report.html").touch()
    assert outside(write_index(Path("runs")).read_text()) == []
    assert outside(summary(suite.report()).data) == []
    assert outside(details(suite.report()).data) == []
    assert outside(run_summary(suite.finish("rotnet", 50.0)).data) == []


@pytest.mark.parametrize("name", ["table1", "table9", "figure5a", "figure5b", "inspect"])
def test_a_suite_of_any_kind_asks_nothing_of_any_other_host(name: str, made_up: Any) -> None:
    suite = made_up(name)
    suite.finish_all(by_target={"cat": 60.0})
    report = suite.report()
    assert outside(summary(report).data) == []
    assert outside(details(report).data) == []


def test_answers_with_their_pictures_ask_nothing_of_any_other_host(made_up: Any) -> None:
    suite = made_up("questions")
    suite.finish("rotnet-nonlinear", 70.0)
    suite.finish("probe-one", 60.0)
    html = answers(suite.report())
    assert html is not None
    assert "<img" in html.data
    assert outside(html.data) == []


def test_the_page_of_a_collection_asks_nothing_of_any_other_host(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish_all()
    path = write_overview(suite.directory.parent / "all", "All of it", [suite.directory])
    assert outside(path.read_text()) == []


def test_a_page_fits_a_phone_and_print(tmp_path: Path) -> None:
    head = soup(stage_notebook(), tmp_path).find("head")
    assert head is not None
    viewport = head.find("meta", attrs={"name": "viewport"})
    assert viewport is not None
    assert "width=device-width" in viewport["content"]
    assert "@media print" in style()
    assert style().strip() in str(head)


# --- Result first ---


def test_the_result_stands_before_everything_but_the_title(tmp_path: Path) -> None:
    page = soup(stage_notebook(), tmp_path)
    order = [page.find("h1"), page.find(class_="headline"), page.find("img"), page.find("details")]
    assert None not in order
    html = str(page)
    positions = [html.index(str(element)[:60]) for element in order]
    assert positions == sorted(positions)
    assert len(page.find_all("h1")) == 1


def test_code_and_what_was_printed_are_folded(tmp_path: Path) -> None:
    page = soup(stage_notebook(), tmp_path)
    folds = page.find_all("details")
    assert [fold.has_attr("open") for fold in folds] == [False] * len(folds)
    sources = [" ".join(fold.get_text().split()) for fold in folds]
    assert sources == [
        "code: parameters, protocol defaults seed: int = 0",
        "code: parameters of this run seed = 3",
        "code outcome = probe(config)",
        "code outcome.save()",
        "what was printed saved result: runs/probe",
    ]
    for fold in folds:
        fold.decompose()
    rest = page.get_text()
    for hidden in ("outcome = probe", "run_summary(outcome)", "curves()", "seed = 3", "result: runs/probe", "saved"):
        assert hidden not in rest
    assert "80.00 %" in rest


def test_the_manual_stands_below_the_result(tmp_path: Path) -> None:
    notebook = stage_notebook()
    notebook.cells[4].outputs = [html_output("<h1>Probe of conv2: 80.0 %</h1>")]
    page = soup(notebook, tmp_path)
    text = page.get_text()
    assert text.index("Probe of conv2: 80.0 %") < text.index("About this notebook") < text.index("Trains classifiers on")
    assert "Probing frozen layers" not in text


def test_cells_for_the_notebook_alone_are_not_on_the_page(tmp_path: Path) -> None:
    heading = new_markdown_cell("## The result", metadata={"tags": ["notebook-only"]})
    assert "The result" not in soup(stage_notebook(heading), tmp_path).get_text()


def test_a_progress_bar_is_not_shown(tmp_path: Path) -> None:
    bar = " 50%|████     | 1.0k/2.0k [00:01<00:01, 900 inputs/s]\r100%|█████████| 2.0k/2.0k [00:02<00:00, 900 inputs/s]\n"
    text = soup(stage_notebook(code("more", stream(bar + "a warning\n"))), tmp_path).get_text()
    assert "a warning" in text
    for part in ("50%", "100%", "inputs/s", "\x1b"):
        assert part not in text


def test_of_a_failed_notebook_the_progress_is_its_last_frame_without_colours(tmp_path: Path) -> None:
    notebook = failed_notebook()
    notebook.cells[-1].outputs = [stream("\r1%\r50%\r\x1b[32m100%\x1b[0m\nsaved\n")]
    page = soup(notebook, tmp_path)
    text = page.get_text()
    assert "100%\nsaved" in text
    assert "50%" not in text
    assert "\x1b" not in text
    assert page.select(".output_stream [class*=ansi], .jp-RenderedText [class*=ansi], span[class^=ansi]") == []


@pytest.mark.parametrize(
    ("notebook", "title"),
    [
        (stage_notebook(), "Probing frozen layers"),
        (stage_notebook(code("r", html_output("<h1>Table 3 &amp; more</h1>"))), "Table 3 & more"),
        (new_notebook(cells=[new_markdown_cell("# a <b> c")]), "a <b> c"),
        (new_notebook(cells=[code("1")]), "report"),
    ],
    ids=["heading", "of-a-result", "escaped", "none"],
)
def test_the_title(notebook: Any, title: str, tmp_path: Path) -> None:
    page = soup(notebook, tmp_path)
    assert page.title is not None
    assert page.title.get_text() == title


def test_a_result_with_a_title_of_its_own_takes_the_notebooks_place(tmp_path: Path) -> None:
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Report of a suite\n\nPublished beside measured."),
            code("report.summary", html_output("<h1>Table 3</h1><p>verdict</p>"), tags=("result",)),
        ]
    )
    assert [heading.get_text() for heading in soup(notebook, tmp_path).find_all("h1")] == ["Table 3"]


# --- Failed notebooks ---


def failed_notebook() -> Any:
    """What papermill leaves of a notebook whose training cell raised: its marks, the error, the cells not reached."""
    traceback = ["\x1b[31mRotnetError\x1b[0m: the loss is nan"]
    error = new_output("error", ename="RotnetError", evalue="the loss is nan", traceback=traceback)
    first = '<span style="color:red">An Exception was encountered at \'<a href="#papermill-error-cell">In [3]</a>\'.</span>'
    mark = '<span id="papermill-error-cell" style="color:red">Execution using papermill encountered an exception here:</span>'
    notebook = stage_notebook()
    notebook.cells[3].outputs = [error]
    for cell in notebook.cells[4:]:
        cell.outputs = []
    notebook.cells.insert(3, new_markdown_cell(mark, metadata={"tags": ["papermill-error-cell-tag"]}))
    notebook.cells.insert(0, new_markdown_cell(first, metadata={"tags": ["papermill-error-cell-tag"]}))
    return notebook


def test_a_failed_page_begins_with_cause_and_remedy_and_folds_the_traceback(tmp_path: Path) -> None:
    page = soup(failed_notebook(), tmp_path)
    [heading] = page.find_all("h1")
    assert heading.get_text() == "Probing frozen layers: failed"
    assert page.title is not None
    assert page.title.get_text() == "Probing frozen layers: failed"
    box = heading.find_next_sibling()
    assert box is not None
    assert "This run failed." in box.get_text()
    assert "the loss is nan" in box.get_text()
    for fold in page.find_all("details"):
        fold.decompose()
    assert "RotnetError: the loss is nan" not in page.get_text()  # its traceback
    assert "An Exception was encountered" not in page.get_text()
    assert "\x1b" not in page.get_text()


def test_the_link_of_a_failed_page_leads_to_the_cell(tmp_path: Path) -> None:
    page = soup(failed_notebook(), tmp_path)
    assert page.find("a", href="#papermill-error-cell") is not None
    assert len(page.find_all(id="papermill-error-cell")) == 1
    assert "Execution using papermill" not in page.get_text()
    assert "The notebook stopped here." in page.get_text()


def test_an_error_that_is_none_of_the_users_says_its_kind(tmp_path: Path) -> None:
    notebook = failed_notebook()
    own = soup(notebook, tmp_path).find(class_="failure")
    assert own is not None
    assert "RotnetError" not in own.get_text()
    notebook.cells[5].outputs[0].ename = "ZeroDivisionError"
    box = soup(notebook, tmp_path).find(class_="failure")
    assert box is not None
    assert "ZeroDivisionError" in box.get_text()
    assert "this is an unexpected error" in box.get_text()


# --- Fragments ---


def test_values_in_fragments_are_escaped_and_missing_ones_are_errors() -> None:
    text = page("index.html.j2", title="<runs>", root="runs", time="now", suites=[], stages=[])
    assert "&lt;runs&gt;" in text
    with pytest.raises(Exception, match="'time' is undefined"):
        page("index.html.j2", title="runs", root="runs", suites=[], stages=[])
