"""Titles and rows name the data that was measured on: labels of drawn shapes are not called ImageNet's."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rotnet_lib.data.source import DATASETS
from rotnet_lib.data.titles import bare_title
from rotnet_lib.data.voc.source import VOC_SETS
from rotnet_lib.report.data_kinds import kind_of_data
from rotnet_lib.runs.schema import RunResult

_CITATION = re.compile(r" \([^()]*\d{4}\)$")


class Measured(Protocol):
    """A run of a plan: the dataset that its suite names, what it was given, and what it found."""

    @property
    def dataset(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def result(self) -> RunResult | None: ...


class DataWords:
    """The published names of data in whose place other data was measured on, with what stands for them in titles and labels.

    Args:
        runs: the suite's.
    """

    def __init__(self, runs: Iterable[Measured]) -> None:
        found: dict[str, dict[str, None]] = {}
        for run in runs:
            if run.dataset not in VOC_SETS and run.dataset not in DATASETS:
                continue  # a plan of another version of the library
            kind = kind_of_data(run.dataset)
            here = _here(run)
            if kind.published_title is not None and here != kind.published_title:
                for name in (kind.published_title, *kind.published_aliases):
                    found.setdefault(name, {})[here] = None
        self._words = {name: " and ".join(here) for name, here in found.items()}
        names = "|".join(re.escape(name) for name in sorted(found, key=len, reverse=True))  # PASCAL VOC 2007 before PASCAL VOC
        self._named = re.compile(rf"\b({names})(?![-\w])( labels)?") if names else None

    def text(self, text: str) -> str:
        """A title or a question: `Table 3: drawn shapes, unsupervised feature learning`."""
        return self._named.sub(self._replaced, text) if self._named else text

    def label(self, label: str) -> str:
        """The label of a row. A network trained with other labels than the published one is not the cited one."""
        said = self.text(label)
        if said == label:
            return label
        return said[0].upper() + _CITATION.sub("", said)[1:]

    def _replaced(self, match: re.Match[str]) -> str:
        here = self._words[match[1]]
        return f"labels of {here}" if match[2] else here

    def suite(self, suite: Mapping[str, Any]) -> dict[str, Any]:
        """A suite (`suite_of`) with its title, rows and questions in these words."""
        rows = [row | {"label": self.label(row["label"])} for row in suite["rows"]]
        questions = [
            question
            | {
                "ask": self.text(question["ask"]),
                "baseline": self.label(question["baseline"]),
                "against": [self.label(label) for label in question["against"]],
            }
            for question in suite["questions"]
        ]
        claims = [
            {"row": self.label(claim["row"]), "against": [self.label(label) for label in claim["against"]]}
            for claim in suite["claims"]
        ]
        title = self.text(suite["title"])
        return {**suite, "title": title, "rows": rows, "questions": questions, "claims": claims}


def _here(run: Measured) -> str:
    """What the run's data is called: that of its result, or, before there is one, that which the plan names."""
    name = str(run.parameters["dataset"])
    kind, _, argument = name.partition(":")
    sets = VOC_SETS if kind in VOC_SETS else DATASETS
    spoken = sets[kind].spoken(argument) if kind in sets else None
    if spoken is not None:
        return spoken
    if run.result is not None:
        return bare_title(run.result.data.title)
    published = kind_of_data(run.dataset).published_title
    return published if name == run.dataset and published else name
