"""Kinds of input whose reader does what the file `way` says, to see how trials end."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from campaigns.inputs.trial import Input, Kind
from rotnet_lib.errors import RotnetError


class OddKind(Kind):
    """Number n is read in the n-th of `ways`."""

    name = "odd"
    right = "a 7"

    def __init__(self, *ways: str) -> None:
        self.ways = ways

    def prepare(self, folder: Path) -> None:
        (folder / "file").write_text("good")

    def unchanged(self, folder: Path, good: Path) -> Input:
        return Input(folder, good, value=self.ways[0])

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        number = int(folder.name.rpartition("-")[2])
        (folder / "file").write_text(f"changed {rng.random()}")
        if self.ways[number] == "broken change":
            raise LookupError("the campaign's own")
        return Input(folder, good, f"way {self.ways[number]}", ("file",), self.ways[number])

    def read(self, given: Input) -> Any:
        return getattr(self, f"_{given.value.replace(' ', '_')}", lambda given: 7)(given)

    def problem(self, given: Input, found: Any) -> str | None:
        if given.value == "broken judge":
            raise LookupError("the campaign's own")
        return None if found == 7 else f"{found}"

    def _wrong(self, given: Input) -> int:
        return 8

    def _named(self, given: Input) -> None:
        raise RotnetError("the file is damaged. Delete it.")

    def _other(self, given: Input) -> None:
        raise RotnetError("something is damaged.")

    def _empty(self, given: Input) -> None:
        raise RotnetError(" ")

    def _traceback(self, given: Input) -> None:
        raise ValueError("of any kind")

    def _exit(self, given: Input) -> None:
        raise SystemExit(0)

    def _memory_named(self, given: Input) -> None:
        try:
            raise MemoryError
        except MemoryError:
            raise RotnetError("the file cannot be read.") from None

    def _memory(self, given: Input) -> int:
        return int(np.ones(2**28).sum())

    def _hang(self, given: Input) -> None:
        subprocess.Popen(["sleep", "600"])
        while True:
            time.sleep(600)

    def _hang_once(self, given: Input) -> int:
        """As when the machine stands still for a while."""
        tried = given.good / "tried"
        if not tried.exists():
            tried.touch()
            time.sleep(600)
        return 7

    def _death(self, given: Input) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _network(self, given: Input) -> str:
        return os.environ["https_proxy"]
