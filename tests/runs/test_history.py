"""The table of a run's training is whole, or named."""

import re
from pathlib import Path

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.history import read_history
from rotnet_lib.runs.schema import TrainingRecord

TABLE = "epoch,test_top1\n1,20.0\n2,30.5\n"
TRAINING = TrainingRecord(epochs=2, inputs=1, seconds=1, inputs_per_second=1, parameters=1)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(TABLE)
    table = read_history(tmp_path / "history.csv", TRAINING)
    assert table.to_dict("list") == {"epoch": [1, 2], "test_top1": [20.0, 30.5]}
    assert table["epoch"].dtype == "int64"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no table"),
        (b"\n\n", "no table"),
        (b"epoch,test_top1\n", "ends at epoch 0, its run at 2"),
        (b"epoch,test_top1\n1,20.0\n", "ends at epoch 1, its run at 2"),
        (b"epoch,test_top1\n1,20.0\n2,30.5\n3,31\n", "ends at epoch 3, its run at 2"),
        (b"epoch,test_top1\n2,20.0\n1,30.5\n", "column epoch does not rise"),
        (b"epoch,test_top1\n1,20.0\n,30.5\n", "column epoch does not rise"),
        (b"epoch,test_top1\n1,20.0\n2,3o.5\n", "column test_top1 holds other things than numbers"),
        (b"epoch,loss,loss\n1,20.0,1\n2,30.5,1\n", "column loss occurs twice"),
        (b"iteration,loss\n1,20.0\n2,30.5\n", "no column epoch"),
        (b"epoch,test_top1\n1,20.0\n2,30.5,7,8,9\n", "no table"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"null", "no column epoch"),
        (b"{}", "no column epoch"),
    ],
)
def test_what_is_no_table_of_that_run_is_named(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "run" / "history.csv"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RotnetError, match=rf"{re.escape(str(path))} is damaged: .*{what}.*Delete {path.parent} and run again"):
        read_history(path, TRAINING)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(RotnetError, match=rf"history\.csv is missing.*Delete {tmp_path}"):
        read_history(tmp_path / "history.csv", TRAINING)
