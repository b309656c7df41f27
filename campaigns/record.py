"""What a campaign leaves: a table, where and when it was measured, and the same as JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from rotnet_lib.files import write_text
from rotnet_lib.runs.provenance import commit, cpu_name, installed

_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "safetensors", "pydantic", "papermill", "snakemake")


@dataclass(frozen=True)
class Record:
    """A campaign's result.

    Attributes:
        title: what was done, one line.
        command: the line that repeats it.
        seconds: how long it took.
        sections: heading -> text, such as that of `table`.
        failures: a line each, with what is needed to repeat it; empty if all went well.
        counts: name -> count, those that `docs/results.md` quotes.
    """

    title: str
    command: str
    seconds: float
    sections: Mapping[str, str]
    failures: Sequence[str]
    counts: Mapping[str, float]

    def markdown(self) -> str:
        lines = [f"# {self.title}", "", f"`{self.command}`", "", machine(), "", f"Took {duration(self.seconds)}."]
        for heading, text in self.sections.items():
            lines += ["", f"## {heading}", "", text]
        lines += ["", "## Failures", "", *([f"- {line}" for line in self.failures] or ["None."]), ""]
        return "\n".join(lines)

    def write(self, folder: Path) -> Path:
        """Write `record.md` and `record.json`; returns the first."""
        document: dict[str, Any] = {
            "title": self.title,
            "command": self.command,
            "machine": machine(),
            "seconds": round(self.seconds, 1),
            "counts": dict(self.counts),
            "failures": list(self.failures),
        }
        write_text(folder / "record.json", json.dumps(document, indent=1))
        write_text(folder / "record.md", printable(self.markdown()))
        return folder / "record.md"


def machine() -> str:
    """Where and when: processor, memory, system, versions, commit, date."""
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version}" for name in _PACKAGES if (version := installed(name)))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {cpu_name()}, {os.cpu_count()} cores, {memory:.0f} GiB; "
        f"{platform.platform()}; Python {platform.python_version()}, {versions}; commit {commit() or 'unknown'}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, its columns aligned: the first to the left, numbers to the right."""
    lines = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "| " + " | ".join("-" * (width - bool(place)) + ":" * bool(place) for place, width in enumerate(widths)) + " |"
    return "\n".join([line(lines[0]), rule, *map(line, lines[1:])])


def duration(seconds: float) -> str:
    """`4 min 05 s`, or `4.2 s`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def printable(text: str) -> str:
    """A text that a terminal and a file take: what is no UTF-8, and control characters but line ends, are escaped."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in whole)
