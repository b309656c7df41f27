"""What kinds whose input is a file share: how the file is changed."""

import json
import random
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from campaigns.inputs.mutations import change_bytes, change_path, change_text
from campaigns.inputs.trial import Input, Kind
from campaigns.inputs.values import change_tree

Form = Literal["binary", "text", "json", "yaml"]
"""How a file is changed: by its bytes; also by its characters and lines; also by the values that it holds."""

_ANOTHER_THING = 0.06
"""Share of trials in which something else than a file stands in its place."""


class FileKind(Kind):
    """A file among others in the trial's folder.

    Attributes:
        form: see `Form`.
    """

    form: ClassVar[Form] = "binary"

    @abstractmethod
    def file(self, folder: Path) -> Path:
        """The file that is changed; the same one for equal folders."""

    def donors(self, folder: Path) -> Iterable[Path]:
        """Other files, whose content may take the place of the file's."""
        return ()

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        path = self.file(folder)
        what = self.change_file(path, [donor.read_bytes() for donor in self.donors(folder)], rng)
        return Input(folder, good, f"{path.relative_to(folder)}: {what}", (path.name,))

    def change_file(self, path: Path, donors: list[bytes], rng: random.Random) -> str:
        """Change the file in one of the ways of its form; says how."""
        if rng.random() < _ANOTHER_THING:
            return change_path(path, rng)
        content = path.read_bytes()
        ways = {"binary": ("bytes",), "text": ("bytes", "text", "text"), "json": ("bytes", "text", "tree", "tree")}
        way = rng.choice(ways["json" if self.form == "yaml" else self.form])
        if way == "bytes":
            changed, what = change_bytes(content, rng, donors)
        elif way == "text":
            changed, what = change_text(content.decode(), rng)
        else:
            changed, what = self._changed_tree(content, rng)
        path.write_bytes(changed)
        return what

    def _changed_tree(self, content: bytes, rng: random.Random) -> tuple[bytes, str]:
        if self.form == "json":
            tree, what = change_tree(json.loads(content), rng)
            return json.dumps(tree, indent=1).encode(), what
        tree, what = change_tree(yaml.safe_load(content), rng)
        return yaml.safe_dump(tree, sort_keys=False).encode("utf-8", "surrogatepass"), what


def json_in(path: Path) -> Any:
    """What a JSON file holds, by Python's own reader; raises ValueError for what is none."""
    return json.loads(path.read_bytes())
