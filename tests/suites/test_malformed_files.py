"""Malformed YAML: of a suite, of the presets, of the published figures. Each is named, and breaks nothing but itself."""

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.published import PUBLISHED, published_table, source
from rotnet_lib.suites.documents import SUITES
from rotnet_lib.suites.plan import Options, make_plan
from rotnet_lib.suites.presets import load_presets, preset_named
from rotnet_lib.suites.suite import collection_names, load_collection, load_suite, suite_names
from rotnet_lib.yaml_reader import parse_yaml, read_yaml

SMALL = """
title: t
runs:
  one: {notebook: pretrain, set: {task: rotation}}
rows:
  - {label: L, run: one, metric: top1, published: false}
"""
UNREADABLE: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b"title: t\nruns: \xff\n", "line 2 is no UTF-8. Save the file as UTF-8"),
    "tab": (b"title: t\nruns:\n\tone: x\n", "line 3, column 1: found character '\\t'"),
    "bracket": (b"title: [t\n", "cannot be read as YAML: line 2"),
    "empty": (b"", "the file holds nothing"),
    "null": (b"null", "the file holds nothing"),
    "number": (b"1", "the file holds 1"),
    "list": (b"- title", "the file holds ['title']"),
    "key twice": (b"title: t\nruns: {}\ntitle: u\n", "line 3, column 1: the key 'title' occurs twice"),
    "key is a number": (b"title: t\n1: x\n", "the key 1 is no text. Put it into quotes"),
    "key is a list": (b"title: t\n? [a]\n: x\n", "found unhashable key"),
    "loop": (b"title: t\nruns: &a {one: *a}\n", "nested deeper than 20. Does one hold itself?"),
    "alias": (b"title: *t\n", "undefined alias 't'"),
    "bomb": (
        b"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
        "more than 10,000 values",
    ),
    "deep": (b"a: " + b"[" * 500 + b"]" * 500, "nested too deep"),
    "date": (b"title: 2020-13-45\n", "month must be in 1..12"),
    "odd tag": (b"title: !!bool x\n", "cannot be read as YAML"),
    "object": (b"title: !!python/object:os.system x\n", "could not determine a constructor"),
    "nul": (b"title: \0\n", "special characters are not allowed"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of suites, with one that is whole."""
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "whole.yaml").write_text(SMALL)
    return tmp_path / "suites"


def message(read: Callable[[], Any]) -> str:
    with pytest.raises(RotnetError) as error:
        read()
    return str(error.value)


# --- Files that are no YAML, or hold no dictionary ---


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_read_is_a_suite_that_says_why(kind: str, folder: Path) -> None:
    content, reason = UNREADABLE[kind]
    (folder / "broken.yaml").write_bytes(content)
    assert suite_names(folder) == ["broken", "whole"]
    assert collection_names(folder) == []
    assert load_suite("whole", folder=folder).title == "t"
    text = message(lambda: load_suite("broken", folder=folder))
    assert text.startswith("suites/broken.yaml")
    assert reason in text


@pytest.mark.parametrize("kind", UNREADABLE)
def test_presets_and_published_figures_that_cannot_be_read_say_why(kind: str, tmp_path: Path) -> None:
    content, reason = UNREADABLE[kind]
    for name, read in (
        ("presets.yaml", lambda: preset_named("quick", tmp_path)),
        ("published.yaml", lambda: published_table("table3", tmp_path / "published.yaml")),
    ):
        (tmp_path / name).write_bytes(content)
        text = message(read)
        assert text.startswith(name)
        assert reason in text


def test_what_is_no_file_is_no_suite_or_says_why(folder: Path) -> None:
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.yaml")  # reading it would wait for ever
    (folder / "gone.yaml").symlink_to(folder / "nothing")
    assert suite_names(folder) == ["gone", "whole"]
    assert "suites/gone.yaml cannot be read: No such file" in message(lambda: load_suite("gone", folder=folder))


# --- Nodes of another kind ---


@pytest.mark.parametrize(
    ("place", "value", "parts"),
    [
        (("runs",), ["one"], ["runs Input should be a valid dictionary, not ['one']"]),
        (("runs",), None, ["runs Input should be a valid dictionary, not None"]),
        (("runs", "one"), None, ["runs.one Input should be a valid dictionary"]),
        (("runs", "one"), "pretrain", ["runs.one Input should be a valid dictionary, not 'pretrain'"]),
        (("runs", "one", "notebook"), 3, ["runs.one.notebook Input should be a valid string, not 3"]),
        (("runs", "one", "nootbook"), "x", ["runs.one.nootbook", "Allowed: notebook, backbone, set"]),
        (("runs", "one", "set"), ["task"], ["runs.one.set Input should be a valid dictionary"]),
        (("runs", "one", "set", "epohcs"), 3, ["parameter in `set` of run 'one' 'epohcs'; did you mean 'epochs'?"]),
        (("runs", "one", "set", "dataset"), [1], ["run 'one': dataset is a name, not [1]"]),
        (("runs", "one", "set", "arch"), 4, ["run 'one': arch is a name, not 4"]),
        (("sweeps",), ["x"], ["sweeps Input should be a valid dictionary"]),
        (("sweeps",), {"x": 3}, ["sweeps.x Input should be a valid list, not 3"]),
        (("sweeps",), {"x": [1, 1]}, ["sweeps.x: 1 occurs twice"]),
        (("rows",), None, ["rows Input should be a valid list"]),
        (("rows",), {"label": "L"}, ["rows Input should be a valid list"]),
        (("rows", 0), "L", ["rows.0 Input should be a valid dictionary"]),
        (("rows", 0, "metric"), None, ["rows.0.metric Input should be a valid string"]),
        (("rows", 0, "label"), [], ["rows.0.label Input should be a valid string"]),
        (("rows", 0, "columns"), {"a": "top1"}, ["row 'L' needs a run, and a metric or columns"]),
        (("rows", 0, "at"), float("nan"), ["rows.0.cells.top1.at", "finite"]),
        (("title",), None, ["title Input should be a valid string"]),
        (("name",), "x", ["remove the key 'name'"]),
        (("published",), "tabel3", ["unknown published table 'tabel3'; did you mean 'table3'?"]),
        (("source",), "rotnot", ["unknown source of published figures 'rotnot'; did you mean 'rotnet'?"]),
    ],
)
def test_a_malformed_node_is_named_with_its_place(place: tuple[Any, ...], value: Any, parts: list[str], folder: Path) -> None:
    (folder / "mine.yaml").write_text(yaml.safe_dump(changed(yaml.safe_load(SMALL), place, value)))
    text = message(lambda: load_suite("mine", folder=folder))
    assert text.startswith("suites/mine.yaml: ")
    for part in parts:
        assert part in text


@pytest.mark.parametrize("suites", [None, [], "table1", [1], {"table1": None}])
def test_a_collection_lists_suites(suites: Any, folder: Path) -> None:
    (folder / "both.yaml").write_text(yaml.safe_dump({"title": "t", "suites": suites}))
    assert message(lambda: load_collection("both", folder)).startswith("suites/both.yaml: suites")


def test_a_malformed_preset_breaks_itself_alone(tmp_path: Path) -> None:
    presets = yaml.safe_load((SUITES / "presets.yaml").read_text())
    presets["short"]["set"]["cifar10"]["probe"] = ["epochs"]
    presets["paper"] = None
    (tmp_path / "presets.yaml").write_text(yaml.safe_dump(presets))
    assert preset_named("quick", tmp_path) == preset_named("quick")
    assert message(lambda: preset_named("short", tmp_path)).startswith("presets.yaml, short: set.cifar10.probe Input should be")
    assert message(lambda: preset_named("paper", tmp_path)).startswith(
        "presets.yaml, paper: Input should be a valid dictionary"
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (None, "table3.rows: Input should be a valid dictionary, not None. A table has metric, columns and rows"),
        ({"A": "many"}, "table3.rows.A"),
        ({"A": {"top1": []}}, "table3.rows.A"),
        ({"A": [1.0, 2.0]}, "table3, row 'A': 2 figures for 0 columns"),
    ],
)
def test_a_malformed_table_breaks_itself_alone(rows: Any, reason: str, tmp_path: Path) -> None:
    document = yaml.safe_load(PUBLISHED.read_text())
    document["table3"]["rows"] = rows
    document["sources"] = ["rotnet"]
    file = tmp_path / "published.yaml"
    file.write_text(yaml.safe_dump(document))
    assert published_table("table1", file) == published_table("table1")
    text = message(lambda: published_table("table3", file))
    assert text.startswith(f"published.yaml: {reason}")
    assert "published.yaml: sources: a citation by name is expected" in message(lambda: source("rotnet", file))


# --- Any node ---

ODD: tuple[Any, ...] = (None, 3, [], {}, {1: 2}, "x", True, float("nan"), [None], "@x", "{share}", b"x")


def places(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if above:
        yield above
    for key, entry in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(entry, (*above, key))


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    node = document
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = value
    return document


@pytest.mark.parametrize("name", ["table1", "figure5a"])
def test_every_node_set_to_odd_values_ends_in_a_suite_or_is_named(name: str, tmp_path: Path) -> None:
    document = yaml.safe_load((SUITES / f"{name}.yaml").read_text())
    if name == "table1":  # its other rows, and their runs, are built alike
        document["rows"] = document["rows"][:1]
        document["runs"] = {key: document["runs"][key] for key in ("rotnet3", "probe3")}
    for number, (place, value) in enumerate((place, value) for place in places(document) for value in ODD):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "mine.yaml").write_text(yaml.safe_dump(changed(document, place, value)))
        assert suite_names(tmp_path / str(number)) == ["mine"]
        told = ""
        try:
            load_suite("mine", folder=tmp_path / str(number))
        except RotnetError as error:
            told = str(error)
        assert not told or told.startswith("suites/mine.yaml"), (place, value)


# --- The commands ---


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project with a suite that is broken, and one that is missing its title."""
    root = tmp_path / "checkout"
    shutil.copytree(SUITES.parent, root / "rotnet_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SUITES.parents[1] / "Makefile", root)
    for name, (content, _) in UNREADABLE.items():
        (root / "rotnet_lib" / "suites" / f"broken-{name.replace(' ', '-').lower()}.yaml").write_bytes(content)
    (root / "rotnet_lib" / "suites" / "broken-folder.yaml").mkdir()
    return root


def test_status_names_broken_suites_and_goes_on(checkout: Path) -> None:
    command = [sys.executable, "-c", "from rotnet_lib.cli import main; main()", "status", "--preset", "quick"]
    done = subprocess.run(command, cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ["table3", "0", "of", "7", "-", "quick"] in [line.split() for line in done.stdout.splitlines()]
    named = [line for line in done.stdout.splitlines() if line.startswith("broken-")]
    assert len(named) == len(UNREADABLE)
    assert all(f" suites/{line.split()[0]}.yaml" in line for line in named)


def test_the_list_of_targets_is_shown_beside_broken_suites(checkout: Path) -> None:
    done = subprocess.run(["make", "help"], cwd=checkout, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"reproduce-table3" in done.stdout
    assert b"reproduce-broken-tab" in done.stdout
    assert b"rotnet" not in done.stderr.lower().replace(b"rotnet_lib/suites/broken-folder.yaml", b"")


# --- What a user writes ---


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{a: 1, a: 2}", "the key 'a' occurs twice"),
        ("[1", "line 1, column 3"),
        ("!!int x", "invalid literal"),
        ("!!timestamp x", "cannot be read as YAML"),
        ("9" * 5000, "cannot be read as YAML"),
        ("*a", "undefined alias"),
        ("a\ud800", "cannot be read as YAML"),
    ],
    ids=lambda text: text[:12].encode("ascii", "replace").decode(),
)
def test_a_value_that_is_no_yaml_is_named(text: str, reason: str) -> None:
    assert reason in message(lambda: parse_yaml(text, "the value"))
    assert message(lambda: make_plan("table3", Options(preset="quick", set=f"epochs={text}")))


@pytest.mark.timeout(60)  # a pipe that is opened waits for ever
def test_what_is_no_file_is_not_read_as_yaml(tmp_path: Path) -> None:
    pipe = tmp_path / "suite.yaml"
    os.mkfifo(pipe)
    assert f"{pipe} is no file but a named pipe" in message(lambda: read_yaml(pipe, "suite.yaml"))


def test_a_value_that_is_merged_again_stands_once() -> None:
    text = "base: &base {x: 1}\none: {deep: {a: &a {<<: *base, x: 2}}}\ntwo: {<<: *a, y: 1}\n"
    assert (
        parse_yaml(text, "x")
        == yaml.safe_load(text)
        == {"base": {"x": 1}, "one": {"deep": {"a": {"x": 2}}}, "two": {"x": 2, "y": 1}}
    )


def test_yaml_means_what_it_meant() -> None:
    for file in SUITES.glob("*.yaml"):
        assert read_yaml(file, file.name) == yaml.safe_load(file.read_text(encoding="utf-8"))
    assert parse_yaml("{a: &x {b: 1}, c: {<<: *x, d: 2}}", "x") == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}
    assert load_presets().keys() == yaml.safe_load((SUITES / "presets.yaml").read_text()).keys()


NO_SEEDS: tuple[Any, ...] = (0, -1, 10**9, 10**400, "3", 2.5, True)
NO_TEXT: tuple[Any, ...] = (3, [], b"x")


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        *[("seeds", seeds, "seeds: at least 1, not .* at most 1000") for seeds in NO_SEEDS],
        *[(name, value, f"{name}: text is needed") for name in ("preset", "dataset", "set", "runs") for value in NO_TEXT],
        *[(name, None, f"{name}: text is needed") for name in ("set", "runs")],
        *[(name, "a\ud800", f"suite: {name}: ") for name in ("preset", "dataset", "set", "runs")],
    ],
    ids=lambda value: str(value)[:12].encode("ascii", "replace").decode(),
)
def test_odd_options_are_named(option: str, value: Any, reason: str) -> None:
    options: dict[str, Any] = {"preset": "quick", option: value}
    with pytest.raises(RotnetError, match=reason):
        make_plan("table3", Options(**options))


@pytest.mark.parametrize("dataset", ["imagefolder:", "imagefolder:a\0b", "imagefolder:~nosuchuser", f"imagefolder:{'x' * 300}"])
def test_odd_folders_of_images_are_named(dataset: str) -> None:
    assert message(lambda: make_plan("table3", Options(preset="quick", dataset=dataset)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epochs.x=1", "'epochs.x' sets a key of epochs, which has none. Parameters that have keys: task_options"),
        ("probe.lr.y=1", "sets a key of lr, which has none. Parameters that have keys: none"),
        ("task_options=3 task_options.angles=[0,180]", "which is set to 3. Drop one of the two"),
        ("epochs=true", "epochs: a number is needed, not True"),
        ("rotnet.arch=[nin4]", "unknown arch '['nin4']'"),
    ],
)
def test_odd_words_of_set_are_named(text: str, reason: str) -> None:
    assert reason in message(lambda: make_plan("table3", Options(preset="quick", set=text)))


@pytest.mark.parametrize(
    "name", [[], {}, None, 3, "\ud800", "x" * 5000, "../x", "presets", "", "table3\0"], ids=lambda n: repr(n)[:9]
)
def test_odd_names_of_suites_are_named(name: Any) -> None:
    assert "unknown suite" in message(lambda: make_plan(name, Options(preset="quick")))
