"""docs/transfer.md: its lines of Python make lists that can be read. Its commands are checked with README's."""

import re
from pathlib import Path

import pytest

from rotnet_lib.data.voc.lists import read_list
from rotnet_lib.suites.plan import Options, plan_suite
from rotnet_lib.voc.config import VocConfig

PAGE = (Path(__file__).parents[1] / "docs" / "transfer.md").read_text()


def test_the_lines_of_python_make_lists_that_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photographs = Path("bccd") / "JPEGImages"
    photographs.mkdir(parents=True)
    names = {f"{number:03}" for number in range(10)}
    for name in names:
        (photographs / f"{name}.jpg").touch()
    [lines] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(lines, {})
    lists = Path("bccd") / "ImageSets" / "Main"
    test, trainval = (set(read_list(lists / f"{split}.txt")) for split in ("test", "trainval"))
    assert (len(test), len(trainval), test | trainval) == (2, 8, names)


def test_its_suites_can_be_planned() -> None:
    lines = re.findall(r'^make reproduce-(\w+) PRESET=(\w+) DATASET=(\S+) SET="(.*)"$', PAGE, re.MULTILINE)
    assert [suite for suite, *_ in lines] == ["detection", "segmentation"]
    for suite, preset, dataset, said in lines:
        plan = plan_suite(suite, Options(preset=preset, dataset=dataset, set=said), fingerprint=lambda config: "f")
        assert [run.config.dataset for run in plan.runs if isinstance(run.config, VocConfig)] == [dataset] * 4
