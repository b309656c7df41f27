"""`make campaign-kills`: the tables and the failures. A kill in a real suite takes minutes: the command itself is for that."""

from pathlib import Path

from campaigns.kills.__main__ import make_record
from campaigns.kills.round import Kill, Round

ROOT = Path(__file__).parents[3]


def test_the_record_counts_kills_by_process_and_signal_and_lists_failures() -> None:
    rounds = [
        Round(1, [Kill(1, 1, "make", "SIGINT", 2.0, 1.0), Kill(1, 2, "make", "SIGTERM", 3.0, 3.0)]),
        Round(2, [Kill(2, 1, "Snakemake", "SIGKILL", 1.0, None, ("17 job", "18 kernel"))], lost=["a"], without_page=["a", "b"]),
    ]
    record = make_record(rounds, "make campaign-kills", 60.0)
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in record.sections["Kills by process and signal"].splitlines()
    ]
    table = {line[0]: line[1:] for line in lines}
    assert table["process"] == ["SIGTERM", "SIGKILL", "SIGHUP", "SIGINT", "all", "s to end, median", "most"]
    assert table["make"] == ["1", "0", "0", "1", "2", "2.0", "3.0"]
    assert table["Snakemake"] == ["0", "1", "0", "0", "1", "", ""]
    assert table["all"] == ["1", "1", "0", "1", "3", "", ""]
    assert record.counts == {
        "kills": 3,
        "lost": 1,
        "changed": 0,
        "left running": 1,
        "without a page": 2,
        "otherwise wrong": 0,
    }
    assert record.failures == [
        "round 2: left running after the SIGKILL of Snakemake: 17 job, 18 kernel",
        "round 2: lost: a",
        "round 2: without a page: a",
        "round 2: without a page: b",
    ]
