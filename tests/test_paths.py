"""Paths as users give them: relative ones, those of a home, and those that no file can have."""

from pathlib import Path

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import LONGEST_NAME, NOTEBOOKS, from_project, short_name


def test_a_relative_path_counts_from_where_one_is_or_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_project("runs") == tmp_path / "runs"
    assert from_project(".") == tmp_path
    assert from_project("/data") == Path("/data")
    assert from_project("~/x") == Path.home() / "x"
    monkeypatch.chdir(NOTEBOOKS)
    assert from_project("runs") == NOTEBOOKS.parent / "runs"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("~nosuchuser", "no such home folder. To mean a file called so, write ./~nosuchuser"),
        ("~nosuchuser/runs", "no such home folder"),
        ("a\0b", "null character"),
        ("a\ud800b", "a character that no file name can have"),
        ("x" * 256, "at most 255 bytes"),
        ("ü" * 128, "at most 255 bytes"),
        ("x/" * 2049, "a path 4095"),
        (["runs"], "is no path"),
        (3, "is no path"),
        ("", "'' is no path: it is empty. The folder that this command was started in is called '.'"),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "backslashreplace").decode(),
)
def test_what_cannot_be_a_path_is_named(path: str, reason: str) -> None:
    with pytest.raises(RotnetError, match=reason) as error:
        from_project(path)
    assert len(str(error.value)) < 500


def test_names_of_undecodable_bytes_are_paths(tmp_path: Path) -> None:
    assert from_project("a\udc80b") == tmp_path / "a\udc80b"


def test_a_working_folder_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(RotnetError, match="has been deleted"):
        from_project("runs")


def test_only_a_name_that_is_too_long_is_cut() -> None:
    assert short_name("rotation", "-s0-0123456789") == "rotation-s0-0123456789"
    assert short_name("x" * 250, "-s0-1") == "x" * 250 + "-s0-1"
    assert short_name("x" * 251, "-s0-1") == "x" * 250 + "-s0-1"
    assert short_name("x" * 249 + "-yy", "-s0-1") == "x" * 249 + "-s0-1"
    cut = short_name("ü" * 200, "-1")
    assert cut == "ü" * 126 + "-1"
    assert len(cut.encode()) <= LONGEST_NAME
