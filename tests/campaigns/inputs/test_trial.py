"""How a trial ends: right, in a named error, or in neither; and what stays of it."""

import os
from pathlib import Path

import pytest

from campaigns.inputs.trial import Outcome, noted, run_trial, surroundings
from tests.campaigns.inputs.odd_kinds import OddKind


def outcome(way: str, tmp_path: Path, number: int = 1, seed: int = 0) -> tuple[Outcome, Path]:
    """That of a trial, and its folder."""
    kind, folder = OddKind("right", way), tmp_path / f"odd-{number}"
    (tmp_path / "good").mkdir()
    kind.prepare(tmp_path / "good")
    return run_trial(kind, number, seed, tmp_path / "good", folder), folder


def test_a_right_result(tmp_path: Path) -> None:
    found, folder = outcome("right", tmp_path)
    assert (found.end, found.reason, found.what) == ("right", "", "way right")
    assert not folder.exists()


def test_an_error_that_names_the_culprit(tmp_path: Path) -> None:
    found, folder = outcome("named", tmp_path)
    assert (found.end, found.reason) == ("named", "the file is damaged. Delete it.")
    assert not folder.exists()


NEITHER = {
    "wrong": "wrong: 8",
    "other": "names none of file: something is damaged.",
    "empty": "a RotnetError without a message",
    "traceback": "ValueError: of any kind",
    "exit": "SystemExit: 0",
    "memory named": "ran out of memory, and says: the file cannot be read.",
    "broken change": "the campaign itself failed: LookupError: the campaign's own",
    "broken judge": "the campaign itself failed: LookupError: the campaign's own",
}


@pytest.mark.parametrize("way", NEITHER)
def test_neither(way: str, tmp_path: Path) -> None:
    found, folder = outcome(way, tmp_path)
    assert (found.end, found.reason) == ("neither", NEITHER[way])
    assert (folder / "file").read_text().startswith("changed"), "the input stays, so that it can be looked at"
    if way in ("traceback", "broken judge"):
        assert "Traceback" in noted(folder)


def test_number_0_is_the_good_input(tmp_path: Path) -> None:
    found, _ = outcome("traceback", tmp_path, number=0)
    assert (found.end, found.what) == ("right", "nothing was changed")


def test_an_input_is_a_function_of_seed_and_number(tmp_path: Path) -> None:
    content = set()
    for place, seed in enumerate((0, 0, 1)):
        (tmp_path / str(place)).mkdir()
        _, folder = outcome("wrong", tmp_path / str(place), seed=seed)
        content.add((folder / "file").read_text())
    assert len(content) == 2


def test_trials_see_no_data_but_their_own_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ROTNET_DATA", "ROTNET_CACHE"):
        monkeypatch.setenv(name, "before")
    with surroundings(tmp_path):
        assert Path.cwd() == tmp_path
        assert os.environ["ROTNET_DATA"].startswith(str(tmp_path))
        assert "127.0.0.1" in os.environ["https_proxy"]
